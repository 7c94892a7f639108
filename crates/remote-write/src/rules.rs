//! What of a tenant's limits decides what Mimir charges for a push, as one argument.

use crate::ha::HaRules;
use crate::relabel::Relabeler;
use crate::validation::Validation;

/// The rules that one push is read by.
///
/// Some pushes are not counted exactly by them: [`Unmetered`](crate::Unmetered) says which, and what is charged then.
#[derive(Debug)]
pub struct Rules<'t> {
    /// Which series, samples and metadata are valid.
    pub validation: Validation,
    /// What becomes of the labels before that; `None` where nothing does.
    pub relabeler: Option<TenantRelabeler<'t>>,
    /// How pushes of Prometheus pairs are deduplicated before that; `None` where they are not.
    pub ha: Option<HaRules<'t>>,
}

/// Relabelling, and the tenant that it may look at.
#[derive(Clone, Copy, Debug)]
pub struct TenantRelabeler<'t> {
    /// The compiled rules.
    pub relabeler: &'t Relabeler,
    /// The bare tenant.
    pub tenant: &'t str,
}

impl From<&Validation> for Rules<'_> {
    /// The rules of a tenant without pairs and without relabelling.
    fn from(validation: &Validation) -> Self {
        Self { validation: *validation, relabeler: None, ha: None }
    }
}
