//! The elections of Prometheus pairs, and how a push asks for its own.
//!
//! Who is elected is Mimir's word where the server polls Mimir's tracker; before it has come, and without one, the election
//! held here, which is the same algorithm. The invariant: where there is a tracker to ask, a pair that it has not named is refused nothing for
//! its samples, since the election here may be the wrong one; and it costs its tenant's bucket nothing unless a list of the tracker without it is at hand, because
//! only then is the replica that comes first here the one that comes first to Mimir.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforce::{ElectionRules, Elections, HaPair, Standing, UnixMillis, Word};
use limits::{ElectedReplica, TenantLimits};
use limits_source::{HaTrackerFeed, HaTrackerState};
use remote_write::{Dedupe, HaRules, Replica};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// For so long from when Mimir was asked its word holds without being said again, four polls: not long after that it may have elected another one
/// (its default `ha_tracker_failover_timeout`). A list that the feed passes on has had some of that already.
const WORD_HOLDS: Duration = Duration::from_secs(20);

/// The longest name of a pair or a replica whose election is held.
const MOST_NAME_BYTES: usize = 1024;

/// The elections of all tenants; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct HaElections {
    held: Arc<Elections>,
    /// Whether there is a tracker to ask.
    has_tracker: Arc<AtomicBool>,
    /// Whether the tracker's last list is young.
    has_list: Arc<AtomicBool>,
    lists: Arc<Mutex<Lists>>,
}

/// What is known of the lists before.
#[derive(Debug, Default)]
struct Lists {
    /// When the last one that named anybody was asked for.
    named: Option<Instant>,
    /// The same of the last one that was taken, in Unix milliseconds.
    asked_at: Option<i64>,
}

/// How the replicas of one push are judged.
#[derive(Clone, Debug)]
pub(crate) struct HaElection {
    elections: HaElections,
    rules: ElectionRules,
    cluster_label: Arc<str>,
    replica_label: Arc<str>,
    each_series: bool,
    now: UnixMillis,
    /// Whether the replicas are noted as seen.
    notes: bool,
}

/// What came of the replicas of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HaOutcome {
    /// One of them is not the elected one: Mimir drops its series.
    pub dropped: bool,
    /// One of them is of a pair over `ha_max_clusters`.
    pub too_many_clusters: bool,
    /// One of them cannot be judged, since its tenant has more pairs than are held.
    pub untracked: bool,
    /// One of them is elected here, and whom Mimir elected is not known: it is not to be charged.
    pub unknown: bool,
    /// Mimir has to see one of them: it has not named the pair yet, or would elect another one ([`enforce::Election::due`]). It is charged, but
    /// not refused.
    pub forwarded: bool,
}

/// Replicas that Mimir elects, or keeps elected, by a push, where there is no tracker to ask. Unless the push reaches it they are elected nowhere:
/// dropped without [`DueReplicas::reach_mimir`], as with a call that ends early, they are withheld from it.
#[derive(Debug, Default)]
pub(crate) struct DueReplicas {
    replicas: Vec<DueReplica>,
}

#[derive(Debug)]
struct DueReplica {
    elections: HaElections,
    tenant: Box<str>,
    cluster: Box<[u8]>,
    replica: Box<[u8]>,
    now: UnixMillis,
}

impl DueReplicas {
    pub(crate) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// The push goes on to Mimir.
    pub(crate) fn reach_mimir(&mut self) {
        self.replicas.clear();
    }
}

impl Drop for DueReplicas {
    fn drop(&mut self) {
        for DueReplica { elections, tenant, cluster, replica, now } in &self.replicas {
            elections.held.withhold(tenant, cluster, replica, *now);
        }
    }
}

impl PartialEq for DueReplicas {
    fn eq(&self, other: &Self) -> bool {
        let names =
            |due: &Self| due.replicas.iter().map(|it| (it.cluster.clone(), it.replica.clone())).collect::<Vec<_>>();
        names(self) == names(other)
    }
}

impl Eq for DueReplicas {}

impl HaElections {
    /// No pair was seen yet. With a tracker, Mimir's word is to come.
    pub(crate) fn new(has_tracker: bool) -> Self {
        Self {
            held: Arc::default(),
            has_tracker: Arc::new(AtomicBool::new(has_tracker)),
            has_list: Arc::default(),
            lists: Arc::default(),
        }
    }

    /// Notes whether there is a tracker to ask.
    pub(crate) fn set_tracker(&self, has_tracker: bool) {
        self.has_tracker.store(has_tracker, Ordering::Relaxed);
    }

    pub(crate) fn held(&self) -> &Elections {
        &self.held
    }

    /// Takes over what Mimir's tracker says, until `stop` is cancelled. Once it has been silent for long, the elections here go on from what it
    /// said last.
    pub(crate) async fn follow(self, feed: HaTrackerFeed, stop: CancellationToken) {
        let mut states = feed.states;
        let follow = async {
            loop {
                let state = states.borrow_and_update().clone();
                let (elections, holds_until) = (self.clone(), state.asked.map(|asked| asked + WORD_HOLDS));
                // A list can have some hundred thousand pairs.
                let taken = tokio::task::spawn_blocking(move || elections.take_word(&state));
                if taken.await.is_err() {
                    return;
                }
                let Some(holds_until) = holds_until else {
                    if states.changed().await.is_err() {
                        return;
                    }
                    continue;
                };
                match timeout_at(holds_until, states.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        let elections = self.clone();
                        let taken_back = tokio::task::spawn_blocking(move || elections.take_back_word());
                        if taken_back.await.is_err() || states.changed().await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }

    /// Takes over a list: what it names is confirmed, and what it names no longer is forgotten. One that is too old to be believed says nothing.
    fn take_word(&self, state: &HaTrackerState) {
        let Some(elected) = &state.elected else { return };
        if state.age() >= WORD_HOLDS {
            return;
        }
        // Nothing is left half done by one that failed.
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let named_before =
            |asked: Instant| lists.named.is_some_and(|named| asked.saturating_duration_since(named) < WORD_HOLDS);
        if !elected.is_empty() {
            lists.named = state.asked;
        } else if state.asked.is_some_and(named_before) {
            // A distributor that has just started names nobody.
            return;
        }
        if lists.asked_at.replace(state.asked_at).is_some_and(|before| before > state.asked_at) {
            // The clock was set back, or is another server's: what is older cannot be told by it, so nothing older holds.
            self.held.unconfirm(UnixMillis::new(i64::MAX));
        }
        // Not the time of now: a clock that is set back in between would have the list forget itself.
        let asked_at = UnixMillis::new(state.asked_at);
        for ElectedReplica { tenant, cluster, replica, received_at, elected_at } in &**elected {
            let word = Word {
                cluster: cluster.as_bytes(),
                replica: replica.as_bytes(),
                received_at: UnixMillis::new(*received_at),
                elected_at: UnixMillis::new(*elected_at),
            };
            // Without room for it the pair is not confirmed, and so refused nothing.
            self.held.confirm(tenant, &word, asked_at);
        }
        self.held.forget_unlisted(asked_at);
        self.has_list.store(true, Ordering::Relaxed);
    }

    /// What Mimir said does not hold any more.
    fn take_back_word(&self) {
        self.has_list.store(false, Ordering::Relaxed);
        self.held.unconfirm(UnixMillis::new(i64::MAX));
    }

    /// Forgets pairs that have been idle for long.
    pub(crate) fn keep_house(&self, now: i64) {
        self.held.evict_idle(UnixMillis::new(now));
    }

    /// The election of a push that comes at `now` (Unix milliseconds); `random` is uniform in `[0, 1)`.
    pub(crate) fn of_push(
        &self,
        limits: &TenantLimits,
        defaults: &TenantLimits,
        (now, random): (i64, f64),
        notes: bool,
    ) -> HaElection {
        HaElection {
            elections: self.clone(),
            rules: ElectionRules::new(limits, defaults, random),
            cluster_label: Arc::clone(&limits.ha_cluster_label),
            replica_label: Arc::clone(&limits.ha_replica_label),
            each_series: limits.ha_tracker_per_sample_dedupe,
            now: UnixMillis::new(now),
            notes,
        }
    }
}

impl HaElection {
    /// The rules by which `judge` is asked about the replicas of a push.
    pub(crate) fn rules<'t>(&'t self, judge: &'t mut dyn FnMut(Replica<'_>) -> Dedupe) -> HaRules<'t> {
        HaRules {
            cluster_label: self.cluster_label.as_bytes(),
            replica_label: self.replica_label.as_bytes(),
            each_series: self.each_series,
            judge,
        }
    }

    /// Whether a replica is asked about for each series.
    pub(crate) fn judges_each_series(&self) -> bool {
        self.each_series
    }

    /// What becomes of the series of a replica of this tenant; adds to the push's `outcome`, and to the replicas that are `due`.
    pub(crate) fn judge(
        &self,
        tenant: &str,
        replica: Replica<'_>,
        outcome: &mut HaOutcome,
        due: &mut DueReplicas,
    ) -> Dedupe {
        let Some(pair) = HaPair::new(replica.cluster, replica.replica, &self.rules) else { return Dedupe::NoPair };
        // Mimir's handler dies of a cluster that is no UTF-8. Nobody names one so, nor by a kilobyte.
        let is_name = |name: &[u8]| name.len() <= MOST_NAME_BYTES && std::str::from_utf8(name).is_ok();
        if !is_name(replica.cluster) || !is_name(replica.replica) {
            outcome.untracked = true;
            return Dedupe::Dropped;
        }
        let held = &self.elections.held;
        let election = if self.notes {
            let earliest = replica.earliest_sample.filter(|_| self.rules.uses_sample_time()).map(UnixMillis::new);
            held.elect(tenant, pair, &self.rules, earliest, self.now)
        } else {
            held.preview(tenant, pair, &self.rules, self.now)
        };
        match election.standing {
            Standing::Elected => {
                // Without a tracker to ask nobody knows whom Mimir elects, and the limit is held.
                if self.elections.has_tracker.load(Ordering::Relaxed) {
                    let has_list = self.elections.has_list.load(Ordering::Relaxed);
                    outcome.unknown |= !election.confirmed && !has_list;
                    outcome.forwarded |= !election.confirmed || election.due;
                } else if self.notes && election.due {
                    due.replicas.push(DueReplica {
                        elections: self.elections.clone(),
                        tenant: tenant.into(),
                        cluster: replica.cluster.into(),
                        replica: replica.replica.into(),
                        now: self.now,
                    });
                }
                return Dedupe::Elected;
            }
            Standing::NotElected => outcome.dropped = true,
            Standing::TooManyClusters => outcome.too_many_clusters = true,
            Standing::Untracked => outcome.untracked = true,
        }
        Dedupe::Dropped
    }
}

#[cfg(test)]
mod tests;
