//! Which replica of a Prometheus pair is the elected one, as Mimir's HA tracker decides it
//! (Mimir `pkg/distributor/ha_tracker.go`, `ha_dedupe*.go`).
//!
//! A tenant's `(cluster, replica)` labels name a pair and one of it. The first replica seen of a cluster is elected;
//! another takes over once the elected one is silent. What Mimir says about a pair, [`Elections::confirm`], replaces
//! what was decided here and holds until it is taken back. Not here: finding the labels, and what is done with the
//! answer: pushes of a replica that is not elected are forwarded and charged nothing.
//!
//! The invariants: exactly one replica of a held pair is elected at any time; forgetting idle pairs changes no
//! decision; what one tenant's pairs take is bounded by [`MAX_TENANT_BYTES`].

mod pair;
mod rules;
mod tenant_elections;
mod unix_millis;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

pub use pair::TrackerEntry;
pub use rules::ElectionRules;
pub use tenant_elections::MAX_TENANT_BYTES;
use tenant_elections::{PAIRS_PER_STEP, Step, TenantElections};
pub use unix_millis::UnixMillis;

/// As many as the buckets have, for the same reason.
const SHARDS: usize = 256;
/// The most bytes that the elections of all tenants may take. Senders may choose tenants, as they choose names.
///
/// It is enough for half a million pairs with names as people give them.
pub const MAX_BYTES: usize = 256 << 20;

/// Memory is given back once a map has room for this many times what it holds.
const SPARSE: usize = 8;

/// The labels of a push that is deduplicated: of its first series, or of each where the tenant has
/// `ha_tracker_per_sample_dedupe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HaPair<'l> {
    cluster: &'l [u8],
    replica: &'l [u8],
}

impl<'l> HaPair<'l> {
    /// `None` if Mimir takes the series for one of no pair, accepts it and leaves its labels as they are: a label is
    /// empty or absent, or the replica is longer than `max_label_value_length` (`checkSample`).
    ///
    /// Where a series has a label twice, Mimir takes the last one (`findHALabels`).
    #[must_use]
    pub fn new(cluster: &'l [u8], replica: &'l [u8], rules: &ElectionRules) -> Option<Self> {
        let length = i64::try_from(replica.len()).unwrap_or(i64::MAX);
        let is_ha = !cluster.is_empty() && !replica.is_empty() && length <= rules.max_replica_bytes;
        is_ha.then_some(HaPair { cluster, replica })
    }
}

/// What a replica is to its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaStatus {
    /// Its series are accepted, without their replica label, and charged.
    Elected,
    /// Another one is elected: Mimir answers 202, ingests nothing and charges nothing.
    NotElected,
    /// The cluster is one more than the tenant's `ha_max_clusters`: Mimir answers 400, ingests nothing and charges
    /// nothing, but it may hold fewer clusters than are held here.
    TooManyClusters,
    /// The cluster is not known and finds no room in [`MAX_TENANT_BYTES`] or [`MAX_BYTES`]: nothing can be said about the replica.
    Untracked,
}

impl ReplicaStatus {
    /// Whether the series cost anything. Where it is unknown they don't: Mimir charges them itself.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        matches!(self, ReplicaStatus::Elected)
    }
}

/// The answer to one push, or to one pair in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Election {
    /// What the replica is to its pair.
    pub status: ReplicaStatus,
    /// Whether Mimir's list says so and not only the election held here.
    pub confirmed: bool,
    /// Whether Mimir has to get this push even if its items are over their limit. Its tracker elects and keeps alive only
    /// replicas whose pushes reach it, before it limits them: an edge that refused all of an elected replica's pushes
    /// would make it elect another. So one push per half of the update timeout is due, the first of a cluster above all.
    pub due: bool,
}

impl Election {
    /// Where no push has to reach Mimir.
    fn of(status: ReplicaStatus, confirmed: bool) -> Self {
        Election { status, confirmed, due: false }
    }
}

/// The elections of all tenants, for use by many threads at once.
///
/// Tenants are named by their bare ID ([`limits::Tenant::id`]): Mimir's tracker knows no metadata suffix. Each call
/// takes one shard's lock and gives it back before it returns. Time is the wall clock, and may come out of order.
#[derive(Debug)]
pub struct Elections {
    tenants: DashMap<Box<str>, TenantElections>,
    /// What all pairs take together.
    bytes: AtomicUsize,
    max_bytes: usize,
    untracked: AtomicU64,
}

impl Elections {
    /// Elections in which no replica was seen yet, of all tenants together [`MAX_BYTES`] at most.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(MAX_BYTES)
    }

    fn with_room(max_bytes: usize) -> Self {
        Elections {
            tenants: DashMap::with_shard_amount(SHARDS),
            bytes: AtomicUsize::new(0),
            max_bytes,
            untracked: AtomicU64::new(0),
        }
    }

    /// Whether a pair that is not held may be; what Mimir's list names always is.
    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Changes a tenant's elections, and keeps count of what all take.
    fn change<R>(&self, tenant: &mut TenantElections, change: impl FnOnce(&mut TenantElections) -> R) -> R {
        let before = tenant.bytes();
        let changed = change(tenant);
        let after = tenant.bytes();
        self.bytes.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.bytes.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        changed
    }

    /// Tells the status of a replica that pushes at `now`, and notes that it was seen.
    ///
    /// `earliest_sample` is the time of the earliest among the first samples and first histograms of the push's series
    /// (of the pair's, where each series is decided); it only matters where [`ElectionRules::uses_sample_time`].
    /// Without one, and at most, it is `now`.
    pub fn elect(
        &self,
        tenant: &str,
        pair: HaPair<'_>,
        rules: &ElectionRules,
        earliest_sample: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Election {
        let earliest_sample = earliest_sample.map_or(now, |sample| sample.min(now));
        let has_room = self.has_room();
        if !has_room && !self.tenants.contains_key(tenant) {
            // Nothing is kept of a tenant for which there is no room: its name would be what is kept.
            self.untracked.fetch_add(1, Ordering::Relaxed);
            return Election::of(ReplicaStatus::Untracked, false);
        }
        let elect = |known: &mut TenantElections| {
            self.change(known, |known| known.elect(pair, rules, earliest_sample, now, has_room))
        };
        // Two look-ups for a new tenant, so that a known one costs no allocation.
        let known = self.tenants.get_mut(tenant).map(|mut known| elect(&mut known));
        let election = known.unwrap_or_else(|| elect(&mut self.tenants.entry(tenant.into()).or_default()));
        if election.status == ReplicaStatus::Untracked {
            self.untracked.fetch_add(1, Ordering::Relaxed);
        }
        election
    }

    /// Notes that a push is not forwarded, after [`Elections::elect`] answered at `now` that it is due. Mimir does not elect a replica
    /// of which it gets no push, so the next replica of the cluster takes its place here too.
    pub fn note_not_forwarded(&self, tenant: &str, cluster: &[u8], replica: &[u8], now: UnixMillis) {
        if let Some(mut known) = self.tenants.get_mut(tenant) {
            known.note_not_forwarded(cluster, replica, now);
        }
    }

    /// What [`Elections::elect`] would tell at `now`. Notes nothing.
    pub fn preview(&self, tenant: &str, pair: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> Election {
        let has_room = self.has_room();
        let known = self.tenants.get(tenant).map(|known| known.preview(pair, rules, now, has_room));
        known.unwrap_or_else(|| TenantElections::default().preview(pair, rules, now, has_room))
    }

    /// Takes from Mimir's list who is elected in a cluster. It holds, and nobody takes over here, until
    /// [`Elections::unconfirm`] or [`Elections::forget_unlisted`] takes it back; `ha_max_clusters` does not matter.
    ///
    /// `false` if the tenant has no room for it; the pair is then left as it is.
    pub fn confirm(&self, tenant: &str, entry: &TrackerEntry<'_>, now: UnixMillis) -> bool {
        let confirm = |known: &mut TenantElections| self.change(known, |known| known.confirm(entry, now));
        if let Some(mut known) = self.tenants.get_mut(tenant) {
            return confirm(&mut known);
        }
        confirm(&mut self.tenants.entry(tenant.into()).or_default())
    }

    /// Whether Mimir's list holds for the cluster.
    #[must_use]
    pub fn is_confirmed(&self, tenant: &str, cluster: &[u8]) -> bool {
        self.tenants.get(tenant).is_some_and(|known| known.is_confirmed(cluster))
    }

    /// Drops the pairs that Mimir last named before `since`: for the end of a complete list, with the time at which
    /// its reading began. Mimir holds them no longer, so whoever pushes next is elected. How many those were.
    ///
    /// Pairs that Mimir has never named, or whose entry expired, stay.
    pub fn forget_unlisted(&self, since: UnixMillis) -> usize {
        self.in_steps(|tenant, after| tenant.forget_unlisted(since, after))
    }

    /// Takes back what Mimir said before `since`: for a Mimir that cannot be labels any more. The election here goes on
    /// from it. How many pairs those were.
    pub fn unconfirm(&self, since: UnixMillis) -> usize {
        self.in_steps(|tenant, after| tenant.unconfirm(since, after))
    }

    /// Goes over the pairs of all tenants, some hundred under one lock; how many were changed.
    fn in_steps(&self, mut step: impl FnMut(&mut TenantElections, Option<&[u8]>) -> Step) -> usize {
        let (mut count, mut unfinished) = (0, Vec::new());
        for mut tenant in self.tenants.iter_mut() {
            let done = self.change(&mut tenant, |tenant| step(tenant, None));
            count += done.count;
            unfinished.extend(done.after.map(|after| (tenant.key().clone(), after)));
        }
        for (tenant, mut after) in unfinished {
            while let Some(mut known) = self.tenants.get_mut(&tenant) {
                let done = self.change(&mut known, |known| step(known, Some(&*after)));
                count += done.count;
                let Some(next) = done.after else { break };
                after = next;
            }
        }
        count
    }

    /// Gives back the memory of pairs, not of those that Mimir's list names, that had no push for 66 minutes; how many those were.
    ///
    /// No decision at `now` or later changes: such a pair is as if it had never been, dropped or not, because Mimir's
    /// own cleanup has dropped it by then. One shard is locked at a time.
    pub fn evict_idle(&self, now: UnixMillis) -> usize {
        let (mut evicted, mut unfinished) = (0, Vec::new());
        self.tenants.retain(|name, tenant| {
            let (dropped, more) = self.change(tenant, |tenant| tenant.drop_expired(now, PAIRS_PER_STEP));
            evicted += dropped;
            unfinished.extend(more.then(|| name.clone()));
            tenant.len() > 0
        });
        for name in unfinished {
            while let Some(mut tenant) = self.tenants.get_mut(&name) {
                let (dropped, more) =
                    self.change(&mut tenant, |tenant| tenant.drop_expired(now, PAIRS_PER_STEP));
                evicted += dropped;
                if !more {
                    break;
                }
            }
            self.tenants.remove_if(&name, |_, tenant| tenant.len() == 0);
        }
        if self.tenants.len() < self.tenants.capacity() / SPARSE {
            self.tenants.shrink_to_fit();
        }
        evicted
    }

    /// How many pairs are held, counted shard by shard.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.len()).sum()
    }

    /// Whether no pair is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pushes found no room for their pair.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }
}

impl Default for Elections {
    fn default() -> Self {
        Elections::new()
    }
}

#[cfg(test)]
mod tests;
