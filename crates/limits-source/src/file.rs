//! The file source: the files and URLs that `--limits file:` names, applied together whenever one of them changes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use limits::{LimitsState, LoadedLimits, Problem, SourceDocument};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::feed::log_limits;
use crate::fetched::{Fetched, Fetcher, POLLS};
use crate::watched::{self, Fault, Seen, Watched};
use crate::{DocumentList, Freshness, LimitsFeed};

const MEANWHILE: &str = "the last good limits stay in force";

/// Reads and watches files, and fetches what is behind URLs.
#[derive(Debug)]
pub struct FileSource {
    /// Where the documents are, for logs.
    place: String,
    documents: Watched,
    /// Where there are URLs to ask.
    fetcher: Option<Fetcher>,
    state: LimitsState,
    freshness: Freshness,
    /// Whether what was last read is what is in force.
    in_force: bool,
    /// What was wrong with the documents that were last read.
    problems: Arc<[Problem]>,
}

impl FileSource {
    /// A source that has read nothing yet. Limits that `state` has already are published at once, and hold until all documents have been read.
    ///
    /// # Errors
    /// One of the documents is behind an https URL, and this system has no root certificates.
    pub fn new(documents: impl Into<DocumentList>, state: LimitsState) -> io::Result<Self> {
        let (list, fetched) = (documents.into(), Fetched::default());
        let urls = list.urls();
        let fetcher = match urls.is_empty() {
            true => None,
            false => Some(Fetcher::new(urls, POLLS, fetched.clone())?),
        };
        Ok(Self {
            place: list.to_string(),
            documents: Watched::new(list.documents(), fetched),
            fetcher,
            state,
            freshness: Freshness::default(),
            in_force: false,
            problems: Arc::default(),
        })
    }

    /// Says how old the limits are that the state was made with: [`crate::LimitsCache::load`] tells.
    #[must_use]
    pub fn restored(self, age: Duration) -> Self {
        Self { freshness: Freshness::confirmed_ago(age), ..self }
    }

    /// Reads the documents, which this waits for up to 5 seconds, and keeps watching them until `stop` is cancelled.
    ///
    /// A document that is missing or bad is no error: the feed then shows problems, and limits as soon as all are good. Nothing is applied while
    /// one of them cannot be read.
    pub async fn start(mut self, stop: CancellationToken) -> LimitsFeed {
        let restored = LoadedLimits { limits: self.state.current(), ..LoadedLimits::default() };
        let sender = watch::Sender::new(restored);
        let mut feed = LimitsFeed { states: sender.subscribe(), freshness: self.freshness.clone() };
        if let Some(fetcher) = self.fetcher.take() {
            tokio::spawn(stop.clone().run_until_cancelled_owned(fetcher.follow()));
        }
        let place = self.place.clone();
        let step = move || self.step(&sender);
        watched::start("limits file", &place, step, &mut feed.states, stop).await;
        feed
    }

    fn step(&mut self, sender: &watch::Sender<LoadedLimits>) {
        if let Some(state) = self.poll() {
            sender.send_replace(state);
        }
        if self.in_force && self.documents.is_confirmed() {
            self.freshness.confirm();
        }
    }

    /// Looks at the documents; a new state when they were read or their faults changed.
    fn poll(&mut self) -> Option<LoadedLimits> {
        match self.documents.look()? {
            Seen::Documents(bytes) => Some(self.apply(&bytes)),
            Seen::Faults(faults) => Some(self.report_faults(&faults)),
        }
    }

    fn apply(&mut self, bytes: &[impl AsRef<[u8]>]) -> LoadedLimits {
        let documents = self.documents.names().zip(bytes).map(|(name, bytes)| SourceDocument::new(name, bytes));
        let before = self.state.current();
        let result = self.state.apply(&documents.collect::<Vec<_>>());
        self.in_force = result.accepted;
        let changed = result.snapshot.as_deref().filter(|_| result.changed);
        log_limits(&self.place, before.as_deref(), changed, &result.problems);
        self.problems = result.problems.into();
        LoadedLimits { limits: result.snapshot, problems: Arc::clone(&self.problems), ..LoadedLimits::default() }
    }

    fn report_faults(&mut self, faults: &[Fault]) -> LoadedLimits {
        self.in_force = false;
        for Fault { name, error, .. } in faults {
            tracing::warn!(path = %name, %error, "limits cannot be read, {MEANWHILE}");
        }
        let faults = faults.iter().map(|fault| fault.problem(MEANWHILE));
        let problems = self.problems.iter().cloned().chain(faults).collect();
        LoadedLimits { limits: self.state.current(), problems, ..LoadedLimits::default() }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod url_tests;
