//! Documents that are fetched over HTTP, all of them every 10 seconds, as Mimir fetches the URLs of `-runtime-config.file`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::retry::{PollSettings, PollTimer};
use crate::url::DocumentUrl;
use crate::watched::MAX_FILE_BYTES;
use crate::web::{self, Bounds, WebClient, WebError};

/// Mimir's defaults: `-runtime-config.reload-period` and `-runtime-config.http-client-timeout`.
pub(crate) const POLLS: PollSettings = PollSettings {
    interval: Duration::from_secs(10),
    first_retry: Duration::from_millis(500),
    timeout: Duration::from_secs(30),
};

/// The last responses of the URLs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    round: Arc<Mutex<Round>>,
}

#[derive(Debug, Default)]
struct Round {
    /// The number of finished rounds.
    number: u64,
    /// Empty before the first round has finished.
    documents: Vec<Latest>,
}

/// The last response of a URL.
#[derive(Debug)]
enum Latest {
    /// The document, and the round that first returned it in this version.
    Document {
        since: u64,
        bytes: Bytes,
    },
    Fault(String),
}

impl Fetched {
    /// How many times all URLs have been fetched.
    pub(crate) fn rounds(&self) -> u64 {
        self.round().number
    }

    /// The version of the document of the URL at this index; `None` before its first response.
    pub(crate) fn version(&self, place: usize) -> io::Result<Option<u64>> {
        match self.round().documents.get(place) {
            Some(Latest::Document { since, .. }) => Ok(Some(*since)),
            Some(Latest::Fault(fault)) => Err(io::Error::other(fault.clone())),
            None => Ok(None),
        }
    }

    /// The document of the URL at this index.
    pub(crate) fn read(&self, place: usize) -> io::Result<Bytes> {
        match self.round().documents.get(place) {
            Some(Latest::Document { bytes, .. }) => Ok(bytes.clone()),
            Some(Latest::Fault(fault)) => Err(io::Error::other(fault.clone())),
            None => Err(io::Error::other("there is no response yet")),
        }
    }

    /// Records the responses of a round; returns whether all of them are good.
    fn take(&self, responses: Vec<Result<Bytes, WebError>>) -> bool {
        let all_good = responses.iter().all(Result::is_ok);
        let mut round = self.round();
        let number = round.number.saturating_add(1);
        let mut before = std::mem::take(&mut round.documents).into_iter();
        let next = |response: Result<Bytes, WebError>| match (response, before.next()) {
            (Ok(now), Some(Latest::Document { since, bytes })) if bytes == now => Latest::Document { since, bytes },
            (Ok(bytes), _) => Latest::Document { since: number, bytes },
            (Err(error), _) => Latest::Fault(error.to_string()),
        };
        let documents = responses.into_iter().map(next).collect();
        *round = Round { number, documents };
        all_good
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches the documents.
#[derive(Debug)]
pub(crate) struct Fetcher {
    urls: Vec<DocumentUrl>,
    web: WebClient,
    polls: PollSettings,
    fetched: Fetched,
}

impl Fetcher {
    /// A fetcher that has fetched nothing yet.
    ///
    /// # Errors
    /// One of the URLs is https, and this system has no root certificates.
    pub(crate) fn new(urls: Vec<DocumentUrl>, polls: PollSettings, fetched: Fetched) -> io::Result<Self> {
        let tls = web::system_tls(urls.iter().map(DocumentUrl::uri))?;
        let bytes = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
        let web = WebClient::new(tls, Bounds { timeout: polls.timeout, bytes });
        Ok(Self { urls, web, polls, fetched })
    }

    #[cfg(test)]
    pub(crate) fn set_polls(&mut self, polls: PollSettings) {
        self.polls = polls;
    }

    /// Fetches all URLs now and every 10 seconds, sooner after a failure. Never ends.
    pub(crate) async fn follow(self) {
        let mut timer = PollTimer::new(self.polls);
        loop {
            let started = Instant::now();
            let fetch = async |url: &DocumentUrl| self.web.get(url.uri(), "*/*").await.map(|(_, body)| body);
            let responses = join_all(self.urls.iter().map(fetch)).await;
            timer.wait(started, self.fetched.take(responses)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_document_keeps_its_version_until_an_error() {
        let fetched = Fetched::default();
        let good = |text: &'static str| Ok(Bytes::from(text));
        assert!(matches!(fetched.version(0), Ok(None)) && fetched.read(0).is_err());
        assert!(fetched.take(vec![good("a"), good("b")]));
        assert!(fetched.take(vec![good("a"), good("c")]));
        let versions = |fetched: &Fetched| [0, 1].map(|place| fetched.version(place).ok().flatten());
        assert_eq!((versions(&fetched), fetched.rounds()), ([Some(1), Some(2)], 2));
        assert!(!fetched.take(vec![good("a"), Err(WebError::TooLarge(7))]));
        assert_eq!(versions(&fetched), [Some(1), None]);
        assert_eq!(fetched.read(1).unwrap_err().to_string(), "its response has more than 7 bytes");
        assert!(fetched.take(vec![good("a"), good("c")]));
        assert_eq!((versions(&fetched), fetched.read(1).unwrap()), ([Some(1), Some(4)], Bytes::from("c")));
    }
}
