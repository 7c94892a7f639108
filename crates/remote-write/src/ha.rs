//! Pushes of Prometheus pairs: which replica sent a push, and what is left of it once it is deduplicated.
//!
//! Mimir looks at the labels of the first series, or of each one (`ha_tracker_per_sample_dedupe`), after it has unmarshalled
//! the whole push and before anything else (`ha_dedupe*.go` in its `pkg/distributor`). So such a push is walked twice: once
//! for its pairs, which also shows whether it can be read at all, and once to be counted. Who is elected is for the caller
//! to say.

use std::collections::HashMap;
use std::fmt;

use limits::TenantLimits;

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::histogram::Histogram;
use crate::visitor::Visitor;
use crate::wire::Cursor;
use crate::work::Work;
use crate::{PushCounts, Unmetered};

/// The most replicas of one push that are told apart where each series is deduplicated by its own labels. A sender has one.
pub const MAX_REPLICAS: usize = 10_000;

/// How pushes of pairs are deduplicated for one tenant.
pub struct HaRules<'t> {
    /// The label that names the pair; Mimir's `ha_cluster_label`.
    pub cluster_label: &'t [u8],
    /// The label that names one of it; Mimir's `ha_replica_label`.
    pub replica_label: &'t [u8],
    /// Whether each series is deduplicated by its own labels instead of by those of the first one; Mimir's
    /// `ha_tracker_per_sample_dedupe`.
    pub each_series: bool,
    /// Judges a replica: once for a push, or once for each replica in it, in the order of their first series.
    pub dedupe: &'t mut dyn FnMut(Replica<'_>) -> Dedupe,
}

impl<'t> HaRules<'t> {
    /// The rules of a tenant with these limits, whose `accept_ha_samples` the caller looks at.
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
    /// They are of no pair, and stay as they are.
    NoPair,
    /// Their replica is the elected one: they lose their replica label.
    Elected,
    /// Mimir drops them.
    Dropped,
}

/// What is left of a push.
#[derive(Debug)]
pub(crate) enum Deduped<'a, 't> {
    /// Everything; the label of this name is taken off every series.
    All { without: Option<&'t [u8]> },
    /// Nothing at all, metadata neither.
    Nothing(PushCounts),
    /// Some series: what becomes of each one, by its labels.
    Some(Verdicts<'a, 't>),
}

/// What becomes of each replica's series.
#[derive(Debug)]
pub(crate) struct Verdicts<'a, 't> {
    cluster_label: &'t [u8],
    replica_label: &'t [u8],
    by_replica: HashMap<Pair<'a>, Dedupe>,
}

/// Values of the cluster and of the replica label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Pair<'l> {
    cluster: &'l [u8],
    replica: &'l [u8],
}

impl<'l> Pair<'l> {
    fn see(&mut self, name: &[u8], value: &'l [u8], cluster_label: &[u8], replica_label: &[u8]) {
        if name == replica_label {
            self.replica = value;
        }
        if name == cluster_label {
            self.cluster = value;
        }
    }

    /// Pays for hashing it, and for comparing it with the one that has its hash.
    fn touch(&self, work: &mut Work) -> bool {
        let bytes = self.cluster.len() + self.replica.len();
        work.touch(bytes) && work.touch(bytes)
    }

    /// Whether both are the very same texts, which 2.0 mostly says with the same references.
    fn is_identical(&self, other: &Self) -> bool {
        std::ptr::eq(self.cluster, other.cluster) && std::ptr::eq(self.replica, other.replica)
    }
}

impl<'t> Verdicts<'_, 't> {
    /// What becomes of a series with these labels.
    pub(crate) fn of<'l>(&self, labels: impl Iterator<Item = (&'l [u8], &'l [u8])>, work: &mut Work) -> Dedupe {
        let mut pair = Pair::default();
        labels.for_each(|(name, value)| pair.see(name, value, self.cluster_label, self.replica_label));
        if !pair.touch(work) {
            return Dedupe::Dropped;
        }
        // Every series was there in the first walk.
        self.by_replica.get(&pair).copied().unwrap_or(Dedupe::Dropped)
    }

    pub(crate) fn replica_label(&self) -> &'t [u8] {
        self.replica_label
    }
}

/// A replica and the earliest time of what it sent.
type Seen<'a> = (Pair<'a>, Option<i64>);

/// Finds out which replicas a push is of.
#[derive(Debug)]
pub(crate) struct PairScan<'a, 't> {
    rules: HaRules<'t>,
    reads_exemplars: bool,
    series: Pair<'a>,
    /// Times of the first sample and the first histogram of the series.
    first: [Option<i64>; 2],
    /// The replica of the first series, with the earliest time of the whole push.
    sender: Option<Seen<'a>>,
    /// The replicas in order of their first series, with the earliest time of each; empty where only the first one counts.
    replicas: Vec<Seen<'a>>,
    places: HashMap<Pair<'a>, usize>,
    /// The replica of the series before, by its place.
    latest: Option<(Pair<'a>, usize)>,
    /// Why not all replicas are known that have to be.
    unknown: Option<Unmetered>,
    work: Work,
    counts: PushCounts,
}

impl<'a, 't> PairScan<'a, 't> {
    pub(crate) fn new(rules: HaRules<'t>, reads_exemplars: bool, work: Work) -> Self {
        Self {
            rules,
            reads_exemplars,
            series: Pair::default(),
            first: [None; 2],
            sender: None,
            replicas: Vec::new(),
            places: HashMap::new(),
            latest: None,
            unknown: None,
            work,
            counts: PushCounts::default(),
        }
    }

    /// Has the replicas deduplicated, if all of them are known.
    pub(crate) fn finish(self) -> (Deduped<'a, 't>, Work) {
        let work = self.work;
        (self.dedupe(), work)
    }

    fn dedupe(self) -> Deduped<'a, 't> {
        let HaRules { cluster_label, replica_label, each_series, dedupe } = self.rules;
        let mut dedupe = |(pair, earliest_sample): Seen<'a>| {
            dedupe(Replica { cluster: pair.cluster, replica: pair.replica, earliest_sample })
        };
        if let Some(why) = self.unknown {
            return Deduped::Nothing(self.counts.as_sent(why));
        }
        // Without a series Mimir does not look for a pair.
        let Some(sender) = self.sender else { return Deduped::All { without: None } };
        if !each_series {
            return match dedupe(sender) {
                Dedupe::NoPair => Deduped::All { without: None },
                Dedupe::Elected => Deduped::All { without: Some(replica_label) },
                Dedupe::Dropped => Deduped::Nothing(self.counts),
            };
        }
        drop(self.places);
        let by_replica: HashMap<_, _> = self.replicas.into_iter().map(|seen| (seen.0, dedupe(seen))).collect();
        if by_replica.values().all(|verdict| *verdict == Dedupe::Dropped) {
            return Deduped::Nothing(self.counts);
        }
        Deduped::Some(Verdicts { cluster_label, replica_label, by_replica })
    }

    fn note_replica(&mut self, time: Option<i64>) {
        let Some(place) = self.place() else { return };
        self.latest = Some((self.series, place));
        if let Some((_, earliest)) = self.replicas.get_mut(place) {
            *earliest = earlier(*earliest, time);
        }
    }

    /// Where the replica of the series stands; `None` if there are too many.
    fn place(&mut self) -> Option<usize> {
        if let Some((_, place)) = self.latest.filter(|(latest, _)| latest.is_identical(&self.series)) {
            return Some(place);
        }
        if !self.series.touch(&mut self.work) {
            return None;
        }
        if let Some(place) = self.places.get(&self.series) {
            return Some(*place);
        }
        let place = self.replicas.len();
        if place >= MAX_REPLICAS {
            self.work.abandon(Unmetered::Replicas);
            return None;
        }
        self.replicas.push((self.series, None));
        self.places.insert(self.series, place);
        Some(place)
    }
}

/// The earlier of two times, of which none or one may be there.
fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

impl<'a> Visitor<'a> for PairScan<'a, '_> {
    fn reads_exemplars(&self) -> bool {
        self.reads_exemplars
    }

    fn is_label_value(&self, _: &[u8]) -> bool {
        true
    }

    fn work(&mut self) -> &mut Work {
        &mut self.work
    }

    fn begin_series(&mut self) {
        self.counts.series += 1;
        self.series = Pair::default();
        self.first = [None; 2];
    }

    fn label(&mut self, name: &'a [u8], value: &'a [u8], _: bool) {
        if self.rules.each_series || self.sender.is_none() {
            self.series.see(name, value, self.rules.cluster_label, self.rules.replica_label);
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

impl fmt::Debug for HaRules<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster_label, replica_label, each_series, dedupe: _ } = self;
        formatter
            .debug_struct("HaRules")
            .field("cluster_label", cluster_label)
            .field("replica_label", replica_label)
            .field("each_series", each_series)
            .finish_non_exhaustive()
    }
}
