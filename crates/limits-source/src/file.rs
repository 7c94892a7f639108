//! The file source: one overrides document on disk, applied again whenever it changes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use limits::{ControlState, LimitsState, Problem, SourceDocument};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::applied::{self, Outcome};
use crate::watched_file::{self, Seen, WatchedFile};
use crate::{Freshness, LimitsFeed};

/// Reads and watches one file.
#[derive(Debug)]
pub struct FileSource {
    file: WatchedFile,
    state: LimitsState,
    freshness: Freshness,
    /// Whether what was last read is what is in force.
    in_force: bool,
    /// What was wrong with the document that was last read.
    problems: Arc<[Problem]>,
}

impl FileSource {
    /// A source that has read nothing yet. Limits that `state` has already are published at once, and hold until the file has been read.
    #[must_use]
    pub fn new(path: PathBuf, state: LimitsState) -> Self {
        let file = WatchedFile::new(path);
        Self { file, state, freshness: Freshness::default(), in_force: false, problems: Arc::default() }
    }

    /// Says how old the limits are that the state was made with: [`crate::LimitsCache::load`] tells.
    #[must_use]
    pub fn restored(self, age: Duration) -> Self {
        Self { freshness: Freshness::confirmed_ago(age), ..self }
    }

    /// Reads the file, which this waits for up to 5 seconds, and keeps watching it until `stop` is cancelled.
    ///
    /// A file that is missing or bad is no error: the feed then shows problems, and limits as soon as there are good ones.
    pub async fn start(mut self, stop: CancellationToken) -> LimitsFeed {
        let restored = ControlState { limits: self.state.current(), ..ControlState::default() };
        let sender = watch::Sender::new(restored);
        let mut feed = LimitsFeed { states: sender.subscribe(), freshness: self.freshness.clone() };
        let path = self.file.path.clone();
        let step = move || self.step(&sender);
        watched_file::start("limits file", &path, step, &mut feed.states, stop).await;
        feed
    }

    fn step(&mut self, sender: &watch::Sender<ControlState>) {
        if let Some(state) = self.poll() {
            sender.send_replace(state);
        }
        if self.in_force {
            self.freshness.confirm();
        }
    }

    /// Looks at the file; a new state when it was read or its fault changed.
    fn poll(&mut self) -> Option<ControlState> {
        match self.file.look()? {
            Seen::Text(text) => Some(self.apply(&text)),
            Seen::Fault(error) => Some(self.report_fault(&error)),
        }
    }

    fn apply(&mut self, text: &str) -> ControlState {
        let name = self.file.document_name();
        let before = self.state.current();
        let result = self.state.apply(&[SourceDocument::new(&name, text)]);
        self.in_force = result.accepted;
        let changed = result.snapshot.as_deref().filter(|_| result.changed);
        let outcome = Outcome { before: before.as_deref(), changed, problems: &result.problems };
        applied::log(&self.file.path.display(), &outcome);
        self.problems = result.problems.into();
        ControlState { limits: result.snapshot, problems: Arc::clone(&self.problems), ..ControlState::default() }
    }

    fn report_fault(&mut self, error: &io::Error) -> ControlState {
        const MEANWHILE: &str = "the last good limits stay in force";
        self.in_force = false;
        tracing::warn!(path = %self.file.path.display(), %error, "limits file cannot be read, {MEANWHILE}");
        let problem = self.file.problem(error, MEANWHILE);
        let problems = self.problems.iter().cloned().chain([problem]).collect();
        ControlState { limits: self.state.current(), problems, ..ControlState::default() }
    }
}

#[cfg(test)]
mod tests;
