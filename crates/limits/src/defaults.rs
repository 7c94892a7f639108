//! The settings of Mimir that documents are checked against: its own limits, and its version.

use std::time::Duration;

use crate::model::{NameScheme, TenantLimits};
use crate::schema::{MimirVersion, RuleSettings};

/// Mimir's default for `-querier.query-store-after`.
const QUERY_STORE_AFTER: Duration = Duration::from_secs(12 * 60 * 60);

/// Mimir's own limits: of its flags and the `limits:` block of its configuration. They hold for tenants without an override, and lie under what an
/// override says.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// What the edge reads of them.
    pub limits: TenantLimits,
    /// What only rules look at.
    pub rules: RuleSettings,
    /// Mimir's `-querier.query-store-after`, which the limit `query_ingesters_within` has to be above; 0: it need not.
    pub query_store_after: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self::from(TenantLimits::default())
    }
}

impl From<TenantLimits> for Defaults {
    /// With Mimir's built-in settings for everything else.
    fn from(limits: TenantLimits) -> Self {
        Defaults { limits, rules: RuleSettings::default(), query_store_after: QUERY_STORE_AFTER }
    }
}

/// What a document is checked against.
#[derive(Debug, Clone, Default)]
pub(crate) struct MimirSettings {
    pub(crate) defaults: Defaults,
    pub(crate) version: MimirVersion,
}

/// The limits that an override is applied to. Whatever Mimir's own limits say, the scheme of names starts unset, which is the legacy one
/// (Mimir `pkg/util/validation/limits.go`, `Limits.UnmarshalYAML`).
pub(crate) fn override_base(defaults: &TenantLimits) -> TenantLimits {
    TenantLimits { name_validation_scheme: NameScheme::Legacy, ..defaults.clone() }
}
