//! What Mimir does to the labels of a series before it looks at them: `metric_relabel_configs`, then `drop_labels`, then
//! empty values removed and names sorted (`prePushRelabelMiddleware` and `prePushSortAndFilterMiddleware` in Mimir's
//! `pkg/distributor/distributor.go`).
//!
//! [`Relabeler::compile`] reads a tenant's rules once; [`Relabeler::apply`] runs them on the labels of one series, in a
//! [`LabelSet`] that the caller fills and keeps.
//!
//! The rules are Prometheus' (`model/relabel/relabel.go`) as Mimir runs them, and Mimir does not ask of a rule what
//! Prometheus asks when it loads its own: a label name that the tenant's scheme forbids is not written by `replace`, while
//! every other action writes it. Expressions are Go's, see [`go_regexp`].
//!
//! Invariants:
//! - Labels may be any bytes: nothing panics, and what is not UTF-8 is matched as Go matches it.
//! - What a series makes the rules do is bounded: by its size times the number of rules, and by [`MAX_WRITTEN_BYTES`].
//! - Once the buffers of the [`LabelSet`] are large enough, only expressions with groups that a rule uses allocate.

use std::sync::Arc;

use limits::TenantLimits;
use thiserror::Error;

mod labels;
mod letter_case;
mod rule;

pub use go_regexp::{Pattern, PatternError};
pub use labels::LabelSet;

use rule::Rule;

/// How much the rules may write on one series, in bytes, each label counted with 32 more.
///
/// Mimir has no such bound. What it makes of a series that comes to it is not known here.
pub const MAX_WRITTEN_BYTES: usize = go_regexp::MAX_EXPANDED_BYTES;

/// What a rule takes, in thousandths of a run on a series without labels, which is some half a microsecond: once that, and
/// for each label, or each 256 bytes of them, a tenth of it. What it takes to look at a text comes to that, rule by rule.
pub(crate) const RUN: usize = 1000;
const LABEL_OF_A_RULE: usize = 100;
const BYTES_OF_A_LABEL: usize = 256;

/// What taking off a label by its name takes for each label that is there: nothing but a comparison.
const LABEL_OF_A_DROP: usize = 5;

/// The label under which rules see the tenant; it is removed after the last of them.
const TENANT_LABEL: &[u8] = b"__meta_tenant_id";

/// A tenant's `metric_relabel_configs` and `drop_labels`, ready to run.
#[derive(Debug)]
pub struct Relabeler {
    rules: Vec<Rule>,
    /// Of all rules together.
    weight: usize,
    is_cheap: bool,
    drop_labels: Vec<Box<str>>,
}

/// A rule that cannot be run. The text goes on from the name of the field, `metric_relabel_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RelabelError {
    /// Mimir refuses the document with this rule.
    #[error("has rule {rule} whose regex {error}")]
    Regex {
        /// Which rule, from 1.
        rule: usize,
        /// What is wrong with the expression.
        error: PatternError,
    },
    /// Mimir refuses the document with this rule.
    #[error("has rule {rule} with an empty name in source_labels: remove it")]
    EmptySourceLabel {
        /// Which rule, from 1.
        rule: usize,
    },
    /// Mimir accepts the document, and closes the connection without an answer when a series of a push comes to this rule:
    /// it divides by 0.
    #[error("has rule {rule} with the action hashmod and no modulus: set one of at least 1")]
    ZeroModulus {
        /// Which rule, from 1.
        rule: usize,
    },
}

impl Relabeler {
    /// The tenant's rules; `None` where there is nothing to do, or where the document turns all of it off
    /// (`metric_relabeling_enabled: false`, which turns `drop_labels` off too).
    ///
    /// # Errors
    /// The first rule that cannot be run. What Mimir charges to this tenant is not known then: its pushes are to be charged as sent.
    pub fn compile(limits: &TenantLimits) -> Result<Option<Self>, RelabelError> {
        let compiled = Self::compile_with(limits, |expression| Some(Pattern::compile(expression).map(Arc::new)));
        compiled.unwrap_or(Ok(None))
    }

    /// The same with expressions that `pattern` compiles, or shares with other rules. Where it gives `None`, this ends, and gives none either.
    pub fn compile_with(
        limits: &TenantLimits,
        mut pattern: impl FnMut(&Arc<str>) -> Option<Result<Arc<Pattern>, PatternError>>,
    ) -> Option<Result<Option<Self>, RelabelError>> {
        let nothing = limits.metric_relabel_configs.is_empty() && limits.drop_labels.is_empty();
        if nothing || !limits.metric_relabeling_enabled {
            return Some(Ok(None));
        }
        let mut rules = Vec::with_capacity(limits.metric_relabel_configs.len());
        for (rule, number) in limits.metric_relabel_configs.iter().zip(1..) {
            match Rule::compile(rule, number, limits.name_validation_scheme, &mut pattern)? {
                Ok(rule) => rules.push(rule),
                Err(error) => return Some(Err(error)),
            }
        }
        let weight = rules.iter().map(Rule::weight).sum();
        let is_cheap = !rules.iter().any(Rule::finds_groups);
        let drop_labels = limits.drop_labels.iter().map(|name| (&**name).into()).collect();
        Some(Ok(Some(Relabeler { rules, weight, is_cheap, drop_labels })))
    }

    /// How many rules there are, `drop_labels` included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len() + self.drop_labels.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no rule finds groups of its expression, which takes many times as long for each byte as anything else a rule does.
    #[must_use]
    pub fn is_cheap(&self) -> bool {
        self.is_cheap
    }

    /// How much of a run, in thousandths, a series takes that has these labels, beside the texts that rules look at.
    pub(crate) fn effort(&self, labels: &LabelSet) -> usize {
        let looks_at = labels.len().saturating_add(labels.bytes() / BYTES_OF_A_LABEL);
        let rules = self.weight.saturating_mul(RUN);
        let labels_of_rules = self.rules.len().saturating_mul(looks_at).saturating_mul(LABEL_OF_A_RULE);
        let drop = (labels.len() + 1).saturating_mul(LABEL_OF_A_DROP);
        rules.saturating_add(labels_of_rules).saturating_add(self.drop_labels.len().saturating_mul(drop))
    }

    /// And how much more for so many bytes that the rules wrote.
    pub(crate) fn effort_of_writing(&self, bytes: usize) -> usize {
        self.rules.len().saturating_mul(bytes / BYTES_OF_A_LABEL).saturating_mul(LABEL_OF_A_RULE)
    }

    /// Makes of the labels of one series, as sent, what Mimir goes on with: sorted by name, without empty values.
    ///
    /// `tenant` is the bare tenant, which rules may look at. False: Mimir drops the series without a word, because a rule
    /// says so or no label is left; `labels` then hold nothing of use. It is also false where the rules came to
    /// [`MAX_WRITTEN_BYTES`], which [`LabelSet::is_within_bounds`] tells.
    pub fn apply(&self, tenant: &str, labels: &mut LabelSet) -> bool {
        let mut effort = usize::MAX;
        self.apply_within(tenant, labels, &mut effort)
    }

    /// The same with so much effort left for the texts that rules look at, in thousandths of a run. A rule that would take more does not run, and
    /// leaves the labels out of bounds.
    pub(crate) fn apply_within(&self, tenant: &str, labels: &mut LabelSet, effort: &mut usize) -> bool {
        if !self.rules.is_empty() && !self.relabel(tenant, labels, effort) {
            return false;
        }
        for name in &self.drop_labels {
            labels.remove_first(name.as_bytes());
        }
        labels.tidy()
    }

    fn relabel(&self, tenant: &str, labels: &mut LabelSet, effort: &mut usize) -> bool {
        labels.unite();
        labels.set(TENANT_LABEL, tenant.as_bytes());
        let mut scratch = labels.take_scratch();
        let keep = self.rules.iter().all(|rule| rule.apply(labels, &mut scratch, effort) && labels.is_within_bounds());
        labels.return_scratch(scratch);
        // Set to an empty value, as Mimir does, it would count as written.
        labels.remove_first(TENANT_LABEL);
        keep
    }
}

#[cfg(test)]
mod tests;
