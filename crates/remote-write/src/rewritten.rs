//! Series whose labels are not judged as they were sent: relabelled, or of a push that is deduplicated series by series.

use crate::ha::{Dedupe, Verdicts};
use crate::labels::{LabelBuffers, LabelVerdict, Labels};
use crate::relabel::LabelSet;
use crate::rules::TenantRewrite;
use crate::validation::Validation;

/// How often rules are run for one push, at most: each rule once for each series, and once more for every ten labels of it.
///
/// It is half a second of work, and more than senders put into a push: 50,000 series of ten labels, with ten rules.
pub const MAX_RULE_RUNS: u64 = 1_000_000;

/// Buffers of [`Rewritten`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct RewrittenBuffers {
    set: LabelSet,
    labels: LabelBuffers,
}

impl RewrittenBuffers {
    /// Gives back memory over `bytes` in each of them.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.set.shrink(bytes);
        self.labels.shrink(bytes);
    }
}

/// Collects the labels of a series, makes of them what Mimir makes of them, and judges that.
#[derive(Debug)]
pub(crate) struct Rewritten<'a, 't> {
    rewrite: Option<TenantRewrite<'t>>,
    verdicts: Option<Verdicts<'a, 't>>,
    buffers: RewrittenBuffers,
    /// Of [`MAX_RULE_RUNS`]; none once it was not enough.
    runs_left: Option<u64>,
}

impl<'a, 't> Rewritten<'a, 't> {
    /// `None` where labels are judged as they were sent.
    pub(crate) fn new(
        rewrite: Option<TenantRewrite<'t>>,
        verdicts: Option<Verdicts<'a, 't>>,
        buffers: &mut RewrittenBuffers,
    ) -> Option<Self> {
        let has_work = rewrite.is_some() || verdicts.is_some();
        has_work.then(|| Self { rewrite, verdicts, buffers: std::mem::take(buffers), runs_left: Some(MAX_RULE_RUNS) })
    }

    pub(crate) fn give_back(self, buffers: &mut RewrittenBuffers) {
        *buffers = self.buffers;
    }

    /// Whether the push takes more runs than there are.
    pub(crate) fn gave_up(&self) -> bool {
        self.runs_left.is_none()
    }

    pub(crate) fn begin(&mut self) {
        self.buffers.set.clear();
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        if !self.gave_up() {
            self.buffers.set.push(name, value);
        }
    }

    /// The verdict, once all labels of the series have been pushed. A series that is dropped is as one without labels.
    pub(crate) fn verdict(&mut self, rules: &Validation) -> LabelVerdict {
        let RewrittenBuffers { set, labels: buffers } = &mut self.buffers;
        let runs = self.rewrite.map_or(0, |rewrite| rewrite.rewrite.runs(set));
        self.runs_left = self.runs_left.and_then(|left| left.checked_sub(runs));
        if self.runs_left.is_none() {
            return LabelVerdict::Nothing;
        }
        if let Some(verdicts) = &self.verdicts {
            match verdicts.of(set.iter()) {
                Dedupe::NoPair => {}
                Dedupe::Elected => set.remove_first(verdicts.replica_label()),
                Dedupe::Dropped => return LabelVerdict::Nothing,
            }
        }
        if let Some(TenantRewrite { rewrite, tenant }) = self.rewrite
            && !rewrite.apply(tenant, set)
        {
            return LabelVerdict::Nothing;
        }
        let mut labels = Labels::new(buffers);
        labels.begin();
        set.iter().for_each(|(name, value)| labels.push(rules, name, value, rules.is_label_value(value)));
        let verdict = labels.verdict(rules);
        labels.give_back(buffers);
        verdict
    }
}
