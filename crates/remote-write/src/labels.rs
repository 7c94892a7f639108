//! Validates the labels of each series.
//!
//! Consecutive series mostly have the same label names in the same order. So the names of the previous series are kept, and
//! a name at the same index needs no second check. If names do not ascend, a copy of them is sorted to find duplicates.

use crate::Unmetered;
use crate::bytes::is_same;
use crate::validation::Validation;
use crate::work::{FREE_BYTES, Work, push_within, shrink_vec};

/// The label that names the metric.
pub(crate) const METRIC_NAME: &[u8] = b"__name__";

/// Buffers of [`Labels`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct LabelBuffers {
    names: Vec<&'static [u8]>,
    sorted: Vec<&'static [u8]>,
}

impl LabelBuffers {
    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        shrink_vec(&mut self.names, bytes / 2) + shrink_vec(&mut self.sorted, bytes / 2)
    }
}

/// The result for the labels of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelVerdict {
    /// There is no label with a value: Mimir skips the series.
    Empty,
    /// Mimir rejects the series.
    Invalid,
    /// Mimir accepts the series, if its samples are valid.
    Valid,
}

/// Validates the labels of the series of one push.
#[derive(Debug, Default)]
pub(crate) struct Labels<'a> {
    /// The names of this series so far, followed by those of the previous series.
    names: Vec<&'a [u8]>,
    /// How many of the first `names` are valid and distinct,
    distinct: usize,
    /// and how many ascend.
    ascending: usize,
    sorted: Vec<&'a [u8]>,
    /// Labels of this series so far that have a value.
    count: usize,
    valid: bool,
    metric_name: Option<&'a [u8]>,
    /// The last metric name that was found valid.
    known_metric_name: &'a [u8],
}

impl<'a> Labels<'a> {
    pub(crate) fn new(buffers: &mut LabelBuffers) -> Self {
        let names = recycle(std::mem::take(&mut buffers.names));
        let sorted = recycle(std::mem::take(&mut buffers.sorted));
        Self { names, sorted, ..Self::default() }
    }

    pub(crate) fn return_to(self, buffers: &mut LabelBuffers) {
        *buffers = LabelBuffers { names: recycle(self.names), sorted: recycle(self.sorted) };
    }

    /// Begins the next series.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        self.valid = true;
        self.metric_name = None;
    }

    /// Adds a label. Mimir removes a label with an empty value before validation.
    #[inline]
    pub(crate) fn push(
        &mut self,
        rules: &Validation,
        name: &'a [u8],
        value: &'a [u8],
        value_is_valid: bool,
        work: &mut Work,
    ) {
        if value.is_empty() {
            return;
        }
        self.valid &= value_is_valid;
        match self.names.get_mut(self.count).filter(|_| self.count < self.distinct) {
            // A label that is the same as in the previous series.
            Some(known) if std::ptr::eq(*known, name) => {}
            Some(known) if is_same_within(known, name, work) => *known = name,
            _ => self.add_name(rules, name, work),
        }
        if self.metric_name.is_none() && name == METRIC_NAME {
            self.metric_name = Some(value);
        }
        self.count += 1;
    }

    /// Checks a name that the previous series does not have at this index.
    #[inline(never)]
    fn add_name(&mut self, rules: &Validation, name: &'a [u8], work: &mut Work) {
        let at = self.count;
        self.distinct = self.distinct.min(at);
        self.ascending = self.ascending.min(at);
        self.names.truncate(at);
        if rules.is_too_many_labels(at + 1) {
            // Keeps no more names than a limit allows.
            self.valid = false;
            return;
        }
        // Paid twice: it is compared with the previous name, and validated.
        if !work.touch(name.len()) || !work.touch(name.len()) {
            return;
        }
        let ascends = self.names.last().is_none_or(|last| *last < name);
        if !push_within(&mut self.names, name, work.caps.labels) {
            work.abandon(Unmetered::Buffers);
        } else if !rules.is_label_name(name) {
            self.valid = false;
        } else if ascends && self.ascending == at && self.distinct == at {
            self.ascending += 1;
            self.distinct += 1;
        }
    }

    /// The result, once all labels of the series are added. It means nothing for an abandoned push.
    #[inline]
    pub(crate) fn verdict(&mut self, rules: &Validation, work: &mut Work) -> LabelVerdict {
        if self.count == 0 {
            return LabelVerdict::Empty;
        }
        let valid = self.valid
            && self.metric_name.is_some_and(|name| self.is_metric_name(rules, name, work))
            && rules.may_have_labels(self.metric_name.unwrap_or_default(), self.count)
            && (self.distinct >= self.count || self.are_distinct(work));
        if valid { LabelVerdict::Valid } else { LabelVerdict::Invalid }
    }

    #[inline]
    fn is_metric_name(&mut self, rules: &Validation, name: &'a [u8], work: &mut Work) -> bool {
        if is_same_within(self.known_metric_name, name, work) {
            return true;
        }
        let valid = work.touch(name.len()) && rules.is_metric_name(name);
        if valid {
            self.known_metric_name = name;
        }
        valid
    }

    /// Whether all names of this series are distinct; all of them are valid.
    #[inline(never)]
    fn are_distinct(&mut self, work: &mut Work) -> bool {
        let names = self.names.get(..self.count).unwrap_or_default();
        if !work.take(sorting_work(names.iter().map(|name| name.len()))) {
            return false;
        }
        self.sorted.clear();
        self.sorted.reserve_exact(names.len());
        self.sorted.extend(names);
        self.sorted.sort_unstable();
        let distinct = self.sorted.is_sorted_by(|left, right| left < right);
        if distinct {
            self.distinct = self.count;
        }
        distinct
    }
}

/// Whether the texts are the same; false if the push has no budget to compare long ones.
#[inline]
pub(crate) fn is_same_within(left: &[u8], right: &[u8], work: &mut Work) -> bool {
    let is_free = left.len() <= FREE_BYTES || left.len() != right.len() || std::ptr::eq(left, right);
    (is_free || work.touch(left.len())) && is_same(left, right)
}

/// The work of sorting texts of these lengths: a logarithmic number of comparisons for each, with its first bytes free.
pub(crate) fn sorting_work(lengths: impl ExactSizeIterator<Item = usize>) -> usize {
    let rounds = lengths.len().checked_ilog2().unwrap_or_default() as usize + 1;
    let texts = lengths.map(|length| 1 + length.saturating_sub(FREE_BYTES));
    texts.fold(0_usize, usize::saturating_add).saturating_mul(rounds)
}

/// The emptied buffer for slices of another lifetime. Collecting in place keeps its memory.
fn recycle<'to>(mut buffer: Vec<&[u8]>) -> Vec<&'to [u8]> {
    buffer.clear();
    buffer.into_iter().map(|_| -> &'to [u8] { &[] }).collect()
}

#[cfg(test)]
mod tests;
