//! Mimir's HA tracker, polled: who is elected in each pair of Prometheus servers is Mimir's word.
//!
//! Nothing waits for it. A poll that fails keeps the last list; how old that is, [`HaTrackerFeed::freshness`] tells.

mod answer;
mod client;
mod url;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use limits::ElectedReplica;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Freshness;
use crate::pace::Pace;
use answer::{Listed, millis_since_1970};
use client::{Client, PollError};
pub use url::HaTrackerUrl;

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

/// How often the tracker was asked.
#[derive(Debug, Default)]
pub struct HaTrackerPolls {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl HaTrackerPolls {
    /// Polls that gave a list.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Polls that gave none.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Mimir itself looks at its elections only every 15 seconds.
const PACE: Pace =
    Pace { every: Duration::from_secs(5), first_retry: Duration::from_millis(500), timeout: Duration::from_secs(4) };

/// Polls one distributor's HA tracker.
#[derive(Debug)]
pub struct HaTrackerSource {
    client: Arc<Client>,
    pace: Pace,
    sender: watch::Sender<HaTrackerState>,
    freshness: Freshness,
    polls: Arc<HaTrackerPolls>,
    told: Told,
}

/// What the log was told last, so that it is told of changes only.
#[derive(Debug, Default)]
struct Told {
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
        Ok(Self::with_client(Client::new(url, PACE.timeout)?, PACE))
    }

    fn with_client(client: Client, pace: Pace) -> Self {
        Self {
            client: Arc::new(client),
            pace,
            sender: watch::Sender::new(HaTrackerState::default()),
            freshness: Freshness::default(),
            polls: Arc::default(),
            told: Told::default(),
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
        let mut questions = self.pace.questions();
        loop {
            let asked = Instant::now();
            let is_good = self.poll().await;
            questions.wait(asked, is_good).await;
        }
    }

    /// Asks once, and tells whoever waits for it what came of it; whether there was a list.
    async fn poll(&mut self) -> bool {
        let (asked_at, asked) = (millis_since_1970(SystemTime::now()), Instant::now());
        match self.ask().await {
            Ok(listed) => {
                self.polls.answered.fetch_add(1, Ordering::Relaxed);
                self.freshness.confirm();
                self.told.listed(self.client.url(), &listed);
                let elected = Some(listed.elected.into());
                self.sender.send_replace(HaTrackerState { elected, asked_at, asked: Some(asked) });
                true
            }
            Err(error) => {
                self.polls.failed.fetch_add(1, Ordering::Relaxed);
                self.told.failed(self.client.url(), &error);
                false
            }
        }
    }

    async fn ask(&self) -> Result<Listed, PollError> {
        let text = self.client.ask().await?;
        // A long list takes longer than a worker may be kept from decisions.
        let read = tokio::task::spawn_blocking(move || answer::read(&text)).await;
        read.map_err(|_| PollError::Interrupted)?.map_err(PollError::Unreadable)
    }
}

impl Told {
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

#[cfg(test)]
mod tests;
