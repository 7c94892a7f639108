//! Following the feed: one server after the other is asked, and what the one that answers says is taken over for as long as it is heard.

use std::time::Duration;

use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{ElectedPart, Heartbeat, LimitsPart, WatchResponse};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::counts::Event;
use super::gather::{Changes, ElectedLists};
use super::held::{Held, Refusal};
use super::outlets::Outlets;
use super::servers::{Pauses, SHORTEST_PAUSE, Server, Servers};
use super::stream::{Stream, StreamError};

/// How long a server may take for its first limits, and for all parts of a change.
const LIMITS_WITHIN: Duration = Duration::from_secs(10);

/// How long a server's limits may go without being confirmed until another one is asked; and how long each is then heard, as nobody may be better.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// The task behind a feed.
#[derive(Debug)]
pub(super) struct Follower {
    servers: Servers,
    held: Held,
    outlets: Outlets,
    told: Told,
    stale_after: Duration,
}

/// What one stream has brought so far.
#[derive(Debug)]
struct Heard {
    changes: Changes,
    elected: ElectedLists,
    /// Whether a change was taken: what is in force is what this server serves.
    has_limits: bool,
    /// Whether a list of elected replicas came.
    has_elected: bool,
    /// When the limits of this server were last confirmed, and when that was heard.
    confirmed: Option<(Duration, Instant)>,
    /// Since when a change is waited for.
    waits_since: Instant,
    began: Instant,
}

/// Why a server is not heard any more.
#[derive(Debug, Error)]
enum End {
    #[error("{0}")]
    NotConnected(StreamError),
    #[error("{0}")]
    Lost(StreamError),
    #[error("no limits, or not all of them, within {LIMITS_WITHIN:?}")]
    NoLimits,
    #[error("the server ended the stream")]
    InOrder,
    #[error("the server has not had its limits confirmed for long")]
    Stale,
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// What the log was told last, so that it is told of changes only.
#[derive(Debug, Default)]
struct Told {
    is_away: bool,
    refusal: Option<String>,
}

impl Heard {
    fn nothing() -> Self {
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

    /// How long ago the server's limits were confirmed, where it said that.
    fn age(&self) -> Option<Duration> {
        self.confirmed.map(|(age, at)| age.saturating_add(at.elapsed()))
    }

    fn is_stale(&self, after: Duration) -> bool {
        self.is_in_force() && self.began.elapsed() >= after && self.age().is_some_and(|age| age >= after)
    }
}

impl Follower {
    pub(super) fn new(servers: Servers, held: Held, outlets: Outlets) -> Self {
        Self { servers, held, outlets, told: Told::default(), stale_after: STALE_AFTER }
    }

    /// Follows whichever server answers, without end.
    pub(super) async fn follow(mut self) {
        let mut pauses = Pauses::default();
        loop {
            let goes_on_at_once = self.round(&mut pauses).await;
            if !goes_on_at_once {
                sleep(pauses.next()).await;
            }
        }
    }

    /// Asks each server until one gave limits and is not heard any more; whether the next round is to begin at once.
    async fn round(&mut self, pauses: &mut Pauses) -> bool {
        let round = self.servers.round().await;
        for _ in 0..round.unresolved {
            self.outlets.counts.count(Event::FailedConnect);
        }
        if round.servers.is_empty() && round.unresolved > 0 {
            self.told.away(&"no name of a server can be resolved");
        }
        for server in round.servers {
            let began = Instant::now();
            let (end, gave_limits) = self.hear(&server).await;
            self.note_end(&server, &end);
            if gave_limits {
                pauses.reset();
                return match end {
                    End::InOrder | End::Stale => began.elapsed() >= SHORTEST_PAUSE,
                    // It is left alone for longer than that.
                    End::Refused(_) => true,
                    _ => false,
                };
            }
        }
        false
    }

    fn note_end(&mut self, server: &Server, end: &End) {
        let counts = &self.outlets.counts;
        counts.set_connected(false);
        match end {
            End::NotConnected(_) => counts.count(Event::FailedConnect),
            End::Lost(_) | End::NoLimits => counts.count(Event::StreamLost),
            End::InOrder | End::Stale => {}
            End::Refused(refusal) => {
                let older = matches!(refusal, Refusal::Older { .. } | Refusal::LessFresh { .. });
                counts.count(if older { Event::RefusedOlder } else { Event::RefusedUnreadable });
                if !older {
                    self.held.ask_for_everything();
                }
                self.servers.leave_alone(server.address);
                self.told.refused(server, refusal);
                return;
            }
        }
        self.servers.has_ended(server.address);
        if matches!(end, End::InOrder | End::Stale) {
            tracing::info!(%server, "the feed is asked for at another server: {end}");
        } else {
            self.told.away(&format_args!("{server}: {end}"));
        }
    }

    /// Hears one server for as long as it goes well; why it ended, and whether it gave limits.
    async fn hear(&mut self, server: &Server) -> (End, bool) {
        let mut stream = match Stream::open(server, self.held.have()).await {
            Ok(stream) => stream,
            Err(error) => return (End::NotConnected(error), false),
        };
        self.outlets.counts.count(Event::Connected);
        self.outlets.counts.set_connected(true);
        let mut heard = Heard::nothing();
        let end = loop {
            match stream.next().await {
                Ok(Some(message)) => {
                    let had_limits = heard.has_limits;
                    if let Err(refusal) = self.take(message, &mut heard).await {
                        break End::Refused(refusal);
                    }
                    if heard.has_limits && !had_limits {
                        self.told.heard(server);
                    }
                }
                Ok(None) => break End::InOrder,
                Err(error @ StreamError::Unreadable(_)) => break End::Refused(Refusal::Message(error)),
                Err(error) => break End::Lost(error),
            }
            if heard.is_overdue() {
                break End::NoLimits;
            }
            if heard.is_stale(self.stale_after) {
                break End::Stale;
            }
        };
        (end, heard.has_limits)
    }

    /// What a newer server says besides is passed over.
    async fn take(&mut self, message: WatchResponse, heard: &mut Heard) -> Result<(), Refusal> {
        match message.update {
            Some(Update::Heartbeat(heartbeat)) => self.take_heartbeat(&heartbeat, heard),
            Some(Update::Limits(part)) => self.take_limits(part, heard).await?,
            Some(Update::Problems(list)) => self.outlets.show_problems(list.problems),
            Some(Update::Elected(part)) => self.take_elected(part, heard),
            None => {}
        }
        Ok(())
    }

    fn take_heartbeat(&self, heartbeat: &Heartbeat, heard: &mut Heard) {
        let Heartbeat { stale_millis, distributors, has_ha_tracker } = *heartbeat;
        heard.confirmed = Some((Duration::from_millis(stale_millis), Instant::now()));
        self.confirm(heard);
        self.outlets.show_mimir(distributors, has_ha_tracker);
    }

    /// Only limits that are the server's own are as fresh as the server says.
    fn confirm(&self, heard: &Heard) {
        if let Some(age) = heard.age().filter(|_| heard.is_in_force()) {
            self.outlets.freshness.confirm_as_of(age);
        }
    }

    async fn take_limits(&mut self, part: LimitsPart, heard: &mut Heard) -> Result<(), Refusal> {
        if let Some(version) = &part.version {
            self.held.check_age(version)?;
            if let Some(theirs) = heard.age().filter(|_| !heard.has_limits) {
                self.held.check_freshness(version, theirs, self.outlets.freshness.age())?;
            }
        }
        if heard.is_in_force() {
            heard.waits_since = Instant::now();
        }
        let Some(change) = heard.changes.add(part)? else { return Ok(()) };
        let (complete, put, removed) = (change.complete, change.put.len(), change.removed.len());
        let changed = self.held.take(change).await?;
        self.outlets.counts.count(if complete { Event::SnapshotTaken } else { Event::DeltaTaken });
        heard.has_limits = true;
        self.confirm(heard);
        if changed {
            self.outlets.show_limits(&self.held);
            let tenants = self.held.limits().map_or(0, |limits| limits.len());
            tracing::info!(tenants, complete, put, removed, "limits of the feed are in force");
        }
        Ok(())
    }

    fn take_elected(&self, part: ElectedPart, heard: &mut Heard) {
        match heard.elected.add(part) {
            Ok(None) => {}
            Ok(Some(list)) => {
                let is_first = !std::mem::replace(&mut heard.has_elected, true);
                self.outlets.show_elected(list, is_first);
            }
            Err(error) => {
                self.outlets.counts.count(Event::RefusedUnreadable);
                tracing::warn!("{error}, and is not taken");
            }
        }
    }
}

impl Told {
    fn heard(&mut self, server: &Server) {
        self.is_away = false;
        tracing::info!(%server, "limits come from the feed");
    }

    fn away(&mut self, reason: &dyn std::fmt::Display) {
        const MEANWHILE: &str = "the limits in force hold, and the feed is asked again";
        if std::mem::replace(&mut self.is_away, true) {
            tracing::debug!(%reason, "the feed of limits is still not heard");
        } else {
            tracing::warn!(%reason, "the feed of limits is not heard: {MEANWHILE}");
        }
    }

    fn refused(&mut self, server: &Server, refusal: &Refusal) {
        let text = format!("{server}: {refusal}");
        if self.refusal.as_ref() != Some(&text) {
            tracing::warn!(%server, "an update of the feed is not taken, and the limits in force hold: {refusal}");
            self.refusal = Some(text);
        }
    }
}

#[cfg(feature = "fuzzing")]
mod fuzzing;
#[cfg(feature = "fuzzing")]
pub use fuzzing::FeedClient;

#[cfg(test)]
mod tests;
