//! Polls Mimir's HA tracker for the elected replica of each Prometheus pair.
//!
//! Nothing waits for it. A failed poll keeps the last list, and [`HaTrackerFeed::freshness`] is its age.

mod response;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use limits::ElectedReplica;
use tasks::Tasks;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;

use crate::retry::{PollSettings, PollTimer};
use crate::web::{self, Bounds, WebClient, WebError};
use crate::{Count, Freshness, MimirUrl};
use response::{ListedReplicas, millis_since_1970};

/// The last list.
#[derive(Clone, Debug, Default)]
pub struct HaTrackerState {
    /// All entries that can be read; `None` before the first good response.
    pub elected: Option<Arc<[ElectedReplica]>>,
    /// When this list was requested, in milliseconds since 1970.
    pub requested_at_unix_millis: i64,
    /// The same by the monotonic clock; `None` if that is before what the clock can represent.
    pub requested_at: Option<Instant>,
}

impl HaTrackerState {
    /// How long ago the list was requested.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.requested_at.map_or(Duration::MAX, |at| at.elapsed())
    }
}

/// The output of the source.
#[derive(Clone, Debug)]
pub struct HaTrackerFeed {
    /// The current state; wakes on each good response, even if the list is the same.
    pub states: watch::Receiver<HaTrackerState>,
    /// When the last good response arrived.
    pub freshness: Freshness,
    /// How often the tracker was polled.
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

/// The largest response that is read, in bytes: more than 200,000 pairs.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// Why a poll failed, and how to fix it.
#[derive(Debug, Error)]
enum PollError {
    #[error(transparent)]
    Web(WebError),
    #[error("it answered {0}: its HA tracker is off (-distributor.ha-tracker.enable), or the path is another one")]
    NotFound(StatusCode),
    #[error("its response is no list of elected replicas: {0}; give the URL of a distributor's ha_tracker page")]
    Unreadable(String),
    #[error("decoding its response was interrupted")]
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

/// Mimir itself updates its elections every 15 seconds.
const POLLS: PollSettings = PollSettings {
    interval: Duration::from_secs(5),
    first_retry: Duration::from_millis(500),
    timeout: Duration::from_secs(4),
};

/// Polls the HA tracker of a distributor now and every 5 seconds until `tasks` are stopped, without waiting for the first response.
///
/// # Errors
/// The URL is https, and this system has no root certificates.
pub fn poll_ha_tracker(url: MimirUrl, tasks: &Tasks) -> io::Result<HaTrackerFeed> {
    Ok(Poller::new(Client::new(url, POLLS.timeout)?, POLLS).start(tasks))
}

#[derive(Debug)]
struct Poller {
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

impl Poller {
    fn new(client: Client, settings: PollSettings) -> Self {
        Self {
            client: Arc::new(client),
            settings,
            sender: watch::Sender::new(HaTrackerState::default()),
            freshness: Freshness::default(),
            polls: Arc::default(),
            log: LogDedup::default(),
        }
    }

    fn start(self, tasks: &Tasks) -> HaTrackerFeed {
        let feed = HaTrackerFeed {
            states: self.sender.subscribe(),
            freshness: self.freshness.clone(),
            polls: Arc::clone(&self.polls),
        };
        tasks.spawn("HA tracker", self.follow());
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
        let (requested_at_unix_millis, requested_at) = (millis_since_1970(SystemTime::now()), Instant::now());
        match self.list().await {
            Ok(listed) => {
                self.polls.answered.add();
                self.freshness.confirm();
                self.log.listed(&self.client.url, &listed);
                let elected = Some(listed.elected.into());
                self.sender.send_replace(HaTrackerState {
                    elected,
                    requested_at_unix_millis,
                    requested_at: Some(requested_at),
                });
                true
            }
            Err(error) => {
                self.polls.failed.add();
                self.log.failed(&self.client.url, &error);
                false
            }
        }
    }

    async fn list(&self) -> Result<ListedReplicas, PollError> {
        let text = self.client.get().await?;
        // A long list takes longer than an async worker may be blocked.
        let read = tokio::task::spawn_blocking(move || response::read(&text)).await;
        read.map_err(|_| PollError::Interrupted)?.map_err(PollError::Unreadable)
    }
}

impl LogDedup {
    fn listed(&mut self, url: &MimirUrl, listed: &ListedReplicas) {
        if self.works.replace(true) != Some(true) {
            tracing::info!(%url, pairs = listed.elected.len(), "Mimir's HA tracker answers");
        }
        if self.first_fault == listed.first_fault {
            return;
        }
        match &listed.first_fault {
            Some(fault) => tracing::warn!(
                %url, entries = listed.unreadable, first = %fault,
                "some entries of Mimir's HA tracker cannot be read and are ignored: their pairs stay unconfirmed"
            ),
            None => tracing::info!(%url, "all entries of Mimir's HA tracker can be read again"),
        }
        self.first_fault.clone_from(&listed.first_fault);
    }

    fn failed(&mut self, url: &MimirUrl, error: &PollError) {
        if self.works.replace(false) != Some(false) {
            tracing::warn!(
                %url, %error,
                "Mimir's HA tracker cannot be polled; its last list stays in force, and the poll is retried: check that --ha-tracker-url names a running distributor"
            );
        }
    }
}

/// Polls one address.
#[derive(Debug)]
struct Client {
    web: WebClient,
    url: MimirUrl,
}

impl Client {
    /// Reads the system's root certificates if the URL is https.
    fn new(url: MimirUrl, timeout: Duration) -> io::Result<Self> {
        let tls = web::system_tls(std::iter::once(url.uri()))?;
        Ok(Self::with_tls(url, timeout, tls))
    }

    fn with_tls(url: MimirUrl, timeout: Duration, tls: ClientConfig) -> Self {
        Self { web: WebClient::new(tls, Bounds { timeout, bytes: MAX_RESPONSE_BYTES }), url }
    }

    /// The body of a good response.
    async fn get(&self) -> Result<Bytes, PollError> {
        match self.web.get(self.url.uri(), "application/json").await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(PollError::Web(WebError::Status(status))),
        }
    }
}

#[cfg(test)]
mod tests;
