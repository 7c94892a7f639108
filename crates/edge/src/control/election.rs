//! Which replicas of a push are elected.
//!
//! The list of Mimir's HA tracker decides. Before the first list, and without a tracker, the election here does, by the same algorithm.

use std::sync::Arc;

use enforce::{ElectionRules, Elections, HaPair, ReplicaStatus, UnixMillis};
use limits::TenantLimits;
use remote_write::{Dedupe, HaRules, Replica};

use super::{ControlState, HaTracker};

/// The longest cluster or replica name that has an election.
const MAX_NAME_BYTES: usize = 1024;

/// How the replicas of one push are deduplicated.
#[derive(Clone, Debug)]
pub(crate) struct PushElection {
    elections: Arc<Elections>,
    ha_tracker: HaTracker,
    rules: ElectionRules,
    cluster_label: Arc<str>,
    replica_label: Arc<str>,
    each_series: bool,
    now: UnixMillis,
    /// Whether the replicas are recorded as seen.
    records: bool,
}

/// What the elections say about the replicas of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ElectionOutcome {
    /// One of them is not elected: Mimir drops its series.
    pub dropped: bool,
    /// One of them belongs to a pair over `ha_max_clusters`.
    pub too_many_clusters: bool,
    /// One of them has no election, since its tenant has more pairs than are kept.
    pub untracked: bool,
    /// One of them is elected here, and there is no fresh list of Mimir's: it is not charged.
    pub unknown: bool,
    /// Mimir has to get one of them: it has not listed the pair yet, or would elect another replica ([`enforce::Election::due`]). It is charged,
    /// but not denied.
    pub due: bool,
}

/// Replicas that Mimir elects, or keeps elected, by this push, where there is no tracker to ask. Dropped without [`Candidates::forwarded`], as when
/// the call ends early, they count as not forwarded: Mimir elects a replica only by pushes that it gets.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    replicas: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    elections: Arc<Elections>,
    tenant: Box<str>,
    cluster: Box<[u8]>,
    replica: Box<[u8]>,
    now: UnixMillis,
}

impl Candidates {
    pub(crate) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// The push goes on to Mimir.
    pub(crate) fn forwarded(&mut self) {
        self.replicas.clear();
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        for Candidate { elections, tenant, cluster, replica, now } in &self.replicas {
            elections.note_not_forwarded(tenant, cluster, replica, *now);
        }
    }
}

impl PartialEq for Candidates {
    fn eq(&self, other: &Self) -> bool {
        let names = |candidates: &Self| {
            candidates.replicas.iter().map(|it| (it.cluster.clone(), it.replica.clone())).collect::<Vec<_>>()
        };
        names(self) == names(other)
    }
}

impl Eq for Candidates {}

impl ControlState {
    /// The election for a push at `now` (Unix milliseconds); `random` is uniform in `[0, 1)`, and `records` says whether its replicas are
    /// recorded as seen.
    pub(crate) fn election_of(&self, limits: &TenantLimits, (now, random): (i64, f64), records: bool) -> PushElection {
        PushElection {
            elections: Arc::clone(&self.elections),
            ha_tracker: self.ha_tracker,
            rules: ElectionRules::new(limits, self.default_limits(), random),
            cluster_label: Arc::clone(&limits.ha_cluster_label),
            replica_label: Arc::clone(&limits.ha_replica_label),
            each_series: limits.ha_tracker_per_sample_dedupe,
            now: UnixMillis::new(now),
            records,
        }
    }
}

impl PushElection {
    /// The rules by which `dedupe` is called for the replicas of a push.
    pub(crate) fn rules<'t>(&'t self, dedupe: &'t mut dyn FnMut(Replica<'_>) -> Dedupe) -> HaRules<'t> {
        HaRules {
            cluster_label: self.cluster_label.as_bytes(),
            replica_label: self.replica_label.as_bytes(),
            each_series: self.each_series,
            dedupe,
        }
    }

    /// Whether each series is deduplicated on its own.
    pub(crate) fn dedupes_each_series(&self) -> bool {
        self.each_series
    }

    /// Whether the series of a replica of this tenant are kept; adds to the push's `outcome` and `candidates`.
    pub(crate) fn dedupe(
        &self,
        tenant: &str,
        replica: Replica<'_>,
        outcome: &mut ElectionOutcome,
        candidates: &mut Candidates,
    ) -> Dedupe {
        let Some(pair) = HaPair::new(replica.cluster, replica.replica, &self.rules) else { return Dedupe::NoPair };
        // Mimir's handler panics on a cluster that is not UTF-8. Real names are UTF-8 and short.
        let is_name = |name: &[u8]| name.len() <= MAX_NAME_BYTES && std::str::from_utf8(name).is_ok();
        if !is_name(replica.cluster) || !is_name(replica.replica) {
            outcome.untracked = true;
            return Dedupe::Dropped;
        }
        let election = if self.records {
            let earliest = replica.earliest_sample.filter(|_| self.rules.uses_sample_time()).map(UnixMillis::new);
            self.elections.elect(tenant, pair, &self.rules, earliest, self.now)
        } else {
            self.elections.preview(tenant, pair, &self.rules, self.now)
        };
        match election.status {
            ReplicaStatus::Elected => {
                // Without a tracker, Mimir's election is unknown, and the limit applies.
                if self.ha_tracker.is_polled {
                    let has_fresh_list = self.ha_tracker.has_fresh_list();
                    outcome.unknown |= !has_fresh_list;
                    outcome.due |= !has_fresh_list || !election.confirmed || election.due;
                } else if self.records && election.due {
                    candidates.replicas.push(Candidate {
                        elections: Arc::clone(&self.elections),
                        tenant: tenant.into(),
                        cluster: replica.cluster.into(),
                        replica: replica.replica.into(),
                        now: self.now,
                    });
                }
                return Dedupe::Elected;
            }
            ReplicaStatus::NotElected => outcome.dropped = true,
            ReplicaStatus::TooManyClusters => outcome.too_many_clusters = true,
            ReplicaStatus::Untracked => outcome.untracked = true,
        }
        Dedupe::Dropped
    }
}
