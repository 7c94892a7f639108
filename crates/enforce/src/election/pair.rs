//! The election of one cluster: who is elected, who was seen last, and what time makes of it.
//!
//! Not here: which clusters there are, and how many. The invariant: exactly one replica is elected at any time.
//!
//! Mimir looks at all its pairs every update timeout of its default limits, and only then fails over. Here those ticks
//! are caught up with when a pair is next labels for: between two pushes nothing but ticks changes a pair, so what they
//! would have done can be told afterwards, without a task that has to run in time. The ticks of Mimir's process cannot
//! be known before it has failed over once, so a pair's are counted from its election; after a failover that is Mimir's
//! own beat, since it elects on a tick.

use super::rules::ElectionRules;
use super::unix_millis::UnixMillis;

/// After this long without a push of any of its replicas, a pair is as if it had never been: Mimir drops one at the
/// first cleanup that finds it idle for 30 minutes, and cleans up every 24 to 36 minutes.
pub(crate) const EXPIRES_AFTER_MILLIS: i64 = (30 + 36) * 60 * 1_000;

/// However short the update timeout is, no more than one push of a cluster in this time has to reach Mimir.
const MIN_DUE_INTERVAL_MILLIS: i64 = 1_000;

/// One cluster's election (Mimir `pkg/distributor/ha_tracker.go`, `haClusterInfo`).
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    elected: Box<[u8]>,
    /// When the elected replica was seen, as stored: later pushes of it are stored on a tick.
    received_at: UnixMillis,
    elected_at: UnixMillis,
    /// When the elected replica was last seen here.
    seen_at: Option<UnixMillis>,
    /// When a push of the elected replica was last sure to reach Mimir; the latest one may not be forwarded yet.
    forwarded_at: Option<UnixMillis>,
    /// When one before that did.
    forwarded_before: Option<UnixMillis>,
    /// Whether the latest one that had to reach Mimir was not forwarded.
    not_forwarded: bool,
    candidate: Option<Candidate>,
    /// Up to when ticks have been caught up with.
    caught_up_at: UnixMillis,
    confirmed_at: Option<UnixMillis>,
    /// Where it stands in its tenant's line of pairs to be forgotten.
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
    /// Whether it takes over on this tick, with the elected replica known to be silent long enough (`updateKVStore`).
    fn may_succeed(&self, received_at: UnixMillis, tick: UnixMillis, rules: &ElectionRules) -> bool {
        tick.since(self.seen_at) < rules.update
            && (rules.sample_failover == 0 || self.earliest_sample.since(received_at) >= rules.sample_failover)
    }
}

/// What the ticks between two pushes do to a pair.
struct Due {
    /// The stored time after them.
    received_at: UnixMillis,
    /// The tick on which the candidate takes over.
    failover: Option<UnixMillis>,
}

/// Who Mimir says is elected.
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

    /// A pair that is known from Mimir alone.
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

    /// Takes an entry of Mimir's list, whatever was held here (`updateCache`).
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

    /// When Mimir's list last named it; `None` if it holds no longer, or never came.
    pub(crate) fn confirmed_at(&self) -> Option<UnixMillis> {
        self.confirmed_at
    }

    /// Mimir's list no longer holds; the election goes on from it.
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

    /// Whether the replica was elected when the pair was last settled.
    pub(crate) fn is_elected(&self, replica: &[u8]) -> bool {
        *self.elected == *replica
    }

    /// The elected replica was seen. Whether Mimir has to see it too; it then does.
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

    /// The push of the elected replica that was seen at `now`, and was to reach Mimir, does not.
    pub(crate) fn note_not_forwarded(&mut self, replica: &[u8], now: UnixMillis) {
        if self.is_elected(replica) && self.forwarded_at == Some(now) {
            self.forwarded_at = None;
            self.not_forwarded = true;
        }
    }

    /// Whether Mimir knows nothing of the elected replica, since nothing of it was forwarded for so long: the replica seen next is the first
    /// one to Mimir.
    pub(crate) fn is_unknown_to_mimir(&self, rules: &ElectionRules, now: UnixMillis) -> bool {
        self.not_forwarded
            && self.confirmed_at.is_none()
            && self.forwarded_before.is_none_or(|forwarded_before| now.since(forwarded_before) >= rules.failover)
    }

    /// A replica that is not elected was seen. The last one seen is the one that may take over.
    pub(crate) fn saw_other(&mut self, replica: &[u8], earliest_sample: UnixMillis, now: UnixMillis) {
        match &mut self.candidate {
            Some(candidate) if *candidate.replica == *replica => {
                candidate.seen_at = now;
                candidate.earliest_sample = earliest_sample;
            }
            candidate => *candidate = Some(Candidate { replica: replica.into(), seen_at: now, earliest_sample }),
        }
    }

    /// The same once the pair is settled at `now`.
    pub(crate) fn will_be_unknown_to_mimir(&self, rules: &ElectionRules, now: UnixMillis) -> bool {
        self.due(rules, now).failover.is_none() && self.is_unknown_to_mimir(rules, now)
    }

    /// Does what the ticks since the last call would have done (`updateKVStoreAll`).
    pub(crate) fn catch_up(&mut self, rules: &ElectionRules, now: UnixMillis) {
        let Due { received_at, failover } = self.due(rules, now);
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

    /// What the ticks since the last [`Pair::catch_up`] do. While Mimir's list holds, nothing: a failover is Mimir's to
    /// tell then.
    ///
    /// Of the ticks between two pushes, at most one stores that the elected replica was seen, and at most one, later,
    /// fails over; both are found by arithmetic, however many ticks there were.
    fn due(&self, rules: &ElectionRules, now: UnixMillis) -> Due {
        let mut received_at = self.received_at;
        if self.confirmed_at.is_some() {
            return Due { received_at, failover: None };
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
                Due { received_at: candidate.seen_at, failover: Some(tick) }
            }
            _ => Due { received_at, failover: None },
        }
    }

    /// The first tick after `from` that is not before `not_before`.
    fn tick_after(&self, from: UnixMillis, not_before: UnixMillis, rules: &ElectionRules) -> UnixMillis {
        let elapsed = not_before.max(from.plus(1)).since(self.elected_at).max(1);
        let ticks = (elapsed - 1) / rules.tick + 1;
        self.elected_at.plus(ticks.saturating_mul(rules.tick))
    }

    /// Whether the pair is as if it had never been. No tick changes that, so it does not matter when it is labels.
    pub(crate) fn is_expired(&self, now: UnixMillis) -> bool {
        self.confirmed_at.is_none() && now.since(self.active_at()) >= EXPIRES_AFTER_MILLIS
    }

    /// The earliest time at which the pair may be forgotten.
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
        let (elected, forwarded_at) = match (&self.candidate, self.due(rules, now).failover) {
            (Some(successor), Some(_)) => (&successor.replica, Some(successor.seen_at)),
            _ => (&self.elected, self.forwarded_at),
        };
        (**elected == *replica).then(|| is_due(forwarded_at, rules, now))
    }
}

/// Whether it is so long that a push of the elected replica was sure to reach Mimir that the next one has to: pushes of a
/// replica that is not elected always do, and Mimir looks for one in the update timeout before each of its ticks.
fn is_due(forwarded_at: Option<UnixMillis>, rules: &ElectionRules, now: UnixMillis) -> bool {
    forwarded_at.is_none_or(|forwarded_at| now.since(forwarded_at) >= (rules.update / 2).max(MIN_DUE_INTERVAL_MILLIS))
}
