//! Follows the feed: tries one server after the other, and applies what the first one that answers sends until its stream ends.

use std::fmt::Display;
use std::time::Duration;

use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{ElectedPart, Heartbeat, LimitsPart, WatchResponse};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::FeedPublisher;
use super::applied::{AppliedLimits, UpdateError};
use super::parts::{Changes, ElectedLists};
use super::servers::{SHORTEST_PAUSE, Server, Servers, Stream, StreamError, pauses};
use crate::retry::Backoff;

/// How long a server may take to send its first limits, and all parts of a change.
const LIMITS_WITHIN: Duration = Duration::from_secs(10);

/// How long a server's limits may be unconfirmed before another server is tried. Each server keeps its stream at least that long, since the others may
/// be no better.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// The task behind a feed.
#[derive(Debug)]
pub(super) struct Follower {
    servers: Servers,
    applied: AppliedLimits,
    publisher: FeedPublisher,
    log: LogDedup,
    stale_after: Duration,
}

/// What one stream has sent so far.
#[derive(Debug)]
struct StreamState {
    changes: Changes,
    elected: ElectedLists,
    /// Whether a change was applied: the limits in force are this server's.
    has_limits: bool,
    /// Whether a list of elected replicas has arrived.
    has_elected: bool,
    /// The age of the server's last confirmation, and when the server sent it.
    confirmed: Option<(Duration, Instant)>,
    /// Since when a change is expected.
    waits_since: Instant,
    began: Instant,
}

/// Why a stream ended.
#[derive(Debug, Error)]
enum StreamEnd {
    #[error("{0}")]
    NotConnected(StreamError),
    #[error("{0}")]
    Lost(StreamError),
    #[error("no limits, or not all of them, within {LIMITS_WITHIN:?}")]
    NoLimits,
    #[error("the server ended the stream")]
    InOrder,
    #[error("the server's limits are stale")]
    Stale,
    #[error("{0}")]
    Rejected(#[from] UpdateError),
}

/// What was logged last, so that only changes are logged.
#[derive(Debug, Default)]
struct LogDedup {
    is_away: bool,
    rejection: Option<String>,
}

impl StreamState {
    fn new() -> Self {
        Self {
            changes: Changes::default(),
            elected: ElectedLists::default(),
            has_limits: false,
            has_elected: false,
            confirmed: None,
            waits_since: Instant::now(),
            began: Instant::now(),
        }
    }

    fn is_in_force(&self) -> bool {
        self.has_limits && !self.changes.is_under_way()
    }

    fn is_overdue(&self) -> bool {
        !self.is_in_force() && self.waits_since.elapsed() > LIMITS_WITHIN
    }

    /// How long ago the server's limits were confirmed, if the server has sent that.
    fn age(&self) -> Option<Duration> {
        self.confirmed.map(|(age, at)| age.saturating_add(at.elapsed()))
    }

    fn is_stale(&self, after: Duration) -> bool {
        self.is_in_force() && self.began.elapsed() >= after && self.age().is_some_and(|age| age >= after)
    }
}

impl Follower {
    pub(super) fn new(servers: Servers, applied: AppliedLimits, publisher: FeedPublisher) -> Self {
        Self { servers, applied, publisher, log: LogDedup::default(), stale_after: STALE_AFTER }
    }

    /// Follows the servers. Never ends.
    pub(super) async fn follow(mut self) {
        let mut pauses = pauses();
        loop {
            let continues_at_once = self.round(&mut pauses).await;
            if !continues_at_once {
                sleep(pauses.next()).await;
            }
        }
    }

    /// Tries each server until one has sent limits and its stream has ended; returns whether the next round starts at once.
    async fn round(&mut self, pauses: &mut Backoff) -> bool {
        let round = self.servers.round().await;
        for _ in 0..round.unresolved {
            self.publisher.counts.failed_connects.add();
        }
        if round.servers.is_empty() && round.unresolved > 0 {
            self.log.away(&"no name of a server can be resolved");
        }
        for server in round.servers {
            let began = Instant::now();
            let (end, gave_limits) = self.receive(&server).await;
            self.on_end(&server, &end);
            if gave_limits {
                pauses.reset();
                return match end {
                    StreamEnd::InOrder | StreamEnd::Stale => began.elapsed() >= SHORTEST_PAUSE,
                    // The server is avoided for longer than a pause.
                    StreamEnd::Rejected(_) => true,
                    _ => false,
                };
            }
        }
        false
    }

    fn on_end(&mut self, server: &Server, end: &StreamEnd) {
        let counts = &self.publisher.counts;
        counts.set_connected(false);
        self.publisher.locator.disconnected();
        match end {
            StreamEnd::NotConnected(_) => counts.failed_connects.add(),
            StreamEnd::Lost(_) | StreamEnd::NoLimits => counts.streams_lost.add(),
            StreamEnd::InOrder | StreamEnd::Stale => {}
            StreamEnd::Rejected(rejection) => {
                if matches!(rejection, UpdateError::Older { .. } | UpdateError::LessFresh { .. }) {
                    counts.rejected_older.add();
                } else {
                    counts.rejected_unreadable.add();
                    self.applied.request_everything();
                }
                self.servers.avoid(server.address);
                self.log.rejected(server, rejection);
                return;
            }
        }
        self.servers.has_ended(server.address);
        if matches!(end, StreamEnd::InOrder | StreamEnd::Stale) {
            tracing::info!(%server, "switching to another server of the feed: {end}");
        } else {
            self.log.away(&format_args!("{server}: {end}"));
        }
    }

    /// Follows one server until its stream ends; returns why it ended, and whether it gave limits.
    async fn receive(&mut self, server: &Server) -> (StreamEnd, bool) {
        let mut stream = match Stream::open(server, self.applied.version()).await {
            Ok(stream) => stream,
            Err(error) => return (StreamEnd::NotConnected(error), false),
        };
        self.publisher.counts.connects.add();
        self.publisher.counts.set_connected(true);
        self.publisher.locator.connected(stream.client());
        let mut state = StreamState::new();
        let end = loop {
            match stream.next().await {
                Ok(Some(message)) => {
                    let had_limits = state.has_limits;
                    if let Err(rejection) = self.take(message, &mut state).await {
                        break StreamEnd::Rejected(rejection);
                    }
                    if state.has_limits && !had_limits {
                        self.log.connected(server);
                    }
                }
                Ok(None) => break StreamEnd::InOrder,
                Err(error @ StreamError::Unreadable(_)) => break StreamEnd::Rejected(UpdateError::Message(error)),
                Err(error) => break StreamEnd::Lost(error),
            }
            if state.is_overdue() {
                break StreamEnd::NoLimits;
            }
            if state.is_stale(self.stale_after) {
                break StreamEnd::Stale;
            }
        };
        (end, state.has_limits)
    }

    /// Messages that only a newer build knows are ignored.
    async fn take(&mut self, message: WatchResponse, state: &mut StreamState) -> Result<(), UpdateError> {
        match message.update {
            Some(Update::Heartbeat(heartbeat)) => self.take_heartbeat(&heartbeat, state),
            Some(Update::Limits(part)) => self.take_limits(part, state).await?,
            Some(Update::Problems(list)) => self.publisher.publish_problems(list.problems),
            Some(Update::Elected(part)) => self.take_elected(part, state),
            None => {}
        }
        Ok(())
    }

    fn take_heartbeat(&self, heartbeat: &Heartbeat, state: &mut StreamState) {
        let Heartbeat { stale_millis, distributors, has_ha_tracker } = *heartbeat;
        state.confirmed = Some((Duration::from_millis(stale_millis), Instant::now()));
        self.confirm(state);
        self.publisher.publish_mimir(distributors, has_ha_tracker);
    }

    /// Applies the server's confirmation if its limits are in force.
    fn confirm(&self, state: &StreamState) {
        if let Some(age) = state.age().filter(|_| state.is_in_force()) {
            self.publisher.freshness.confirm_as_of(age);
        }
    }

    async fn take_limits(&mut self, part: LimitsPart, state: &mut StreamState) -> Result<(), UpdateError> {
        if let Some(version) = &part.version {
            self.applied.check_age(version)?;
            if let Some(theirs) = state.age().filter(|_| !state.has_limits) {
                self.applied.check_freshness(version, theirs, self.publisher.freshness.age())?;
            }
        }
        if state.is_in_force() {
            state.waits_since = Instant::now();
        }
        let Some(change) = state.changes.add(part)? else { return Ok(()) };
        let (complete, put, removed) = (change.complete, change.put.len(), change.removed.len());
        let changed = self.applied.apply(change).await?;
        let counts = &self.publisher.counts;
        if complete { &counts.snapshots_taken } else { &counts.deltas_taken }.add();
        state.has_limits = true;
        self.confirm(state);
        if changed {
            self.publisher.publish_limits(&self.applied);
            let tenants = self.applied.limits().map_or(0, |limits| limits.len());
            tracing::info!(tenants, complete, put, removed, "limits of the feed are in force");
        }
        Ok(())
    }

    fn take_elected(&self, part: ElectedPart, state: &mut StreamState) {
        match state.elected.add(part) {
            Ok(None) => {}
            Ok(Some(list)) => {
                let is_first = !std::mem::replace(&mut state.has_elected, true);
                self.publisher.publish_elected(list, is_first);
            }
            Err(error) => {
                self.publisher.counts.rejected_unreadable.add();
                tracing::warn!("{error}, and is rejected");
            }
        }
    }
}

impl LogDedup {
    fn connected(&mut self, server: &Server) {
        self.is_away = false;
        tracing::info!(%server, "limits come from the feed");
    }

    fn away(&mut self, reason: &dyn Display) {
        if std::mem::replace(&mut self.is_away, true) {
            tracing::debug!(%reason, "the feed of limits is still not available");
        } else {
            tracing::warn!(%reason, "the feed of limits is not available: the limits in force stay, and the request is retried");
        }
    }

    fn rejected(&mut self, server: &Server, rejection: &UpdateError) {
        let text = format!("{server}: {rejection}");
        if self.rejection.as_ref() != Some(&text) {
            tracing::warn!(%server, "an update of the feed is rejected, and the limits in force stay: {rejection}");
            self.rejection = Some(text);
        }
    }
}

#[cfg(feature = "fuzzing")]
mod fuzzing;
#[cfg(feature = "fuzzing")]
pub use fuzzing::FeedClient;

#[cfg(test)]
mod tests;
