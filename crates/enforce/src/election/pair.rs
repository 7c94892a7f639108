//! The election of one cluster: which replica is elected, which was seen last, and how time changes that.
//!
//! Not here: which clusters there are, and how many. The invariant: exactly one replica is elected at any time.
//!
//! Mimir checks all its pairs every update timeout of its default limits, and only then fails over. Here the missed ticks
//! are applied with the next push of a pair: between two pushes only ticks change a pair, so their effect can be
//! computed afterwards, without a timer. Mimir's own ticks are unknown before its first failover, so a pair's are
//! counted from its election; after a failover they coincide with Mimir's, since it elects on a tick.

use super::rules::ElectionRules;
use crate::time::UnixMillis;

/// After this long without a push of any of its replicas, a pair has expired: Mimir drops one at the
/// first cleanup that finds it idle for 30 minutes, and cleans up every 24 to 36 minutes.
pub(crate) const EXPIRES_AFTER_MILLIS: i64 = (30 + 36) * 60 * 1_000;

/// However short the update timeout is, no more than one push of a cluster in this time has to reach Mimir.
const MIN_DUE_INTERVAL_MILLIS: i64 = 1_000;

/// One cluster's election (Mimir `pkg/distributor/ha_tracker.go`, `haClusterInfo`).
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    elected: Box<[u8]>,
    /// When the elected replica was seen, as Mimir stores it: on a tick.
    received_at: UnixMillis,
    elected_at: UnixMillis,
    /// When the elected replica was last seen here.
    seen_at: Option<UnixMillis>,
    /// When a push of the elected replica last had to reach Mimir; it may turn out not to be forwarded.
    forwarded_at: Option<UnixMillis>,
    /// When one before that was forwarded.
    forwarded_before: Option<UnixMillis>,
    /// Whether the latest one that had to reach Mimir was not forwarded.
    not_forwarded: bool,
    candidate: Option<Candidate>,
    /// Ticks up to this time are applied.
    caught_up_at: UnixMillis,
    confirmed_at: Option<UnixMillis>,
    /// Its time in the tenant's expiry queue.
    pub(crate) queued_at: Option<UnixMillis>,
}

/// The last replica seen that was not the elected one.
#[derive(Debug, Clone)]
struct Candidate {
    replica: Box<[u8]>,
    seen_at: UnixMillis,
    earliest_sample: UnixMillis,
}

impl Candidate {
    /// Whether it takes over on this tick, once the elected replica was silent long enough (`updateKVStore`).
    fn may_succeed(&self, received_at: UnixMillis, tick: UnixMillis, rules: &ElectionRules) -> bool {
        tick.since(self.seen_at) < rules.update
            && (rules.sample_failover == 0 || self.earliest_sample.since(received_at) >= rules.sample_failover)
    }
}

/// The effect of the ticks between two pushes.
struct Ticks {
    /// The stored time after them.
    received_at: UnixMillis,
    /// The tick on which the candidate takes over.
    failover: Option<UnixMillis>,
}

/// An entry of Mimir's list: the elected replica of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerEntry<'w> {
    /// The cluster, `cluster` in the JSON of `GET /distributor/ha_tracker`.
    pub cluster: &'w [u8],
    /// The elected replica, `replica` there.
    pub replica: &'w [u8],
    /// When Mimir saw it last, as stored: `electedLastSeenTime` there.
    pub received_at: UnixMillis,
    /// When Mimir elected it: `lastElectionTime` there.
    pub elected_at: UnixMillis,
}

impl Pair {
    /// The first replica seen is elected.
    pub(crate) fn new(replica: &[u8], now: UnixMillis) -> Self {
        Pair {
            elected: replica.into(),
            received_at: now,
            elected_at: now,
            seen_at: Some(now),
            forwarded_at: Some(now),
            forwarded_before: None,
            not_forwarded: false,
            candidate: None,
            caught_up_at: now,
            confirmed_at: None,
            queued_at: None,
        }
    }

    /// A pair known from Mimir's list alone.
    pub(crate) fn confirmed(entry: &TrackerEntry<'_>, now: UnixMillis) -> Self {
        Pair {
            received_at: entry.received_at,
            elected_at: entry.elected_at,
            seen_at: None,
            forwarded_at: None,
            confirmed_at: Some(now),
            ..Pair::new(entry.replica, now)
        }
    }

    /// Applies an entry of Mimir's list (`updateCache`).
    pub(crate) fn confirm(&mut self, entry: &TrackerEntry<'_>, now: UnixMillis) {
        if *self.elected != *entry.replica {
            let candidate = self.candidate.take_if(|candidate| *candidate.replica == *entry.replica);
            self.seen_at = candidate.as_ref().map(|candidate| candidate.seen_at);
            self.forwarded_at = self.seen_at;
            self.not_forwarded = false;
            self.elected = candidate.map_or_else(|| entry.replica.into(), |candidate| candidate.replica);
        }
        self.received_at = entry.received_at;
        self.elected_at = entry.elected_at;
        self.confirmed_at = Some(now);
    }

    /// When Mimir's list last named it; `None` if it never did, or the entry was revoked.
    pub(crate) fn confirmed_at(&self) -> Option<UnixMillis> {
        self.confirmed_at
    }

    /// Mimir's entry no longer holds; the election continues from it.
    pub(crate) fn unconfirm(&mut self) {
        self.confirmed_at = None;
    }

    /// Bytes of the replicas' names.
    pub(crate) fn name_bytes(&self) -> usize {
        self.elected.len() + self.candidate_bytes()
    }

    /// Bytes of the candidate's name.
    pub(crate) fn candidate_bytes(&self) -> usize {
        self.candidate.as_ref().map_or(0, |candidate| candidate.replica.len())
    }

    /// Bytes of the elected replica's name.
    pub(crate) fn elected_bytes(&self) -> usize {
        self.elected.len()
    }

    /// Whether the replica was elected after the ticks applied so far.
    pub(crate) fn is_elected(&self, replica: &[u8]) -> bool {
        *self.elected == *replica
    }

    /// The elected replica was seen. Returns whether Mimir has to get this push.
    pub(crate) fn saw_elected(&mut self, rules: &ElectionRules, now: UnixMillis) -> bool {
        let due = is_due(self.forwarded_at, rules, now);
        self.seen_at = Some(now);
        if due {
            self.forwarded_before = self.forwarded_at.or(self.forwarded_before);
            self.forwarded_at = Some(now);
            self.not_forwarded = false;
        }
        due
    }

    /// The due push of the elected replica seen at `now` is not forwarded.
    pub(crate) fn note_not_forwarded(&mut self, replica: &[u8], now: UnixMillis) {
        if self.is_elected(replica) && self.forwarded_at == Some(now) {
            self.forwarded_at = None;
            self.not_forwarded = true;
        }
    }

    /// Whether Mimir does not know the elected replica, since no push of it was forwarded for so long: Mimir elects the replica that it gets next.
    pub(crate) fn is_unknown_to_mimir(&self, rules: &ElectionRules, now: UnixMillis) -> bool {
        self.not_forwarded
            && self.confirmed_at.is_none()
            && self.forwarded_before.is_none_or(|forwarded_before| now.since(forwarded_before) >= rules.failover)
    }

    /// A replica that is not elected was seen. The last one seen may take over.
    pub(crate) fn saw_other(&mut self, replica: &[u8], earliest_sample: UnixMillis, now: UnixMillis) {
        match &mut self.candidate {
            Some(candidate) if *candidate.replica == *replica => {
                candidate.seen_at = now;
                candidate.earliest_sample = earliest_sample;
            }
            candidate => *candidate = Some(Candidate { replica: replica.into(), seen_at: now, earliest_sample }),
        }
    }

    /// The same after the ticks up to `now`.
    pub(crate) fn will_be_unknown_to_mimir(&self, rules: &ElectionRules, now: UnixMillis) -> bool {
        self.ticks(rules, now).failover.is_none() && self.is_unknown_to_mimir(rules, now)
    }

    /// Applies the ticks since the last call (`updateKVStoreAll`).
    pub(crate) fn catch_up(&mut self, rules: &ElectionRules, now: UnixMillis) {
        let Ticks { received_at, failover } = self.ticks(rules, now);
        if let Some(tick) = failover
            && let Some(successor) = self.candidate.take()
        {
            self.elected = successor.replica;
            self.seen_at = Some(successor.seen_at);
            self.forwarded_at = self.seen_at;
            self.not_forwarded = false;
            self.elected_at = tick;
        }
        self.received_at = received_at;
        self.caught_up_at = now;
    }

    /// The effect of the ticks since the last [`Pair::catch_up`]. None while Mimir's entry holds: then a failover comes from Mimir's list.
    ///
    /// Between two pushes, at most one tick stores that the elected replica was seen, and at most one later tick
    /// fails over; both are computed, however many ticks there were.
    fn ticks(&self, rules: &ElectionRules, now: UnixMillis) -> Ticks {
        let mut received_at = self.received_at;
        if self.confirmed_at.is_some() {
            return Ticks { received_at, failover: None };
        }
        let mut tick = self.tick_after(self.caught_up_at, received_at.plus(rules.update), rules);
        if let Some(seen_at) = self.seen_at
            && tick <= now
            && tick.since(seen_at) < rules.update
        {
            received_at = seen_at;
            tick = self.tick_after(tick, seen_at.plus(rules.update), rules);
        }
        let tick = self.tick_after(self.caught_up_at, tick.max(received_at.plus(rules.failover)), rules);
        match &self.candidate {
            Some(candidate) if tick <= now && candidate.may_succeed(received_at, tick, rules) => {
                Ticks { received_at: candidate.seen_at, failover: Some(tick) }
            }
            _ => Ticks { received_at, failover: None },
        }
    }

    /// The first tick after `from` that is not before `not_before`.
    fn tick_after(&self, from: UnixMillis, not_before: UnixMillis, rules: &ElectionRules) -> UnixMillis {
        let elapsed = not_before.max(from.plus(1)).since(self.elected_at).max(1);
        let ticks = (elapsed - 1) / rules.tick + 1;
        self.elected_at.plus(ticks.saturating_mul(rules.tick))
    }

    /// Whether the pair has expired. No tick changes that.
    pub(crate) fn is_expired(&self, now: UnixMillis) -> bool {
        self.confirmed_at.is_none() && now.since(self.active_at()) >= EXPIRES_AFTER_MILLIS
    }

    /// The earliest time at which the pair may expire.
    pub(crate) fn expires_at(&self) -> UnixMillis {
        self.active_at().plus(EXPIRES_AFTER_MILLIS)
    }

    /// When any of its replicas was last seen, here or by Mimir.
    fn active_at(&self) -> UnixMillis {
        let candidate = self.candidate.as_ref().map(|candidate| candidate.seen_at);
        [self.seen_at, candidate].into_iter().flatten().fold(self.received_at, UnixMillis::max)
    }

    /// Whether a push of the replica is due at `now`, or `None` if it is not elected then.
    pub(crate) fn preview(&self, replica: &[u8], rules: &ElectionRules, now: UnixMillis) -> Option<bool> {
        let (elected, forwarded_at) = match (&self.candidate, self.ticks(rules, now).failover) {
            (Some(successor), Some(_)) => (&successor.replica, Some(successor.seen_at)),
            _ => (&self.elected, self.forwarded_at),
        };
        (**elected == *replica).then(|| is_due(forwarded_at, rules, now))
    }
}

/// Whether the next push of the elected replica has to reach Mimir, which looks for one in the update timeout before each of its ticks. Pushes of a
/// replica that is not elected always reach it.
fn is_due(forwarded_at: Option<UnixMillis>, rules: &ElectionRules, now: UnixMillis) -> bool {
    forwarded_at.is_none_or(|forwarded_at| now.since(forwarded_at) >= (rules.update / 2).max(MIN_DUE_INTERVAL_MILLIS))
}
