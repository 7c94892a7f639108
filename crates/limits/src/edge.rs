//! The edge configuration: what Mimir's overrides cannot say, because Mimir refuses fields that it does not know. Per
//! tenant a [`Mode`], and limits that only the edge has.
//!
//! The invariant kept: a document that cannot be read never makes the edge stricter. The last good configuration stays,
//! and before there is one everybody is in [`Mode::Shadow`].

mod document;
mod state;

use std::collections::BTreeMap;

pub use state::{EdgeConfigApplied, EdgeConfigState};

use crate::mode::Mode;
use crate::tenant::{Tenant, TenantId};

/// Limits that Mimir does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EdgeLimits {
    /// Bytes of a body as it is sent, compressed; `None`: no limit, 0 in the document.
    pub max_body_bytes: Option<u64>,
    /// Series of one push; `None`: no limit, 0 in the document.
    pub max_series_per_request: Option<u64>,
}

/// What the edge does with a tenant's pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EdgePolicy {
    /// Whether limits are held to, those of the edge and Mimir's.
    pub mode: Mode,
    /// The edge's own limits.
    pub limits: EdgeLimits,
}

impl Default for EdgePolicy {
    /// Enforce, without limits of the edge's own.
    fn default() -> Self {
        EdgePolicy { mode: Mode::Enforce, limits: EdgeLimits::default() }
    }
}

/// The policies of all tenants, never changed once made.
///
/// The default is what holds without a document: enforce for everybody, without limits of the edge's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeConfig {
    default: EdgePolicy,
    tenants: BTreeMap<TenantId, Entry>,
}

/// A tenant's policy, everything inherited in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    policy: EdgePolicy,
    /// Whether the document's entry could be read when the policy was made.
    good: bool,
}

impl EdgeConfig {
    /// One policy for everybody.
    #[must_use]
    pub fn for_everybody(policy: EdgePolicy) -> Self {
        EdgeConfig { default: policy, tenants: BTreeMap::new() }
    }

    /// What holds for a tenant without an entry, and where no tenant is known.
    #[must_use]
    pub fn default_policy(&self) -> &EdgePolicy {
        &self.default
    }

    /// What holds for a push of this tenant, by its bare ID.
    #[must_use]
    pub fn for_tenant(&self, tenant: &Tenant<'_>) -> &EdgePolicy {
        self.tenant(tenant.id()).unwrap_or(&self.default)
    }

    /// The policy of a tenant that has an entry.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<&EdgePolicy> {
        self.tenants.get(id).map(|entry| &entry.policy)
    }

    /// Every tenant with an entry, in order of its ID.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, &EdgePolicy)> {
        self.tenants.iter().map(|(id, entry)| (id, &entry.policy))
    }
}

#[cfg(test)]
mod tests;
