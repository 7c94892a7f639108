//! What Mimir's HA tracker says: which replica of each Prometheus pair is elected.
//!
//! A list is believed for [`LIST_VALID_FOR`] from when Mimir was asked for it, whichever server passed it on. The invariant: where there is a tracker to
//! ask, a pair that it has not named is denied nothing for its samples, since the election here may be the wrong one; and it costs its tenant's
//! bucket nothing unless a list of the tracker without it is at hand, because only then is the replica that comes first here the one that comes
//! first to Mimir.

use std::sync::Arc;
use std::time::Duration;

use enforce::{Elections, TrackerEntry, UnixMillis};
use limits::ElectedReplica;
use tokio::time::Instant;

/// For so long from when Mimir was asked its list holds without being repeated, four polls: not long after that it may have elected another replica
/// (its default `ha_tracker_failover_timeout`). A list that the feed passes on has had some of that already.
pub(crate) const LIST_VALID_FOR: Duration = Duration::from_secs(20);

/// What is known of Mimir's HA tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HaTracker {
    /// Whether it is asked, by this server or by overrides-sync.
    pub is_polled: bool,
    /// Whether its last list is young enough to be believed.
    pub has_fresh_list: bool,
}

/// A list of Mimir's HA tracker.
#[derive(Clone, Debug)]
pub struct TrackerList {
    /// The complete list, but for entries that cannot be read.
    pub elected: Arc<[ElectedReplica]>,
    /// When Mimir was asked for it, in milliseconds since 1970: all of it was true then or later.
    pub asked_at: i64,
    /// The same by the monotonic clock of this process; `None` where it is longer ago than can be said.
    pub asked: Option<Instant>,
}

impl TrackerList {
    fn age(&self) -> Duration {
        self.asked.map_or(Duration::MAX, |asked| asked.elapsed())
    }
}

/// What is known of the lists so far.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// When the last one that named anybody was asked for.
    last_non_empty: Option<Instant>,
    /// The same of the last one that was taken, in Unix milliseconds.
    asked_at: Option<i64>,
    /// Until when the newest one is believed.
    pub(super) expires: Option<Instant>,
}

impl Lists {
    /// Whether the list was taken over.
    pub(super) fn apply(&mut self, list: &TrackerList, elections: &Elections) -> bool {
        self.expires = list.asked.map(|asked| asked + LIST_VALID_FOR);
        if list.age() >= LIST_VALID_FOR {
            return false;
        }
        let was_non_empty =
            |asked: Instant| self.last_non_empty.is_some_and(|named| asked.saturating_duration_since(named) < LIST_VALID_FOR);
        if !list.elected.is_empty() {
            self.last_non_empty = list.asked;
        } else if list.asked.is_some_and(was_non_empty) {
            // A distributor that has just started names nobody.
            return false;
        }
        if self.asked_at.replace(list.asked_at).is_some_and(|before| before > list.asked_at) {
            // The clock was set back, or is another server's: what is older cannot be told by it, so nothing older holds.
            unconfirm_all(elections);
        }
        // Not the time of now: a clock that is set back in between would have the list forget itself.
        let asked_at = UnixMillis::new(list.asked_at);
        for ElectedReplica { tenant, cluster, replica, received_at, elected_at } in &*list.elected {
            let entry = TrackerEntry {
                cluster: cluster.as_bytes(),
                replica: replica.as_bytes(),
                received_at: UnixMillis::new(*received_at),
                elected_at: UnixMillis::new(*elected_at),
            };
            // Without room for it the pair is not confirmed, and so denied nothing.
            elections.confirm(tenant, &entry, asked_at);
        }
        elections.forget_unlisted(asked_at);
        true
    }
}

/// What Mimir said does not hold any more.
pub(super) fn unconfirm_all(elections: &Elections) {
    elections.unconfirm(UnixMillis::new(i64::MAX));
}

#[cfg(test)]
mod tests;
