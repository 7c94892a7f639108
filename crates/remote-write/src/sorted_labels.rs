//! Validates the labels of a series that were copied and sorted by name.
//!
//! Consecutive series mostly have the same names and the same metric. So those of the last valid series are kept, and need no
//! second check.

use crate::bytes::is_same;
use crate::labels::{LabelVerdict, METRIC_NAME, is_same_within};
use crate::relabel::LabelSet;
use crate::validation::Validation;
use crate::work::{Work, shrink_vec};

/// More bytes of names, or of a metric's, are not kept.
const MAX_BYTES: usize = 4 << 10;

/// Names that are valid by the rules of the push, and the text of a metric name that is.
#[derive(Debug, Default)]
pub(crate) struct KnownLabels {
    /// Names that ascend, one after the other,
    names: Vec<u8>,
    /// and where each ends.
    ends: Vec<usize>,
    metric_name: Vec<u8>,
}

impl KnownLabels {
    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        let share = bytes / 4;
        shrink_vec(&mut self.names, share)
            + shrink_vec(&mut self.metric_name, share)
            + shrink_vec(&mut self.ends, share)
    }

    /// Forgets all: a push with other rules follows.
    pub(crate) fn forget(&mut self) {
        self.names.clear();
        self.ends.clear();
        self.metric_name.clear();
    }

    /// The result for a series. It means nothing for an abandoned push.
    ///
    /// Precondition: the labels are sorted by name, and none is empty.
    pub(crate) fn verdict(&mut self, labels: &LabelSet, rules: &Validation, work: &mut Work) -> LabelVerdict {
        if labels.is_empty() {
            return LabelVerdict::Empty;
        }
        let valid = !rules.is_too_many_labels(labels.len())
            && labels.iter().all(|(_, value)| rules.is_label_value(value))
            && (self.has_names_of(labels, work) || self.names_are_valid(labels, rules, work))
            && labels.get(METRIC_NAME).is_some_and(|name| {
                self.is_metric_name(name, rules, work) && rules.may_have_labels(name, labels.len())
            });
        if valid { LabelVerdict::Valid } else { LabelVerdict::Invalid }
    }

    /// Whether the labels have the known names.
    fn has_names_of(&self, labels: &LabelSet, work: &mut Work) -> bool {
        let mut start = 0;
        self.ends.len() == labels.len()
            && labels.iter().zip(&self.ends).all(|((name, _), end)| {
                let known = self.names.get(start..*end).unwrap_or_default();
                start = *end;
                is_same_within(known, name, work)
            })
    }

    /// Whether the names are valid and distinct; they are known then.
    fn names_are_valid(&mut self, labels: &LabelSet, rules: &Validation, work: &mut Work) -> bool {
        self.names.clear();
        self.ends.clear();
        let mut last: &[u8] = &[];
        for (name, _) in labels.iter() {
            // Paid twice: it is compared with the previous name, and validated.
            let is_paid = work.touch(name.len()) && work.touch(name.len());
            if !is_paid || is_same(last, name) || !rules.is_label_name(name) {
                self.ends.clear();
                return false;
            }
            last = name;
            if self.names.len() + name.len() <= MAX_BYTES {
                self.names.extend_from_slice(name);
                self.ends.push(self.names.len());
            }
        }
        true
    }

    fn is_metric_name(&mut self, name: &[u8], rules: &Validation, work: &mut Work) -> bool {
        if is_same_within(&self.metric_name, name, work) {
            return true;
        }
        let valid = work.touch(name.len()) && rules.is_metric_name(name);
        if valid && name.len() <= MAX_BYTES {
            self.metric_name.clear();
            self.metric_name.extend_from_slice(name);
        }
        valid
    }
}
