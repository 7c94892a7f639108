//! The lists of Mimir's HA tracker: which replica of each Prometheus pair is elected.
//!
//! A list is fresh for [`LIST_VALID_FOR`] from the request to Mimir, whichever server passed it on. The invariant: where a tracker is polled, a pair
//! that it has not listed is denied nothing for its samples, since the election here may be the wrong one; and its tenant's bucket is charged only
//! with a fresh list without the pair, because only then is the first replica here also the first to reach Mimir.

use std::sync::Arc;
use std::time::Duration;

use enforce::{Elections, TrackerEntry, UnixMillis};
use limits::ElectedReplica;
use tokio::time::Instant;

/// How long a list is fresh, counted from the request to Mimir: four polls. Not long after that Mimir may elect another replica (its default
/// `ha_tracker_failover_timeout`). A list from the feed has used up some of this already.
pub(crate) const LIST_VALID_FOR: Duration = Duration::from_secs(20);

/// The state of Mimir's HA tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HaTracker {
    /// Whether it is polled, by this server or by overrides-sync.
    pub is_polled: bool,
    /// Whether its last list is fresh.
    pub has_fresh_list: bool,
}

/// A list of Mimir's HA tracker.
#[derive(Clone, Debug)]
pub struct TrackerList {
    /// The complete list, without unreadable entries.
    pub elected: Arc<[ElectedReplica]>,
    /// When it was requested from Mimir, in Unix milliseconds: all of it was true then or later.
    pub requested_at_unix_millis: i64,
    /// The same by the monotonic clock of this process; `None` if it is longer ago than that can express.
    pub requested_at: Option<Instant>,
}

impl TrackerList {
    fn age(&self) -> Duration {
        self.requested_at.map_or(Duration::MAX, |requested_at| requested_at.elapsed())
    }
}

/// The lists so far.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// When the last one with entries was requested.
    last_non_empty: Option<Instant>,
    /// When the last one that was applied was requested, in Unix milliseconds.
    requested_at_unix_millis: Option<i64>,
    /// When the newest one becomes stale.
    pub(super) expires: Option<Instant>,
}

impl Lists {
    /// Applies a list; whether it was fresh.
    pub(super) fn apply(&mut self, list: &TrackerList, elections: &Elections) -> bool {
        self.expires = list.requested_at.map(|requested_at| requested_at + LIST_VALID_FOR);
        if list.age() >= LIST_VALID_FOR {
            return false;
        }
        let was_non_empty = |requested_at: Instant| {
            self.last_non_empty.is_some_and(|named| requested_at.saturating_duration_since(named) < LIST_VALID_FOR)
        };
        if !list.elected.is_empty() {
            self.last_non_empty = list.requested_at;
        } else if list.requested_at.is_some_and(was_non_empty) {
            // A distributor that has just started returns an empty list.
            return false;
        }
        if self
            .requested_at_unix_millis
            .replace(list.requested_at_unix_millis)
            .is_some_and(|before| before > list.requested_at_unix_millis)
        {
            // The clock was set back, or is another server's, so the age of older entries is unknown: none of them holds.
            unconfirm_all(elections);
        }
        // Not the current time: with a clock set back in between, the list would drop its own entries.
        let requested_at_unix_millis = UnixMillis::new(list.requested_at_unix_millis);
        for ElectedReplica { tenant, cluster, replica, received_at, elected_at } in &*list.elected {
            let entry = TrackerEntry {
                cluster: cluster.as_bytes(),
                replica: replica.as_bytes(),
                received_at: UnixMillis::new(*received_at),
                elected_at: UnixMillis::new(*elected_at),
            };
            // Without room, the pair is not confirmed, and so denied nothing.
            elections.confirm(tenant, &entry, requested_at_unix_millis);
        }
        elections.forget_unlisted(requested_at_unix_millis);
        true
    }
}

/// Revokes all entries of Mimir's lists.
pub(super) fn unconfirm_all(elections: &Elections) {
    elections.unconfirm(UnixMillis::new(i64::MAX));
}

#[cfg(test)]
mod tests;
