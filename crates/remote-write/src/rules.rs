//! What of a tenant's limits decides what Mimir charges for a push, as one argument.

use crate::ha::HaRules;
use crate::relabel::Rewrite;
use crate::validation::Validation;

/// The rules that one push is read by.
///
/// Some pushes are not counted to the end ([`Certainty::Unknown`](crate::Certainty::Unknown)): whose relabelling takes more
/// than [`MAX_RULE_RUNS`](crate::MAX_RULE_RUNS), or that hold series of more than [`MAX_REPLICAS`](crate::MAX_REPLICAS)
/// replicas where each series is deduplicated. Where Mimir cuts values that are too long,
/// [`Certainty::Likely`](crate::Certainty::Likely) is the most for 2.0 pushes in which such a value stands for more than one
/// label, and for relabelled ones with such a value: Mimir writes the cut one over the bytes that they share
/// (`hashLabelValueInto` in its `pkg/distributor/validate.go`).
#[derive(Debug)]
pub struct Rules<'t> {
    /// Which series, samples and metadata are valid.
    pub validation: Validation,
    /// What becomes of the labels before that; `None` where nothing does.
    pub rewrite: Option<TenantRewrite<'t>>,
    /// How pushes of Prometheus pairs are deduplicated before that; `None` where they are not.
    pub ha: Option<HaRules<'t>>,
}

/// Relabelling, and the tenant that it may look at.
#[derive(Clone, Copy, Debug)]
pub struct TenantRewrite<'t> {
    /// The compiled rules.
    pub rewrite: &'t Rewrite,
    /// The bare tenant.
    pub tenant: &'t str,
}

impl From<&Validation> for Rules<'_> {
    /// The rules of a tenant without pairs and without relabelling.
    fn from(validation: &Validation) -> Self {
        Self { validation: *validation, rewrite: None, ha: None }
    }
}
