//! How a push asks which of its replicas are elected.
//!
//! Who is elected is what Mimir's HA tracker says, once it has said something; before that, and without one, the election held here, which is the
//! same algorithm.

use std::sync::Arc;

use enforce::{ElectionRules, Elections, HaPair, ReplicaStatus, UnixMillis};
use limits::TenantLimits;
use remote_write::{Dedupe, HaRules, Replica};

use super::{ControlState, HaTracker};

/// The longest name of a pair or a replica whose election is held.
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
    /// Whether the replicas are noted as seen.
    records: bool,
}

/// What came of the replicas of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ElectionOutcome {
    /// One of them is not the elected one: Mimir drops its series.
    pub dropped: bool,
    /// One of them is of a pair over `ha_max_clusters`.
    pub too_many_clusters: bool,
    /// One of them cannot be deduplicated, since its tenant has more pairs than are held.
    pub untracked: bool,
    /// One of them is elected here, and whom Mimir elected is not known: it is not to be charged.
    pub unknown: bool,
    /// Mimir has to see one of them: it has not named the pair yet, or would elect another one ([`enforce::Election::due`]). It is charged, but
    /// not denied.
    pub forwarded: bool,
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
    /// The election of a push that comes at `now` (Unix milliseconds); `random` is uniform in `[0, 1)`, and `records` says whether its replicas are
    /// noted as seen.
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
    /// The rules by which `dedupe` is asked about the replicas of a push.
    pub(crate) fn rules<'t>(&'t self, dedupe: &'t mut dyn FnMut(Replica<'_>) -> Dedupe) -> HaRules<'t> {
        HaRules {
            cluster_label: self.cluster_label.as_bytes(),
            replica_label: self.replica_label.as_bytes(),
            each_series: self.each_series,
            dedupe,
        }
    }

    /// Whether a replica is asked about for each series.
    pub(crate) fn dedupes_each_series(&self) -> bool {
        self.each_series
    }

    /// What becomes of the series of a replica of this tenant; adds to the push's `outcome`, and to its `candidates`.
    pub(crate) fn dedupe(
        &self,
        tenant: &str,
        replica: Replica<'_>,
        outcome: &mut ElectionOutcome,
        candidates: &mut Candidates,
    ) -> Dedupe {
        let Some(pair) = HaPair::new(replica.cluster, replica.replica, &self.rules) else { return Dedupe::NoPair };
        // Mimir's handler dies of a cluster that is no UTF-8. Real names are UTF-8 and short.
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
                // Without a tracker to ask it is not known whom Mimir elects, and the limit is held.
                if self.ha_tracker.is_polled {
                    outcome.unknown |= !election.confirmed && !self.ha_tracker.has_fresh_list;
                    outcome.forwarded |= !election.confirmed || election.due;
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
