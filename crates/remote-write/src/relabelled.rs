//! Series whose labels are not validated as they were sent: relabelled, or of a push that is deduplicated series by series.

use crate::Unmetered;
use crate::ha::{Dedupe, Verdicts};
use crate::labels::{LabelBuffers, LabelVerdict, Labels};
use crate::relabel::{LabelSet, RUN};
use crate::rules::TenantRelabeler;
use crate::validation::Validation;
use crate::work::Work;

/// How often rules are run for one push, at most: each rule once for each series, and once more for every ten labels of it.
/// A label of `drop_labels` counts a two-hundredth for each label. The text that a rule looks at counts for each byte: a
/// tenth of a run for every 32, and where the rule uses groups of its expression two runs more and one for every 12. Where
/// the expression has more than a few repetitions or alternatives, `x{1,500}` being 500, each byte counts one run for every
/// 62 of them, and for every 125 where no groups are used.
///
/// It is half a second of work, and more than senders put into a push: 50,000 series of ten labels, with ten rules.
pub const MAX_RULE_RUNS: u64 = 1_000_000;

/// The same in thousandths.
const MOST_EFFORT: usize = MAX_RULE_RUNS as usize * RUN;

/// Buffers of [`Relabelled`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct RelabelBuffers {
    set: LabelSet,
    labels: LabelBuffers,
}

impl RelabelBuffers {
    /// Gives back memory over `bytes`; how many bytes are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        let labels = self.labels.shrink(bytes / 4);
        labels + self.set.shrink(bytes - bytes / 4)
    }
}

/// Collects the labels of a series, makes of them what Mimir makes of them, and validates that.
#[derive(Debug)]
pub(crate) struct Relabelled<'a, 't> {
    relabeler: Option<TenantRelabeler<'t>>,
    verdicts: Option<Verdicts<'a, 't>>,
    buffers: RelabelBuffers,
    /// Of [`MOST_EFFORT`].
    effort_left: usize,
}

impl<'a, 't> Relabelled<'a, 't> {
    /// `None` where labels are validated as they were sent.
    pub(crate) fn new(
        relabeler: Option<TenantRelabeler<'t>>,
        verdicts: Option<Verdicts<'a, 't>>,
        buffers: &mut RelabelBuffers,
    ) -> Option<Self> {
        let has_work = relabeler.is_some() || verdicts.is_some();
        has_work.then(|| Self { relabeler, verdicts, buffers: std::mem::take(buffers), effort_left: MOST_EFFORT })
    }

    pub(crate) fn give_back(self, buffers: &mut RelabelBuffers) {
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

    /// The verdict, once all labels of the series have been pushed. A series that is dropped is as one without labels. Of a
    /// push that is abandoned by then it says nothing.
    pub(crate) fn verdict(&mut self, rules: &Validation, work: &mut Work) -> LabelVerdict {
        if !work.is_abandoned() && work.take(self.buffers.set.sorting()) && self.is_left(work) {
            self.validate(rules, work)
        } else {
            LabelVerdict::Nothing
        }
    }

    /// Whether anything is left of the series once it is deduplicated and relabelled.
    fn is_left(&mut self, work: &mut Work) -> bool {
        let set = &mut self.buffers.set;
        if let Some(verdicts) = &self.verdicts {
            match verdicts.of(set.iter(), work) {
                Dedupe::NoPair => {}
                Dedupe::Elected => set.remove_first(verdicts.replica_label()),
                Dedupe::Dropped => return false,
            }
        }
        let Some(TenantRelabeler { relabeler, tenant }) = self.relabeler else { return true };
        if !pay(&mut self.effort_left, relabeler.effort(set), work) {
            return false;
        }
        let sent = set.bytes();
        let keep = relabeler.apply_within(tenant, set, &mut self.effort_left);
        if !set.is_within_bounds() {
            work.abandon(Unmetered::RelabelWork);
        }
        pay(&mut self.effort_left, relabeler.effort_of_writing(set.bytes() - sent), work) && keep
    }

    fn validate(&mut self, rules: &Validation, work: &mut Work) -> LabelVerdict {
        let RelabelBuffers { set, labels: buffers } = &mut self.buffers;
        let mut labels = Labels::new(buffers);
        labels.begin();
        set.iter().for_each(|(name, value)| labels.push(rules, name, value, rules.is_label_value(value), work));
        let verdict = labels.verdict(rules, work);
        labels.give_back(buffers);
        verdict
    }
}

/// Takes effort from what is left; false if there is not enough, and the push is abandoned.
fn pay(left: &mut usize, effort: usize, work: &mut Work) -> bool {
    match left.checked_sub(effort) {
        Some(rest) => *left = rest,
        None => work.abandon(Unmetered::RelabelWork),
    }
    !work.is_abandoned()
}
