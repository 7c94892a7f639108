//! The settings of Mimir that documents are checked with: its default limits and its version.

use std::time::Duration;

use crate::model::{NameScheme, TenantLimits};
use crate::schema::{MimirVersion, RuleSettings};

/// Mimir's default for `-querier.query-store-after`.
const QUERY_STORE_AFTER: Duration = Duration::from_secs(12 * 60 * 60);

/// Mimir's default limits: its flags and the `limits:` block of its configuration. Overrides are laid over them.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The limits that the edge reads.
    pub limits: TenantLimits,
    /// The settings that only rules use.
    pub rules: RuleSettings,
    /// Mimir's `-querier.query-store-after`, which `query_ingesters_within` must exceed, unless it is 0.
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

/// The settings that a document is checked with.
#[derive(Debug, Clone, Default)]
pub(crate) struct MimirSettings {
    pub(crate) defaults: Defaults,
    pub(crate) version: MimirVersion,
}

/// The limits that an override is laid over: Mimir's defaults, except for the name scheme, which starts as legacy (Mimir
/// `pkg/util/validation/limits.go`, `Limits.UnmarshalYAML`).
pub(crate) fn override_base(defaults: &TenantLimits) -> TenantLimits {
    TenantLimits { name_validation_scheme: NameScheme::Legacy, ..defaults.clone() }
}
