//! The edge configuration: a file that is applied whenever it changes.

use std::path::PathBuf;
use std::sync::Arc;

use limits::{EdgeConfig, EdgeConfigApplied, EdgeConfigState, Problem};
use tasks::Tasks;
use tokio::sync::watch;

use crate::watched::{self, Fault, Polled, Watched};

/// The edge configuration in force, and the problems of the newest document.
#[derive(Clone, Debug)]
pub struct LoadedEdgeConfig {
    /// The last good one; all tenants are in shadow until there is one.
    pub config: Arc<EdgeConfig>,
    /// Empty while the document on disk is in force.
    pub problems: Arc<[Problem]>,
}

impl LoadedEdgeConfig {
    /// A configuration that never changes: its channel has no sender.
    #[must_use]
    pub fn fixed(config: EdgeConfig) -> watch::Receiver<Self> {
        watch::channel(Self { config: Arc::new(config), problems: Arc::default() }).1
    }
}

/// Watches one file.
#[derive(Debug)]
pub struct EdgeConfigSource {
    path: PathBuf,
    file: Watched,
    state: EdgeConfigState,
    /// Whether there has been a good document.
    read: bool,
    /// Problems of the document that was last read.
    problems: Arc<[Problem]>,
}

impl EdgeConfigSource {
    /// A source that has read nothing yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let file = Watched::file(path.clone());
        Self { path, file, state: EdgeConfigState::new(), read: false, problems: Arc::default() }
    }

    /// Reads the file, waiting up to 5 seconds, and watches it until `tasks` are stopped.
    ///
    /// A missing or bad file is no error: the state then has problems, and all tenants stay in shadow until there is a good one.
    pub async fn start(mut self, tasks: &Tasks) -> watch::Receiver<LoadedEdgeConfig> {
        let sender = watch::Sender::new(self.control());
        let mut states = sender.subscribe();
        let path = self.path.display().to_string();
        let step = move || {
            if let Some(state) = self.poll() {
                sender.send_replace(state);
            }
        };
        watched::start("edge configuration", &path, step, &mut states, tasks).await;
        states
    }

    /// Polls the file; returns a new state if it was read or its fault changed.
    fn poll(&mut self) -> Option<LoadedEdgeConfig> {
        match self.file.poll()? {
            Polled::Documents(documents) => Some(self.read(documents.concat())),
            Polled::Faults(faults) => Some(self.report_faults(&faults)),
        }
    }

    fn read(&mut self, bytes: Vec<u8>) -> LoadedEdgeConfig {
        match watched::text(bytes) {
            Ok(text) => self.apply(&text),
            Err(error) => self.report_faults(&[Fault { name: watched::file_name(&self.path), what: "file", error }]),
        }
    }

    fn apply(&mut self, text: &str) -> LoadedEdgeConfig {
        let applied = self.state.apply(&watched::file_name(&self.path), text);
        self.read |= applied.accepted;
        self.log_applied(&applied);
        self.problems = applied.problems.into();
        self.control()
    }

    fn report_faults(&mut self, faults: &[Fault]) -> LoadedEdgeConfig {
        let meanwhile = match self.read {
            true => "the last good edge configuration stays in force",
            false => "all tenants are in shadow until it can be read",
        };
        for Fault { error, .. } in faults {
            tracing::warn!(path = %self.path.display(), %error, "edge configuration cannot be read, {meanwhile}");
        }
        let faults = faults.iter().map(|fault| fault.problem(meanwhile));
        let problems = self.problems.iter().cloned().chain(faults).collect();
        LoadedEdgeConfig { problems, ..self.control() }
    }

    fn control(&self) -> LoadedEdgeConfig {
        LoadedEdgeConfig { config: self.state.current(), problems: Arc::clone(&self.problems) }
    }

    fn log_applied(&self, applied: &EdgeConfigApplied) {
        let path = self.path.display();
        for problem in &applied.problems {
            tracing::warn!(%path, "edge configuration problem: {problem}");
        }
        if applied.changed {
            let (mode, tenants) = (applied.config.default_policy().mode.as_str(), applied.config.tenants().count());
            tracing::info!(%path, mode, tenants, problems = applied.problems.len(), "edge configuration is in force");
        }
    }
}

#[cfg(test)]
mod tests;
