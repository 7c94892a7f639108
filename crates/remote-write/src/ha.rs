//! HA deduplication: which replica of a Prometheus pair sent a push, and what remains of the push.
//!
//! Mimir looks at the labels of the first series, or of each one (`ha_tracker_per_sample_dedupe`), after it has unmarshalled
//! the whole push and before anything else (`ha_dedupe*.go` in its `pkg/distributor`). So such a push is walked twice: once
//! to find its replicas and any decoding error, and once to be counted. The caller knows the elected replica.

use std::collections::HashMap;

use limits::TenantLimits;

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::histogram::Histogram;
use crate::visitor::Visitor;
use crate::wire::Cursor;
use crate::work::Work;
use crate::{PushCounts, Unmetered};

/// The most replicas of one push that are distinguished if each series is deduplicated. A sender has one.
pub const MAX_REPLICAS: usize = 10_000;

/// How pushes of pairs are deduplicated for one tenant.
pub struct HaRules<'t> {
    /// The label that names the pair; Mimir's `ha_cluster_label`.
    pub cluster_label: &'t [u8],
    /// The label that names the replica; Mimir's `ha_replica_label`.
    pub replica_label: &'t [u8],
    /// Whether each series is deduplicated by its own labels instead of by those of the first one; Mimir's
    /// `ha_tracker_per_sample_dedupe`.
    pub each_series: bool,
    /// Decides on a replica; called once for a push, or once for each replica in it, in the order of their first series.
    pub dedupe: &'t mut dyn FnMut(Replica<'_>) -> Dedupe,
}

impl<'t> HaRules<'t> {
    /// The rules of a tenant with these limits. The caller checks `accept_ha_samples`.
    pub fn new(limits: &'t TenantLimits, dedupe: &'t mut dyn FnMut(Replica<'_>) -> Dedupe) -> Self {
        Self {
            cluster_label: limits.ha_cluster_label.as_bytes(),
            replica_label: limits.ha_replica_label.as_bytes(),
            each_series: limits.ha_tracker_per_sample_dedupe,
            dedupe,
        }
    }
}

/// Who sent a series, by its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica<'l> {
    /// The last value of the cluster label; empty if there is none.
    pub cluster: &'l [u8],
    /// The last value of the replica label; empty if there is none.
    pub replica: &'l [u8],
    /// The earliest time among the first samples and the first histograms of its series, of the whole push where only the
    /// first series is looked at, in Unix milliseconds.
    pub earliest_sample: Option<i64>,
}

/// What becomes of the series of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dedupe {
    /// They belong to no pair and are kept.
    NoPair,
    /// Their replica is elected: they are kept, without their replica label.
    Elected,
    /// Mimir drops them.
    Dropped,
}

/// The result of deduplication.
#[derive(Debug)]
pub(crate) enum Deduped<'a, 't> {
    /// All series are kept, without the label of this name.
    All { removed_label: Option<&'t [u8]> },
    /// The push needs no second walk: it is dropped with its metadata, or charged as sent.
    Finished(PushCounts),
    /// Some series are kept, by their labels.
    Some(ReplicaVerdicts<'a, 't>),
}

/// The decision on each replica.
#[derive(Debug)]
pub(crate) struct ReplicaVerdicts<'a, 't> {
    cluster_label: &'t [u8],
    replica_label: &'t [u8],
    by_replica: HashMap<ReplicaKey<'a>, Dedupe>,
}

/// Values of the cluster and of the replica label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct ReplicaKey<'l> {
    cluster: &'l [u8],
    replica: &'l [u8],
}

impl<'l> ReplicaKey<'l> {
    fn add_label(&mut self, name: &[u8], value: &'l [u8], cluster_label: &[u8], replica_label: &[u8]) {
        if name == replica_label {
            self.replica = value;
        }
        if name == cluster_label {
            self.cluster = value;
        }
    }

    /// Pays for hashing and one comparison.
    fn touch(&self, work: &mut Work) -> bool {
        let bytes = self.cluster.len() + self.replica.len();
        work.touch(bytes) && work.touch(bytes)
    }

    /// Whether both are the same texts at the same addresses, as for equal references in 2.0.
    fn is_identical(&self, other: &Self) -> bool {
        std::ptr::eq(self.cluster, other.cluster) && std::ptr::eq(self.replica, other.replica)
    }
}

impl<'t> ReplicaVerdicts<'_, 't> {
    /// The decision on a series with these labels.
    pub(crate) fn of<'l>(&self, labels: impl Iterator<Item = (&'l [u8], &'l [u8])>, work: &mut Work) -> Dedupe {
        let mut pair = ReplicaKey::default();
        labels.for_each(|(name, value)| pair.add_label(name, value, self.cluster_label, self.replica_label));
        if !pair.touch(work) {
            return Dedupe::Dropped;
        }
        // The first walk has seen every series.
        self.by_replica.get(&pair).copied().unwrap_or(Dedupe::Dropped)
    }

    pub(crate) fn replica_label(&self) -> &'t [u8] {
        self.replica_label
    }
}

/// A replica and the earliest time of what it sent.
type SeenReplica<'a> = (ReplicaKey<'a>, Option<i64>);

/// Finds the replicas of a push.
pub(crate) struct ReplicaScan<'a, 't> {
    rules: HaRules<'t>,
    reads_exemplars: bool,
    series: ReplicaKey<'a>,
    /// Times of the first sample and the first histogram of the series.
    first: [Option<i64>; 2],
    /// The replica of the first series, with the earliest time of the whole push.
    sender: Option<SeenReplica<'a>>,
    /// The replicas in order of their first series, with the earliest time of each; empty where only the first one counts.
    replicas: Vec<SeenReplica<'a>>,
    indices: HashMap<ReplicaKey<'a>, usize>,
    /// The replica of the previous series, with its index.
    latest: Option<(ReplicaKey<'a>, usize)>,
    /// Why a replica could not be determined.
    unknown: Option<Unmetered>,
    work: Work,
    counts: PushCounts,
}

impl<'a, 't> ReplicaScan<'a, 't> {
    pub(crate) fn new(rules: HaRules<'t>, reads_exemplars: bool, work: Work) -> Self {
        Self {
            rules,
            reads_exemplars,
            series: ReplicaKey::default(),
            first: [None; 2],
            sender: None,
            replicas: Vec::new(),
            indices: HashMap::new(),
            latest: None,
            unknown: None,
            work,
            counts: PushCounts::default(),
        }
    }

    /// Asks for the decision on each replica, if all are known.
    pub(crate) fn finish(self) -> (Deduped<'a, 't>, Work) {
        let work = self.work;
        (self.dedupe(), work)
    }

    fn dedupe(self) -> Deduped<'a, 't> {
        let HaRules { cluster_label, replica_label, each_series, dedupe } = self.rules;
        let mut dedupe = |(pair, earliest_sample): SeenReplica<'a>| {
            dedupe(Replica { cluster: pair.cluster, replica: pair.replica, earliest_sample })
        };
        if let Some(why) = self.unknown {
            return Deduped::Finished(self.counts.as_sent(why));
        }
        // Without a series Mimir does not look for a pair.
        let Some(sender) = self.sender else { return Deduped::All { removed_label: None } };
        if !each_series {
            return match dedupe(sender) {
                Dedupe::NoPair => Deduped::All { removed_label: None },
                Dedupe::Elected => Deduped::All { removed_label: Some(replica_label) },
                Dedupe::Dropped => Deduped::Finished(self.counts),
            };
        }
        drop(self.indices);
        let by_replica: HashMap<_, _> = self.replicas.into_iter().map(|seen| (seen.0, dedupe(seen))).collect();
        if by_replica.values().all(|verdict| *verdict == Dedupe::Dropped) {
            return Deduped::Finished(self.counts);
        }
        Deduped::Some(ReplicaVerdicts { cluster_label, replica_label, by_replica })
    }

    fn note_replica(&mut self, time: Option<i64>) {
        let Some(index) = self.index() else { return };
        self.latest = Some((self.series, index));
        if let Some((_, earliest)) = self.replicas.get_mut(index) {
            *earliest = earlier(*earliest, time);
        }
    }

    /// The index of the series' replica; `None` if there are too many.
    fn index(&mut self) -> Option<usize> {
        if let Some((_, index)) = self.latest.filter(|(latest, _)| latest.is_identical(&self.series)) {
            return Some(index);
        }
        if !self.series.touch(&mut self.work) {
            return None;
        }
        if let Some(index) = self.indices.get(&self.series) {
            return Some(*index);
        }
        let index = self.replicas.len();
        if index >= MAX_REPLICAS {
            self.work.abandon(Unmetered::Replicas);
            return None;
        }
        self.replicas.push((self.series, None));
        self.indices.insert(self.series, index);
        Some(index)
    }
}

/// The earlier of two optional times.
fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

impl<'a> Visitor<'a> for ReplicaScan<'a, '_> {
    fn reads_exemplars(&self) -> bool {
        self.reads_exemplars
    }

    fn is_enough(&self) -> bool {
        false
    }

    fn is_label_value(&self, _: &[u8]) -> bool {
        true
    }

    fn work(&mut self) -> &mut Work {
        &mut self.work
    }

    fn begin_series(&mut self) {
        self.counts.series += 1;
        self.series = ReplicaKey::default();
        self.first = [None; 2];
    }

    fn label(&mut self, name: &'a [u8], value: &'a [u8], _: bool) {
        if self.rules.each_series || self.sender.is_none() {
            self.series.add_label(name, value, self.rules.cluster_label, self.rules.replica_label);
        }
    }

    fn sample(&mut self, time: i64) {
        self.counts.sent.samples += 1;
        let [first, _] = &mut self.first;
        first.get_or_insert(time);
    }

    fn histogram(&mut self, histogram: Histogram, _: Cursor<'_>) -> Result<(), ProtobufError> {
        self.counts.sent.histograms += 1;
        let [_, first] = &mut self.first;
        first.get_or_insert(histogram.time);
        Ok(())
    }

    fn exemplar(&mut self, _: Exemplar) {
        self.counts.sent.exemplars += 1;
    }

    fn metadata(&mut self, _: usize, _: usize) {
        self.counts.sent.metadata += 1;
    }

    fn end_series(&mut self, _: Cursor<'_>) -> Result<(), ProtobufError> {
        let [sample, histogram] = self.first;
        let time = earlier(sample, histogram);
        if self.rules.each_series && !self.work.is_abandoned() {
            self.note_replica(time);
        }
        if self.work.is_abandoned() && (self.rules.each_series || self.sender.is_none()) {
            self.unknown = self.unknown.or(self.work.unmetered());
        }
        let (_, earliest) = self.sender.get_or_insert((self.series, None));
        *earliest = earlier(*earliest, time);
        Ok(())
    }
}
