//! The elections of one tenant.
//!
//! Not here: the map of tenants and its locks. The invariant: the names held take at most [`MAX_TENANT_BYTES`], each
//! cluster with [`PAIR_BYTES`] on top.

use std::collections::HashMap;

use super::pair::{Pair, Word};
use super::rules::ElectionRules;
use super::unix_millis::UnixMillis;
use super::{Election, HaPair, Standing};

/// The most bytes one tenant's elections may take.
///
/// Clients choose the names, and `ha_max_clusters` may be 0. It is enough for Mimir's default limits, 100 clusters with
/// names of at most 2,048 bytes, and for more than 10,000 clusters with names as people give them.
pub const MAX_TENANT_BYTES: usize = 4 << 20;

/// What a cluster takes beside its names, places in the table included.
pub(crate) const PAIR_BYTES: usize = 256;

/// All elections of one tenant.
#[derive(Debug)]
pub(crate) struct TenantElections {
    clusters: HashMap<Box<[u8]>, Pair>,
    bytes: usize,
    /// Before this no pair is forgotten, so that looking for one is no use. Pairs of Mimir's word never are.
    forgotten_from: UnixMillis,
}

impl Default for TenantElections {
    fn default() -> Self {
        TenantElections { clusters: HashMap::new(), bytes: 0, forgotten_from: UnixMillis::new(i64::MAX) }
    }
}

impl TenantElections {
    /// Mimir's `checkReplica`, with Mimir's word for it if there is one. Without `has_room` only pairs that are held are told of.
    pub(crate) fn elect(
        &mut self,
        asked: HaPair<'_>,
        rules: &ElectionRules,
        earliest_sample: UnixMillis,
        now: UnixMillis,
        has_room: bool,
    ) -> Election {
        self.drop_forgotten(now);
        let Some(pair) = self.clusters.get_mut(asked.cluster) else {
            return of_new(if has_room { self.open(asked, rules, now) } else { Standing::Untracked });
        };
        self.bytes -= pair.name_bytes();
        pair.settle(rules, now);
        let confirmed = pair.confirmed_at().is_some();
        let mut election = Election::of(Standing::NotElected, confirmed);
        let has_room = self.bytes + asked.replica.len() <= MAX_TENANT_BYTES;
        if !pair.is_elected(asked.replica) && pair.is_unknown_to_mimir(rules, now) && has_room {
            *pair = Pair::new(asked.replica, now);
            election = of_new(Standing::Elected);
        } else if pair.is_elected(asked.replica) {
            election = Election { standing: Standing::Elected, due: pair.see_elected(rules, now), confirmed };
        } else if self.bytes + pair.elected_bytes() + asked.replica.len() <= MAX_TENANT_BYTES {
            pair.see_other(asked.replica, earliest_sample, now);
        }
        self.bytes += pair.name_bytes();
        election
    }

    /// The push of a replica that was elected at `now` does not reach Mimir.
    pub(crate) fn withhold(&mut self, cluster: &[u8], replica: &[u8], now: UnixMillis) {
        if let Some(pair) = self.clusters.get_mut(cluster) {
            pair.withhold(replica, now);
        }
    }

    /// What [`TenantElections::elect`] would say, changing nothing.
    pub(crate) fn preview(
        &self,
        asked: HaPair<'_>,
        rules: &ElectionRules,
        now: UnixMillis,
        has_room: bool,
    ) -> Election {
        let known = self.clusters.get(asked.cluster).filter(|pair| !pair.is_forgotten(now));
        let Some(pair) = known else {
            return of_new(if has_room { self.preview_of_new(asked, rules, now) } else { Standing::Untracked });
        };
        let confirmed = pair.confirmed_at().is_some();
        match pair.preview(asked.replica, rules, now) {
            None if pair.will_be_unknown_to_mimir(rules, now)
                && self.bytes - pair.name_bytes() + asked.replica.len() <= MAX_TENANT_BYTES =>
            {
                of_new(Standing::Elected)
            }
            Some(due) => Election { standing: Standing::Elected, due, confirmed },
            None => Election::of(Standing::NotElected, confirmed),
        }
    }

    /// Takes Mimir's word; `false` if there is no room for it.
    pub(crate) fn tell(&mut self, word: &Word<'_>, now: UnixMillis) -> bool {
        self.drop_forgotten(now);
        match self.clusters.get_mut(word.cluster) {
            Some(pair) => {
                let before = pair.name_bytes();
                if self.bytes - before + pair.candidate_bytes() + word.replica.len() > MAX_TENANT_BYTES {
                    return false;
                }
                pair.tell(word, now);
                self.bytes = self.bytes - before + pair.name_bytes();
            }
            None => {
                let pair = Pair::told(word, now);
                let bytes = cost(word.cluster, &pair);
                if self.bytes + bytes > MAX_TENANT_BYTES {
                    return false;
                }
                self.bytes += bytes;
                self.clusters.insert(word.cluster.into(), pair);
            }
        }
        true
    }

    pub(crate) fn is_confirmed(&self, cluster: &[u8]) -> bool {
        self.clusters.get(cluster).is_some_and(|pair| pair.confirmed_at().is_some())
    }

    /// Mimir's words from before `since` hold no longer; how many those were.
    pub(crate) fn unconfirm(&mut self, since: UnixMillis) -> usize {
        let mut count = 0;
        for pair in self.clusters.values_mut().filter(|pair| is_older(pair, since)) {
            pair.unconfirm();
            self.forgotten_from = self.forgotten_from.min(pair.forgotten_from());
            count += 1;
        }
        count
    }

    /// Drops the pairs that Mimir last named before `since`; how many those were.
    pub(crate) fn forget_unlisted(&mut self, since: UnixMillis) -> usize {
        self.drop_where(|pair| is_older(pair, since))
    }

    /// Drops the pairs that are forgotten; how many those were. Looks at all only once the one that was idle longest
    /// when they were last looked at may be.
    pub(crate) fn drop_forgotten(&mut self, now: UnixMillis) -> usize {
        if now < self.forgotten_from { 0 } else { self.drop_where(|pair| pair.is_forgotten(now)) }
    }

    /// What the pairs take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes as kept count of, and as counted anew.
    #[cfg(test)]
    pub(crate) fn measured(&self) -> (usize, usize) {
        (self.bytes, self.clusters.iter().map(|(cluster, pair)| cost(cluster, pair)).sum())
    }

    pub(crate) fn len(&self) -> usize {
        self.clusters.len()
    }

    /// A cluster that is not held, with all that is forgotten dropped: the replica is elected if there is a place for it.
    fn open(&mut self, asked: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> Standing {
        let standing = standing_of_new(asked, rules, self.clusters.len(), self.bytes);
        if standing == Standing::Elected {
            let pair = Pair::new(asked.replica, now);
            self.bytes += cost(asked.cluster, &pair);
            self.forgotten_from = self.forgotten_from.min(pair.forgotten_from());
            self.clusters.insert(asked.cluster.into(), pair);
        }
        standing
    }

    /// What [`TenantElections::open`] would say.
    fn preview_of_new(&self, asked: HaPair<'_>, rules: &ElectionRules, now: UnixMillis) -> Standing {
        let standing = standing_of_new(asked, rules, self.clusters.len(), self.bytes);
        if standing == Standing::Elected || now < self.forgotten_from {
            return standing;
        }
        let live = self.clusters.iter().filter(|(_, pair)| !pair.is_forgotten(now));
        let (clusters, bytes) =
            live.fold((0, 0), |(clusters, bytes), (cluster, pair)| (clusters + 1, bytes + cost(cluster, pair)));
        standing_of_new(asked, rules, clusters, bytes)
    }

    fn drop_where(&mut self, is_dropped: impl Fn(&Pair) -> bool) -> usize {
        let before = self.clusters.len();
        let (mut bytes, mut forgotten_from) = (0, UnixMillis::new(i64::MAX));
        self.clusters.retain(|cluster, pair| {
            let kept = !is_dropped(pair);
            if kept {
                bytes += cost(cluster, pair);
            }
            if kept && pair.confirmed_at().is_none() {
                forgotten_from = forgotten_from.min(pair.forgotten_from());
            }
            kept
        });
        (self.bytes, self.forgotten_from) = (bytes, forgotten_from);
        if self.clusters.len() < self.clusters.capacity() / super::SPARSE {
            self.clusters.shrink_to_fit();
        }
        before - self.clusters.len()
    }
}

/// The first push of a cluster makes Mimir elect its replica, and so has to reach it.
fn of_new(standing: Standing) -> Election {
    Election { due: standing == Standing::Elected, ..Election::of(standing, false) }
}

/// What becomes of the first push of a cluster that is not held, beside so many others of so many bytes.
fn standing_of_new(asked: HaPair<'_>, rules: &ElectionRules, clusters: usize, bytes: usize) -> Standing {
    let limit = usize::try_from(rules.max_clusters).unwrap_or(0);
    if limit > 0 && clusters >= limit {
        return Standing::TooManyClusters;
    }
    let room = MAX_TENANT_BYTES.saturating_sub(bytes + PAIR_BYTES);
    if asked.cluster.len().saturating_add(asked.replica.len()) > room {
        return Standing::Untracked;
    }
    Standing::Elected
}

fn cost(cluster: &[u8], pair: &Pair) -> usize {
    PAIR_BYTES + cluster.len() + pair.name_bytes()
}

fn is_older(pair: &Pair, since: UnixMillis) -> bool {
    pair.confirmed_at().is_some_and(|confirmed_at| confirmed_at < since)
}
