//! Mimir's HA tracker, polled: who is elected in each pair of Prometheus servers is Mimir's word.
//!
//! Nothing waits for it. A poll that fails keeps the last list; how old that is, [`HaTrackerFeed::freshness`] tells.

mod answer;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use limits::ElectedReplica;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::CancellationToken;

use crate::retry::{PollSettings, PollTimer};
use crate::web::{self, Bounds, WebClient, WebError};
use crate::{Count, Freshness, HaTrackerUrl};
use answer::{Listed, millis_since_1970};

/// What Mimir said last.
#[derive(Clone, Debug, Default)]
pub struct HaTrackerState {
    /// The complete list, but for entries that cannot be read; `None` before the first good answer.
    pub elected: Option<Arc<[ElectedReplica]>>,
    /// When the question was asked that this list answers, in milliseconds since 1970: all of it was true then or later.
    pub asked_at: i64,
    /// The same by the clock of this process that nobody sets; `None` where it is longer ago than can be told.
    pub asked: Option<Instant>,
}

impl HaTrackerState {
    /// How long ago the list's question was asked.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.asked.map_or(Duration::MAX, |asked| asked.elapsed())
    }
}

/// The tracker as a server sees it.
#[derive(Clone, Debug)]
pub struct HaTrackerFeed {
    /// The state now; wakes on each good answer, also when the list is the same.
    pub states: watch::Receiver<HaTrackerState>,
    /// When the last good answer came.
    pub freshness: Freshness,
    /// How often the tracker was asked.
    pub polls: Arc<HaTrackerPolls>,
}

/// How often the tracker was polled.
#[derive(Debug, Default)]
pub struct HaTrackerPolls {
    /// Polls that gave a list.
    pub answered: Count,
    /// Polls that gave none.
    pub failed: Count,
}

/// The longest answer that is read, in bytes: 200,000 pairs and more.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why a poll gave no list, and how to fix it.
#[derive(Debug, Error)]
enum PollError {
    #[error(transparent)]
    Web(WebError),
    #[error("it answered {0}: its HA tracker is off (-distributor.ha-tracker.enable), or the path is another one")]
    NotFound(StatusCode),
    #[error(
        "its answer is no list of elected replicas: {0}; the URL has to be that of a distributor's ha_tracker page"
    )]
    Unreadable(String),
    #[error("its answer could not be looked at")]
    Interrupted,
}

impl From<WebError> for PollError {
    fn from(error: WebError) -> Self {
        match error {
            WebError::Status(status @ StatusCode::NOT_FOUND) => Self::NotFound(status),
            other => Self::Web(other),
        }
    }
}

/// Mimir itself looks at its elections only every 15 seconds.
const POLLS: PollSettings = PollSettings {
    interval: Duration::from_secs(5),
    first_retry: Duration::from_millis(500),
    timeout: Duration::from_secs(4),
};

/// Polls one distributor's HA tracker.
#[derive(Debug)]
pub struct HaTrackerSource {
    client: Arc<Client>,
    settings: PollSettings,
    sender: watch::Sender<HaTrackerState>,
    freshness: Freshness,
    polls: Arc<HaTrackerPolls>,
    log: LogDedup,
}

/// What was logged last, so that only changes are logged.
#[derive(Debug, Default)]
struct LogDedup {
    /// `None` until the first poll.
    works: Option<bool>,
    first_fault: Option<String>,
}

impl HaTrackerSource {
    /// A source that has asked nothing yet.
    ///
    /// # Errors
    /// The URL is https, and this system has no root certificates.
    pub fn new(url: HaTrackerUrl) -> io::Result<Self> {
        Ok(Self::with_client(Client::new(url, POLLS.timeout)?, POLLS))
    }

    fn with_client(client: Client, settings: PollSettings) -> Self {
        Self {
            client: Arc::new(client),
            settings,
            sender: watch::Sender::new(HaTrackerState::default()),
            freshness: Freshness::default(),
            polls: Arc::default(),
            log: LogDedup::default(),
        }
    }

    /// Asks at once and then every 5 seconds, until `stop` is cancelled. Waits for nothing.
    #[must_use]
    pub fn start(self, stop: CancellationToken) -> HaTrackerFeed {
        let feed = HaTrackerFeed {
            states: self.sender.subscribe(),
            freshness: self.freshness.clone(),
            polls: Arc::clone(&self.polls),
        };
        tokio::spawn(stop.run_until_cancelled_owned(self.follow()));
        feed
    }

    async fn follow(mut self) {
        let mut timer = PollTimer::new(self.settings);
        loop {
            let started = Instant::now();
            let succeeded = self.poll().await;
            timer.wait(started, succeeded).await;
        }
    }

    /// Polls once and publishes the result; returns whether there was a list.
    async fn poll(&mut self) -> bool {
        let (asked_at, asked) = (millis_since_1970(SystemTime::now()), Instant::now());
        match self.list().await {
            Ok(listed) => {
                self.polls.answered.add();
                self.freshness.confirm();
                self.log.listed(&self.client.url, &listed);
                let elected = Some(listed.elected.into());
                self.sender.send_replace(HaTrackerState { elected, asked_at, asked: Some(asked) });
                true
            }
            Err(error) => {
                self.polls.failed.add();
                self.log.failed(&self.client.url, &error);
                false
            }
        }
    }

    async fn list(&self) -> Result<Listed, PollError> {
        let text = self.client.get().await?;
        // A long list takes longer than a worker may be kept from decisions.
        let read = tokio::task::spawn_blocking(move || answer::read(&text)).await;
        read.map_err(|_| PollError::Interrupted)?.map_err(PollError::Unreadable)
    }
}

impl LogDedup {
    fn listed(&mut self, url: &HaTrackerUrl, listed: &Listed) {
        if self.works.replace(true) != Some(true) {
            tracing::info!(%url, pairs = listed.elected.len(), "Mimir's HA tracker answers");
        }
        if self.first_fault == listed.first_fault {
            return;
        }
        match &listed.first_fault {
            Some(fault) => tracing::warn!(
                %url, entries = listed.unreadable, first = %fault,
                "entries of Mimir's HA tracker cannot be read and are passed over: their pairs stay unconfirmed, and the others hold"
            ),
            None => tracing::info!(%url, "all entries of Mimir's HA tracker can be read again"),
        }
        self.first_fault.clone_from(&listed.first_fault);
    }

    fn failed(&mut self, url: &HaTrackerUrl, error: &PollError) {
        if self.works.replace(false) != Some(false) {
            tracing::warn!(
                %url, %error,
                "Mimir's HA tracker cannot be polled; what it said last holds, and it is asked again: check that --ha-tracker-url names a running distributor"
            );
        }
    }
}

/// Polls one address.
#[derive(Debug)]
struct Client {
    web: WebClient,
    url: HaTrackerUrl,
}

impl Client {
    /// Reads the system's root certificates if the URL is https.
    fn new(url: HaTrackerUrl, timeout: Duration) -> io::Result<Self> {
        let tls = web::system_tls(std::iter::once(url.uri()))?;
        Ok(Self::with_tls(url, timeout, tls))
    }

    fn with_tls(url: HaTrackerUrl, timeout: Duration, tls: ClientConfig) -> Self {
        Self { web: WebClient::new(tls, Bounds { timeout, bytes: MAX_ANSWER_BYTES }), url }
    }

    /// The body of a good answer.
    async fn get(&self) -> Result<Bytes, PollError> {
        match self.web.get(self.url.uri(), "application/json").await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(PollError::Web(WebError::Status(status))),
        }
    }
}

#[cfg(test)]
mod tests;
