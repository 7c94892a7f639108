//! The edge configuration on disk, applied again whenever it changes.

use std::path::PathBuf;
use std::sync::Arc;

use limits::{EdgeConfig, EdgeConfigApplied, EdgeConfigState, Problem};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::watched::{self, Fault, Seen, Watched};

/// The edge configuration in force, and what is wrong with the newest document.
#[derive(Clone, Debug)]
pub struct LoadedEdgeConfig {
    /// The last good one; everybody in shadow until there is one.
    pub config: Arc<EdgeConfig>,
    /// Empty while the document on disk is the one in force.
    pub problems: Arc<[Problem]>,
}

/// The edge configuration as a server sees it.
#[derive(Clone, Debug)]
pub struct EdgeConfigFeed {
    /// The state now; wakes on each change of configuration or problems.
    pub states: watch::Receiver<LoadedEdgeConfig>,
}

impl EdgeConfigFeed {
    /// A configuration that never changes. Waiting for a change of it ends at once with the error that there is no sender any more.
    #[must_use]
    pub fn fixed(config: EdgeConfig) -> Self {
        let (_, states) = watch::channel(LoadedEdgeConfig { config: Arc::new(config), problems: Arc::default() });
        Self { states }
    }
}

/// Reads and watches one file.
#[derive(Debug)]
pub struct EdgeConfigSource {
    path: PathBuf,
    file: Watched,
    state: EdgeConfigState,
    /// Whether there has been a good document.
    read: bool,
    /// What was wrong with the document that was last read.
    problems: Arc<[Problem]>,
}

impl EdgeConfigSource {
    /// A source that has read nothing yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let file = Watched::file(path.clone());
        Self { path, file, state: EdgeConfigState::new(), read: false, problems: Arc::default() }
    }

    /// Reads the file, which this waits for up to 5 seconds, and keeps watching it until `stop` is cancelled.
    ///
    /// A file that is missing or bad is no error: the feed then shows problems, and everybody stays in shadow until there is a good one.
    pub async fn start(mut self, stop: CancellationToken) -> EdgeConfigFeed {
        let sender = watch::Sender::new(self.control());
        let mut feed = EdgeConfigFeed { states: sender.subscribe() };
        let path = self.path.display().to_string();
        let step = move || {
            if let Some(state) = self.poll() {
                sender.send_replace(state);
            }
        };
        watched::start("edge configuration", &path, step, &mut feed.states, stop).await;
        feed
    }

    /// Looks at the file; a new state when it was read or its fault changed.
    fn poll(&mut self) -> Option<LoadedEdgeConfig> {
        match self.file.look()? {
            Seen::Documents(documents) => Some(self.read(documents.concat())),
            Seen::Faults(faults) => Some(self.report_faults(&faults)),
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
            false => "every tenant is in shadow until it can be",
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
