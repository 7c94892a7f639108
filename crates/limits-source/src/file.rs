//! Limits from the files and URLs of `--limits file:`, applied together whenever one of them changes.

use std::io;
use std::sync::Arc;

use limits::{LimitsState, LoadedLimits, Problem, SourceDocument};
use tasks::Tasks;
use tokio::sync::watch;

use crate::feed::log_limits;
use crate::fetched::{Fetched, Fetcher, POLLS};
use crate::watched::{self, Fault, Polled, Watched};
use crate::{DocumentList, Freshness, LimitsFeed};

const MEANWHILE: &str = "the last good limits stay in force";

/// Watches files and URLs.
#[derive(Debug)]
pub struct FileSource {
    /// The list of documents, for logs.
    place: String,
    documents: Watched,
    /// Fetches the URLs, if there are any.
    fetcher: Option<Fetcher>,
    state: LimitsState,
    freshness: Freshness,
    /// Whether the documents that were last read are in force.
    in_force: bool,
    /// Problems of the documents that were last read.
    problems: Arc<[Problem]>,
}

impl FileSource {
    /// A source that has read nothing yet. Limits that `state` already has are as old as `freshness`, are published at once, and stay in force until all
    /// documents have been read.
    ///
    /// # Errors
    /// One of the URLs is https, and this system has no root certificates.
    pub fn new(documents: DocumentList, state: LimitsState, freshness: Freshness) -> io::Result<Self> {
        let (urls, fetched) = (documents.urls(), Fetched::default());
        let fetcher = match urls.is_empty() {
            true => None,
            false => Some(Fetcher::new(urls, POLLS, fetched.clone())?),
        };
        Ok(Self {
            place: documents.to_string(),
            documents: Watched::new(documents.documents(), fetched),
            fetcher,
            state,
            freshness,
            in_force: false,
            problems: Arc::default(),
        })
    }

    /// Reads the documents, waiting up to 5 seconds, and watches them until `tasks` are stopped.
    ///
    /// A missing or bad document is no error: the feed then has problems, and limits as soon as all documents are good. Nothing is applied while
    /// a document cannot be read.
    pub async fn start(mut self, tasks: &Tasks) -> LimitsFeed {
        let restored = LoadedLimits { limits: self.state.current(), ..LoadedLimits::default() };
        let sender = watch::Sender::new(restored);
        let mut feed = LimitsFeed { states: sender.subscribe(), freshness: self.freshness.clone() };
        if let Some(fetcher) = self.fetcher.take() {
            tasks.spawn("URLs of limits", fetcher.follow());
        }
        let place = self.place.clone();
        let step = move || self.step(&sender);
        watched::start("limits file", &place, step, &mut feed.states, tasks).await;
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

    /// Polls the documents; returns a new state if they were read or their faults changed.
    fn poll(&mut self) -> Option<LoadedLimits> {
        match self.documents.poll()? {
            Polled::Documents(bytes) => Some(self.apply(&bytes)),
            Polled::Faults(faults) => Some(self.report_faults(&faults)),
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
        self.loaded(Arc::clone(&self.problems))
    }

    fn report_faults(&mut self, faults: &[Fault]) -> LoadedLimits {
        self.in_force = false;
        for Fault { name, error, .. } in faults {
            tracing::warn!(path = %name, %error, "limits cannot be read, {MEANWHILE}");
        }
        let faults = faults.iter().map(|fault| fault.problem(MEANWHILE));
        let problems = self.problems.iter().cloned().chain(faults).collect();
        self.loaded(problems)
    }

    fn loaded(&self, problems: Arc<[Problem]>) -> LoadedLimits {
        let (limits, places) = (self.state.current(), self.state.places());
        LoadedLimits { limits, problems, places, ..LoadedLimits::default() }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod url_tests;
