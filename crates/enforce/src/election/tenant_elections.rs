//! The elections of one tenant.
//!
//! Not here: the map of tenants and its locks. Invariants: names, and [`PAIR_BYTES`] for each cluster, take at most
//! [`MAX_TENANT_BYTES`]; each pair that Mimir's list does not name is in the expiry queue, with a time at which it has not
//! expired yet or has just expired.
//!
//! A push visits a bounded number of pairs besides its own, and so does each step over all pairs: to hold the lock for ten
//! thousand pairs would keep the pushes of a shard waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::pair::{Pair, TrackerEntry};
use super::rules::ElectionRules;
use super::{Election, HaPair, ReplicaStatus};
use crate::time::UnixMillis;

/// The most bytes one tenant's elections may take.
///
/// Clients choose the names, and `ha_max_clusters` may be 0. It is enough for Mimir's default limits, 100 clusters with
/// names of at most 2,048 bytes, and for more than 10,000 clusters with usual names.
pub const MAX_TENANT_BYTES: usize = 4 << 20;

/// What a cluster takes besides its names, with its entries in the maps.
pub(crate) const PAIR_BYTES: usize = 320;

/// How many pairs a push checks for expiry besides its own.
const PAIRS_PER_PUSH: usize = 8;
/// How many pairs one step over all pairs visits.
pub(crate) const PAIRS_PER_STEP: usize = 256;

/// All elections of one tenant.
#[derive(Debug, Default)]
pub(crate) struct TenantElections {
    clusters: BTreeMap<Arc<[u8]>, Pair>,
    bytes: usize,
    /// When each pair may expire, as of its last check. Those of Mimir's list never do.
    expiry_queue: BTreeSet<(UnixMillis, Arc<[u8]>)>,
}

/// The result of a step over the pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many pairs were changed or dropped.
    pub(crate) count: usize,
    /// Where the next step continues; `None` after the last one.
    pub(crate) after: Option<Arc<[u8]>>,
}

impl TenantElections {
    /// Mimir's `checkReplica`, by Mimir's list if that names the pair. Without `has_room`, unknown pairs stay unknown.
    pub(crate) fn elect(
        &mut self,
        labels: HaPair<'_>,
        rules: &ElectionRules,
        earliest_sample: UnixMillis,
        now: UnixMillis,
        has_room: bool,
    ) -> Election {
        self.make_room(labels.cluster, labels.replica.len(), now);
        let Some(pair) = self.clusters.get_mut(labels.cluster) else {
            return of_new(if has_room { self.elect_new(labels, rules, now) } else { ReplicaStatus::Untracked });
        };
        self.bytes -= pair.name_bytes();
        pair.catch_up(rules, now);
        let confirmed = pair.confirmed_at().is_some();
        let mut election = Election::of(ReplicaStatus::NotElected, confirmed);
        let has_room = self.bytes + labels.replica.len() <= MAX_TENANT_BYTES;
        if !pair.is_elected(labels.replica) && pair.is_unknown_to_mimir(rules, now) && has_room {
            // It keeps its place in the expiry queue.
            let queued_at = pair.queued_at;
            *pair = Pair::new(labels.replica, now);
            pair.queued_at = queued_at;
            election = of_new(ReplicaStatus::Elected);
        } else if pair.is_elected(labels.replica) {
            election = Election { status: ReplicaStatus::Elected, due: pair.saw_elected(rules, now), confirmed };
        } else if self.bytes + pair.elected_bytes() + labels.replica.len() <= MAX_TENANT_BYTES {
            pair.saw_other(labels.replica, earliest_sample, now);
        }
        self.bytes += pair.name_bytes();
        election
    }

    /// The due push of a replica that was elected at `now` is not forwarded.
    pub(crate) fn note_not_forwarded(&mut self, cluster: &[u8], replica: &[u8], now: UnixMillis) {
        if let Some(pair) = self.clusters.get_mut(cluster) {
            pair.note_not_forwarded(replica, now);
        }
    }

    /// What [`TenantElections::elect`] would return.
    pub(crate) fn preview(
        &self,
        labels: HaPair<'_>,
        rules: &ElectionRules,
        now: UnixMillis,
        has_room: bool,
    ) -> Election {
        let known = self.clusters.get(labels.cluster).filter(|pair| !pair.is_expired(now));
        let Some(pair) = known else {
            return of_new(if has_room { self.preview_new(labels, rules, now) } else { ReplicaStatus::Untracked });
        };
        let confirmed = pair.confirmed_at().is_some();
        match pair.preview(labels.replica, rules, now) {
            None if pair.will_be_unknown_to_mimir(rules, now)
                && self.bytes - pair.name_bytes() + labels.replica.len() <= MAX_TENANT_BYTES =>
            {
                of_new(ReplicaStatus::Elected)
            }
            Some(due) => Election { status: ReplicaStatus::Elected, due, confirmed },
            None => Election::of(ReplicaStatus::NotElected, confirmed),
        }
    }

    /// Applies an entry of Mimir's list; `false` if there is no room for it.
    pub(crate) fn confirm(&mut self, entry: &TrackerEntry<'_>, now: UnixMillis) -> bool {
        let most = entry.cluster.len().saturating_add(entry.replica.len()).saturating_add(PAIR_BYTES);
        self.make_room(entry.cluster, most, now);
        match self.clusters.get_mut(entry.cluster) {
            Some(pair) => {
                let before = pair.name_bytes();
                if self.bytes - before + pair.candidate_bytes() + entry.replica.len() > MAX_TENANT_BYTES {
                    return false;
                }
                pair.confirm(entry, now);
                self.bytes = self.bytes - before + pair.name_bytes();
            }
            None => {
                let pair = Pair::confirmed(entry, now);
                let bytes = cost(entry.cluster, &pair);
                if self.bytes + bytes > MAX_TENANT_BYTES {
                    return false;
                }
                self.bytes += bytes;
                self.clusters.insert(entry.cluster.into(), pair);
            }
        }
        true
    }

    /// Drops expired pairs: a few, this cluster, and as many more as `bytes` need.
    fn make_room(&mut self, cluster: &[u8], bytes: usize, now: UnixMillis) {
        self.drop_expired(now, PAIRS_PER_PUSH);
        self.drop_if_expired(cluster, now);
        while self.bytes.saturating_add(bytes) > MAX_TENANT_BYTES && self.check_first(now).is_some() {}
    }

    pub(crate) fn is_confirmed(&self, cluster: &[u8]) -> bool {
        self.clusters.get(cluster).is_some_and(|pair| pair.confirmed_at().is_some())
    }

    /// Revokes Mimir's entries from before `since` of the next pairs after `after`.
    pub(crate) fn unconfirm(&mut self, since: UnixMillis, after: Option<&[u8]>) -> Step {
        let (mut count, mut last) = (0, None);
        for (cluster, pair) in range_after(&mut self.clusters, after) {
            if is_older(pair, since) {
                pair.unconfirm();
                // What Mimir said may be earlier than what was seen here before.
                enqueue(&mut self.expiry_queue, cluster, pair, pair.expires_at());
                count += 1;
            }
            last = Some(Arc::clone(cluster));
        }
        self.step(count, last)
    }

    /// Drops those of the next pairs after `after` that Mimir last listed before `since`.
    pub(crate) fn forget_unlisted(&mut self, since: UnixMillis, after: Option<&[u8]>) -> Step {
        let (mut unlisted, mut last) = (Vec::new(), None);
        for (cluster, pair) in range_after(&mut self.clusters, after) {
            if is_older(pair, since) {
                unlisted.push(Arc::clone(cluster));
            }
            last = Some(Arc::clone(cluster));
        }
        unlisted.iter().for_each(|cluster| self.drop_pair(cluster));
        self.step(unlisted.len(), last)
    }

    /// A step that changed `count` pairs and ended with `last`.
    fn step(&self, count: usize, last: Option<Arc<[u8]>>) -> Step {
        let after = last.filter(|last| self.clusters.range::<[u8], _>(behind(Some(last))).next().is_some());
        Step { count, after }
    }

    /// Checks up to `most` pairs for expiry, and drops those that have expired. Returns how many, and whether others are left to check.
    pub(crate) fn drop_expired(&mut self, now: UnixMillis, most: usize) -> (usize, bool) {
        let mut dropped = 0;
        for _ in 0..most {
            match self.check_first(now) {
                None => return (dropped, false),
                Some(is_dropped) => dropped += usize::from(is_dropped),
            }
        }
        (dropped, self.has_one_to_check(now))
    }

    fn has_one_to_check(&self, now: UnixMillis) -> bool {
        self.expiry_queue.first().is_some_and(|(from, _)| may_be_expired(*from, now))
    }

    /// Drops the first pair of the queue, or moves it to its new place; whether it was dropped. `None` if there is none to check yet.
    fn check_first(&mut self, now: UnixMillis) -> Option<bool> {
        if !self.has_one_to_check(now) {
            return None;
        }
        let (_, cluster) = self.expiry_queue.pop_first()?;
        let pair = self.clusters.get_mut(&cluster)?;
        pair.queued_at = None;
        if pair.is_expired(now) {
            self.drop_pair(&cluster);
            return Some(true);
        }
        if pair.confirmed_at().is_none() {
            let later = pair.expires_at().max(now.plus(1));
            enqueue(&mut self.expiry_queue, &cluster, pair, later);
        }
        Some(false)
    }

    fn drop_if_expired(&mut self, cluster: &[u8], now: UnixMillis) {
        if self.clusters.get(cluster).is_some_and(|pair| pair.is_expired(now)) {
            self.drop_pair(cluster);
        }
    }

    fn drop_pair(&mut self, cluster: &[u8]) {
        if let Some((cluster, pair)) = self.clusters.remove_entry(cluster) {
            self.bytes -= cost(&cluster, &pair);
            pair.queued_at.map(|from| self.expiry_queue.remove(&(from, cluster)));
        }
    }

    /// Bytes of all pairs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes as accounted, and as computed again.
    #[cfg(test)]
    pub(crate) fn measured(&self) -> (usize, usize) {
        (self.bytes, self.clusters.iter().map(|(cluster, pair)| cost(cluster, pair)).sum())
    }

    /// How many pairs are queued.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.expiry_queue.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Elects the replica of an unknown cluster if there is room, for which expired pairs are dropped.
    fn elect_new(&mut self, labels: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> ReplicaStatus {
        let status = loop {
            let status = status_of_new(labels, rules, self.clusters.len(), self.bytes);
            if status == ReplicaStatus::Elected || self.check_first(now).is_none() {
                break status;
            }
        };
        if status == ReplicaStatus::Elected {
            let (cluster, mut pair) = (Arc::from(labels.cluster), Pair::new(labels.replica, now));
            self.bytes += cost(labels.cluster, &pair);
            let from = pair.expires_at();
            enqueue(&mut self.expiry_queue, &cluster, &mut pair, from);
            self.clusters.insert(cluster, pair);
        }
        status
    }

    /// What [`TenantElections::elect_new`] would return; a pair of this cluster has expired.
    fn preview_new(&self, labels: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> ReplicaStatus {
        let own = self.clusters.get(labels.cluster);
        let mut clusters = self.clusters.len() - usize::from(own.is_some());
        let mut bytes = self.bytes - own.map_or(0, |pair| cost(labels.cluster, pair));
        for (_, cluster) in self.expiry_queue.iter().take_while(|(from, _)| may_be_expired(*from, now)) {
            if status_of_new(labels, rules, clusters, bytes) == ReplicaStatus::Elected {
                break;
            }
            let pair = self.clusters.get(cluster).filter(|pair| pair.is_expired(now) && **cluster != *labels.cluster);
            if let Some(pair) = pair {
                (clusters, bytes) = (clusters - 1, bytes - cost(cluster, pair));
            }
        }
        status_of_new(labels, rules, clusters, bytes)
    }
}

/// The pairs of one step, from the one after `after` on.
fn range_after<'p>(
    clusters: &'p mut BTreeMap<Arc<[u8]>, Pair>,
    after: Option<&[u8]>,
) -> impl Iterator<Item = (&'p Arc<[u8]>, &'p mut Pair)> {
    clusters.range_mut::<[u8], _>(behind(after)).take(PAIRS_PER_STEP)
}

/// Puts a pair into the queue with this time, unless it is there with an earlier one.
fn enqueue(queue: &mut BTreeSet<(UnixMillis, Arc<[u8]>)>, cluster: &Arc<[u8]>, pair: &mut Pair, from: UnixMillis) {
    match pair.queued_at {
        Some(earlier) if earlier <= from => return,
        Some(later) => _ = queue.remove(&(later, Arc::clone(cluster))),
        None => {}
    }
    queue.insert((from, Arc::clone(cluster)));
    pair.queued_at = Some(from);
}

/// Whether a pair queued at `from` is to be checked. The end of time never comes.
fn may_be_expired(from: UnixMillis, now: UnixMillis) -> bool {
    from <= now && from < UnixMillis::new(i64::MAX)
}

fn behind(after: Option<&[u8]>) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// The first push of a cluster makes Mimir elect its replica, and so has to reach it.
fn of_new(status: ReplicaStatus) -> Election {
    Election { due: status == ReplicaStatus::Elected, ..Election::of(status, false) }
}

/// The status of the first replica of an unknown cluster, where `clusters` others take `bytes`.
fn status_of_new(labels: HaPair<'_>, rules: &ElectionRules, clusters: usize, bytes: usize) -> ReplicaStatus {
    let limit = usize::try_from(rules.max_clusters).unwrap_or(0);
    if limit > 0 && clusters >= limit {
        return ReplicaStatus::TooManyClusters;
    }
    let room = MAX_TENANT_BYTES.saturating_sub(bytes + PAIR_BYTES);
    if labels.cluster.len().saturating_add(labels.replica.len()) > room {
        return ReplicaStatus::Untracked;
    }
    ReplicaStatus::Elected
}

fn cost(cluster: &[u8], pair: &Pair) -> usize {
    PAIR_BYTES + cluster.len() + pair.name_bytes()
}

fn is_older(pair: &Pair, since: UnixMillis) -> bool {
    pair.confirmed_at().is_some_and(|confirmed_at| confirmed_at < since)
}
