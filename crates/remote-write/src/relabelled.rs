//! Series whose labels are relabelled, or deduplicated series by series, before they are validated.

use crate::TenantRelabeler;
use crate::Unmetered;
use crate::ha::{Dedupe, ReplicaVerdicts};
use crate::labels::LabelVerdict;
use crate::relabel::{LabelSet, RUN};
use crate::sorted_labels::KnownLabels;
use crate::validation::Validation;
use crate::work::Work;

/// The most rule runs for one push. A rule costs one run for each series, and one more for every ten labels of it; an entry
/// of `drop_labels` costs 1/200 for each label. The text that a rule matches costs 1/10 for every 32 bytes; if the rule uses
/// groups of its expression, two runs, and one for every 12 bytes. If the expression has more than a few repetitions or
/// alternatives (`x{1,500}` has 500), each byte costs one run for every 62 of them, or for every 125 without groups.
///
/// It is half a second of work, and more than real pushes need: 50,000 series of ten labels, with ten rules.
pub const MAX_RULE_RUNS: u64 = 1_000_000;

/// The same in thousandths of a run.
const MAX_COST: usize = MAX_RULE_RUNS as usize * RUN;

/// Buffers of [`Relabelled`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct RelabelBuffers {
    set: LabelSet,
    known: KnownLabels,
}

impl RelabelBuffers {
    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        let known = self.known.shrink(bytes / 4);
        known + self.set.shrink(bytes - bytes / 4)
    }
}

/// Collects the labels of a series, deduplicates and relabels them as Mimir does, and validates the result.
#[derive(Debug)]
pub(crate) struct Relabelled<'a, 't> {
    relabeler: Option<TenantRelabeler<'t>>,
    verdicts: Option<ReplicaVerdicts<'a, 't>>,
    buffers: RelabelBuffers,
    /// What is left of [`MAX_COST`].
    budget: usize,
}

impl<'a, 't> Relabelled<'a, 't> {
    /// `None` if labels are validated as sent.
    pub(crate) fn new(
        relabeler: Option<TenantRelabeler<'t>>,
        verdicts: Option<ReplicaVerdicts<'a, 't>>,
        buffers: &mut RelabelBuffers,
    ) -> Option<Self> {
        if relabeler.is_none() && verdicts.is_none() {
            return None;
        }
        let mut buffers = std::mem::take(buffers);
        buffers.set.forget_matches();
        buffers.known.forget();
        Some(Self { relabeler, verdicts, buffers, budget: MAX_COST })
    }

    pub(crate) fn return_to(self, buffers: &mut RelabelBuffers) {
        *buffers = self.buffers;
    }

    pub(crate) fn begin(&mut self) {
        self.buffers.set.clear();
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8], work: &mut Work) {
        let set = &mut self.buffers.set;
        if set.len() >= work.caps.labels || set.bytes() + name.len() + value.len() > work.caps.label_bytes {
            work.abandon(Unmetered::Buffers);
        } else if work.touch(name.len()) && work.touch(value.len()) {
            set.push(name, value);
        }
    }

    /// The result, once all labels of the series are added; `Empty` for a dropped series. It means nothing for an abandoned
    /// push.
    pub(crate) fn verdict(&mut self, rules: &Validation, work: &mut Work) -> LabelVerdict {
        if !work.is_abandoned() && work.take(self.buffers.set.sorting_work()) && self.is_left(work) {
            self.buffers.known.verdict(&self.buffers.set, rules, work)
        } else {
            LabelVerdict::Empty
        }
    }

    /// Deduplicates, relabels and sorts the series; false if it is dropped, or has no label left.
    fn is_left(&mut self, work: &mut Work) -> bool {
        let set = &mut self.buffers.set;
        if let Some(verdicts) = &self.verdicts {
            match verdicts.of(set.iter(), work) {
                Dedupe::NoPair => {}
                Dedupe::Elected => set.remove_first(verdicts.replica_label()),
                Dedupe::Dropped => return false,
            }
        }
        let Some(TenantRelabeler { relabeler, tenant }) = self.relabeler else { return set.sort_and_filter() };
        if !pay(&mut self.budget, relabeler.cost(set), work) {
            return false;
        }
        let sent = set.bytes();
        let keep = relabeler.apply_within(tenant, set, &mut self.budget);
        if !set.is_within_bounds() {
            work.abandon(Unmetered::RelabelWork);
        }
        pay(&mut self.budget, relabeler.writing_cost(set.bytes() - sent), work) && keep
    }
}

/// Takes a cost from the budget; false, and the push is abandoned, if it is exceeded.
fn pay(left: &mut usize, cost: usize, work: &mut Work) -> bool {
    match left.checked_sub(cost) {
        Some(rest) => *left = rest,
        None => work.abandon(Unmetered::RelabelWork),
    }
    !work.is_abandoned()
}
