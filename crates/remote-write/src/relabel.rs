//! Relabelling before validation: `metric_relabel_configs`, then `drop_labels`, then empty values removed and names sorted
//! (`prePushRelabelMiddleware` and `prePushSortAndFilterMiddleware` in Mimir's `pkg/distributor/distributor.go`).
//!
//! [`Relabeler::compile`] compiles a tenant's rules once; [`Relabeler::apply`] runs them on the labels of one series, in a
//! [`LabelSet`] that the caller fills and keeps.
//!
//! The rules are Prometheus' (`model/relabel/relabel.go`), without the checks of its config loader, which Mimir does not run:
//! `replace` writes no label name that the tenant's scheme forbids, while every other action does. Expressions are Go's, see
//! [`go_regexp`].
//!
//! Invariants:
//! - Labels may be any bytes: nothing panics, and invalid UTF-8 is matched as in Go.
//! - The work for a series is bounded by its size times the number of rules, and by [`MAX_WRITTEN_BYTES`].
//! - Once the buffers of the [`LabelSet`] are large enough, only expressions whose groups a rule uses allocate.

use std::sync::Arc;

use limits::TenantLimits;
use thiserror::Error;

mod labels;
mod last_match;
mod letter_case;
mod rule;

pub use go_regexp::{Pattern, PatternError};
pub use labels::LabelSet;

use rule::Rule;

/// The most bytes that the rules may write on one series, each label counted with 32 more. Mimir has no such bound, so its
/// result for a series that reaches it is not known.
pub const MAX_WRITTEN_BYTES: usize = go_regexp::MAX_EXPANDED_BYTES;

/// The cost of a rule run on a series without labels, in thousandths of a run, some half a microsecond. Each label, or each 256
/// bytes of labels, costs a tenth of it. The cost of matching text is added rule by rule.
pub(crate) const RUN: usize = 1000;
const LABEL_OF_A_RULE: usize = 100;
const BYTES_OF_A_LABEL: usize = 256;

/// The cost of `drop_labels` for each label of the series: one comparison.
const LABEL_OF_A_DROP: usize = 5;

/// The label under which rules see the tenant; it is removed after the last of them.
const TENANT_LABEL: &str = "__meta_tenant_id";

/// A tenant's `metric_relabel_configs` and `drop_labels`, ready to run.
#[derive(Debug)]
pub struct Relabeler {
    rules: Vec<Rule>,
    /// Of all rules together.
    weight: usize,
    is_cheap: bool,
    /// Whether a rule may see the label with the tenant.
    sees_tenant: bool,
    drop_labels: Vec<Box<str>>,
}

/// A rule that cannot run. The text continues after the name of the field, `metric_relabel_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RelabelError {
    /// Mimir rejects the document with this rule.
    #[error("has rule {rule} whose regex {error}")]
    Regex {
        /// Which rule, from 1.
        rule: usize,
        /// What is wrong with the expression.
        error: PatternError,
    },
    /// Mimir rejects the document with this rule.
    #[error("has rule {rule} with an empty name in source_labels: remove it")]
    EmptySourceLabel {
        /// Which rule, from 1.
        rule: usize,
    },
    /// Mimir accepts the document, and closes the connection without an answer when this rule runs: it divides by 0.
    #[error("has rule {rule} with the action hashmod and no modulus: set one of at least 1")]
    ZeroModulus {
        /// Which rule, from 1.
        rule: usize,
    },
}

impl Relabeler {
    /// The tenant's rules; `None` if there are none, or if they are disabled (`metric_relabeling_enabled: false`, which disables
    /// `drop_labels` too).
    ///
    /// # Errors
    /// The first rule that cannot run. What Mimir charges is not known then: the tenant's pushes are to be charged as sent.
    pub fn compile(limits: &TenantLimits) -> Result<Option<Self>, RelabelError> {
        let compiled = Self::compile_with(limits, |expression| Some(Pattern::compile(expression).map(Arc::new)));
        compiled.unwrap_or(Ok(None))
    }

    /// The same with expressions that `pattern` compiles, or shares with other rules. Returns `None` as soon as `pattern` does.
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
        let sees_tenant = rules.iter().any(|rule| rule.may_touch(TENANT_LABEL));
        let drop_labels = limits.drop_labels.iter().map(|name| (&**name).into()).collect();
        Some(Ok(Some(Relabeler { rules, weight, is_cheap, sees_tenant, drop_labels })))
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

    /// The names whose first label is dropped from each series, if that is all there is to do.
    pub(crate) fn only_drops(&self) -> Option<&[Box<str>]> {
        self.rules.is_empty().then_some(&self.drop_labels)
    }

    /// Whether no rule uses groups of its expression, which take many times as long for each byte as anything else.
    #[must_use]
    pub fn is_cheap(&self) -> bool {
        self.is_cheap
    }

    /// The cost of a series with these labels, in thousandths of a run, without the texts that rules match.
    pub(crate) fn cost(&self, labels: &LabelSet) -> usize {
        let looks_at = labels.len().saturating_add(labels.bytes() / BYTES_OF_A_LABEL);
        let rules = self.weight.saturating_mul(RUN);
        let labels_of_rules = self.rules.len().saturating_mul(looks_at).saturating_mul(LABEL_OF_A_RULE);
        let drop = (labels.len() + 1).saturating_mul(LABEL_OF_A_DROP);
        rules.saturating_add(labels_of_rules).saturating_add(self.drop_labels.len().saturating_mul(drop))
    }

    /// The additional cost of `bytes` that the rules wrote.
    pub(crate) fn writing_cost(&self, bytes: usize) -> usize {
        self.rules.len().saturating_mul(bytes / BYTES_OF_A_LABEL).saturating_mul(LABEL_OF_A_RULE)
    }

    /// Relabels the labels of one series, as sent; the result is sorted by name, without empty values.
    ///
    /// `tenant` is the bare tenant, which rules may look at. False: Mimir silently drops the series, because a rule does or
    /// because no label is left; `labels` have no meaning then. Also false if the rules reached [`MAX_WRITTEN_BYTES`]: see
    /// [`LabelSet::is_within_bounds`].
    pub fn apply(&self, tenant: &str, labels: &mut LabelSet) -> bool {
        let mut cost = usize::MAX;
        labels.forget_matches();
        self.apply_within(tenant, labels, &mut cost)
    }

    /// The same with a budget for the texts that rules match, in thousandths of a run. A rule that would exceed it does not
    /// run, and leaves the labels out of bounds.
    ///
    /// Precondition: after other rules, `labels` have [forgotten](LabelSet::forget_matches) what those found.
    pub(crate) fn apply_within(&self, tenant: &str, labels: &mut LabelSet, cost: &mut usize) -> bool {
        if !self.rules.is_empty() && !self.relabel(tenant, labels, cost) {
            return false;
        }
        for name in &self.drop_labels {
            labels.remove_first(name.as_bytes());
        }
        labels.sort_and_filter()
    }

    fn relabel(&self, tenant: &str, labels: &mut LabelSet, cost: &mut usize) -> bool {
        labels.merge_duplicates();
        let shows_tenant = self.sees_tenant || labels.get(TENANT_LABEL.as_bytes()).is_some();
        if shows_tenant {
            labels.set(TENANT_LABEL.as_bytes(), tenant.as_bytes());
        }
        let mut scratch = labels.take_scratch();
        let mut rules = self.rules.iter().enumerate();
        let keep =
            rules.all(|(number, rule)| rule.apply(number, labels, &mut scratch, cost) && labels.is_within_bounds());
        labels.return_scratch(scratch);
        if shows_tenant {
            // Mimir sets it to an empty value, which would count as written here.
            labels.remove_first(TENANT_LABEL.as_bytes());
        }
        keep
    }
}

#[cfg(test)]
mod tests;
