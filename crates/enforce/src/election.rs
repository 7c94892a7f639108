//! Which replica of a Prometheus pair is elected, by the algorithm of Mimir's HA tracker
//! (Mimir `pkg/distributor/ha_tracker.go`, `ha_dedupe*.go`).
//!
//! The labels `(cluster, replica)` name a pair and one of its replicas. The first replica seen of a cluster is elected;
//! another takes over once the elected one is silent. An entry of Mimir's list, [`Elections::confirm`], replaces the
//! election here and holds until it is revoked. Not here: finding the labels, and what follows from the
//! result: pushes of a replica that is not elected are forwarded and charged nothing.
//!
//! Invariants: exactly one replica of a known pair is elected at any time; evicting idle pairs changes no
//! decision; the pairs of one tenant take at most [`MAX_TENANT_BYTES`].

mod pair;
mod rules;
mod tenant_elections;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

pub use pair::TrackerEntry;
pub use rules::ElectionRules;
pub use tenant_elections::MAX_TENANT_BYTES;
use tenant_elections::{PAIRS_PER_STEP, Step, TenantElections};

use crate::time::UnixMillis;

/// As many as the buckets have: eviction locks one shard at a time.
const SHARDS: usize = 256;
/// The most bytes that the elections of all tenants may take. Clients choose both tenants and names.
///
/// It is enough for half a million pairs with usual names.
pub const MAX_BYTES: usize = 256 << 20;

/// A map shrinks once it has room for this many times its entries.
const SPARSE: usize = 8;

/// The labels of a push that is deduplicated: of its first series, or of each where the tenant has
/// `ha_tracker_per_sample_dedupe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HaPair<'l> {
    cluster: &'l [u8],
    replica: &'l [u8],
}

impl<'l> HaPair<'l> {
    /// `None` if the series belongs to no pair, so that Mimir accepts it with its labels unchanged: a label is
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

/// The status of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaStatus {
    /// Its series are accepted, without their replica label, and charged.
    Elected,
    /// Another one is elected: Mimir answers 202, ingests nothing and charges nothing.
    NotElected,
    /// The cluster is one more than the tenant's `ha_max_clusters`: Mimir answers 400, ingests nothing and charges
    /// nothing, but it may know fewer clusters than the edge.
    TooManyClusters,
    /// The cluster is unknown, and [`MAX_TENANT_BYTES`] or [`MAX_BYTES`] have no room for it: the status is unknown too.
    Untracked,
}

impl ReplicaStatus {
    /// Whether the series are charged. Those of an unknown status are not: Mimir charges them itself.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        matches!(self, ReplicaStatus::Elected)
    }
}

/// The election of the pair of a push, or of one pair in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Election {
    /// The status of the replica.
    pub status: ReplicaStatus,
    /// Whether Mimir's list says so, and not only the election here.
    pub confirmed: bool,
    /// Whether Mimir has to get this push even if it is over the ingestion limit. Mimir's tracker sees only pushes that reach
    /// Mimir, before their limits apply: an edge that denied all pushes of an elected replica would make Mimir elect
    /// another. So one push per half of the update timeout is due, and the first of a cluster.
    pub due: bool,
}

impl Election {
    /// An election whose push need not reach Mimir.
    fn of(status: ReplicaStatus, confirmed: bool) -> Self {
        Election { status, confirmed, due: false }
    }
}

/// The elections of all tenants, for use by many threads at once.
///
/// Tenants are named by their bare ID ([`limits::Tenant::id`]): Mimir's tracker knows no metadata suffix. Each call
/// locks one shard and releases it before it returns. Times are of the wall clock, and may come out of order.
#[derive(Debug)]
pub struct Elections {
    tenants: DashMap<Box<str>, TenantElections>,
    /// Of all pairs.
    bytes: AtomicUsize,
    max_bytes: usize,
    untracked: AtomicU64,
}

impl Elections {
    /// Elections without any pair, which take at most [`MAX_BYTES`].
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

    /// Whether there is room for a new pair; the pairs of Mimir's list are always kept.
    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Changes a tenant's elections, and updates the bytes of all.
    fn change<R>(&self, tenant: &mut TenantElections, change: impl FnOnce(&mut TenantElections) -> R) -> R {
        let before = tenant.bytes();
        let changed = change(tenant);
        let after = tenant.bytes();
        self.bytes.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.bytes.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        changed
    }

    /// The status of a replica that pushes at `now`; records that it was seen.
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
            // An entry for the tenant would take memory too.
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

    /// What [`Elections::elect`] would return at `now`. Records nothing.
    pub fn preview(&self, tenant: &str, pair: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> Election {
        let has_room = self.has_room();
        let known = self.tenants.get(tenant).map(|known| known.preview(pair, rules, now, has_room));
        known.unwrap_or_else(|| TenantElections::default().preview(pair, rules, now, has_room))
    }

    /// Applies an entry of Mimir's list. It holds, and no replica takes over here, until
    /// [`Elections::unconfirm`] or [`Elections::forget_unlisted`] revokes it; `ha_max_clusters` does not matter.
    ///
    /// `false` if the tenant has no room for it; the pair then stays as it is.
    pub fn confirm(&self, tenant: &str, entry: &TrackerEntry<'_>, now: UnixMillis) -> bool {
        let confirm = |known: &mut TenantElections| self.change(known, |known| known.confirm(entry, now));
        if let Some(mut known) = self.tenants.get_mut(tenant) {
            return confirm(&mut known);
        }
        confirm(&mut self.tenants.entry(tenant.into()).or_default())
    }

    /// Whether an entry of Mimir's list holds for the cluster.
    #[must_use]
    pub fn is_confirmed(&self, tenant: &str, cluster: &[u8]) -> bool {
        self.tenants.get(tenant).is_some_and(|known| known.is_confirmed(cluster))
    }

    /// Drops the pairs that Mimir last listed before `since`, and returns how many: call it after a complete list, with the time of its
    /// request. Mimir has dropped them too, so the replica that pushes next is elected.
    ///
    /// Pairs that Mimir never listed, or whose entry was revoked, stay.
    pub fn forget_unlisted(&self, since: UnixMillis) -> usize {
        self.in_steps(|tenant, after| tenant.forget_unlisted(since, after))
    }

    /// Revokes entries of Mimir's lists from before `since`, when Mimir does not respond any more, and returns how many. The election here
    /// continues from them.
    pub fn unconfirm(&self, since: UnixMillis) -> usize {
        self.in_steps(|tenant, after| tenant.unconfirm(since, after))
    }

    /// Visits the pairs of all tenants, some hundred under one lock; returns how many were changed.
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

    /// Drops pairs that had no push for 66 minutes and that Mimir's list does not name; returns how many.
    ///
    /// No decision at `now` or later changes: an expired pair counts as unknown, dropped or not, because Mimir's
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
                let (dropped, more) = self.change(&mut tenant, |tenant| tenant.drop_expired(now, PAIRS_PER_STEP));
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

    /// How many pairs are known, counted shard by shard.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.len()).sum()
    }

    /// Whether no pair is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pushes had a pair without room.
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
