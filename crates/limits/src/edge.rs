//! The edge configuration: a [`Mode`] for each tenant, and limits that only the edge has. Mimir's overrides cannot contain
//! them, since Mimir rejects unknown fields.
//!
//! Invariant: an unreadable document never makes the edge stricter. The last good configuration stays, and before there is
//! one all tenants are in [`Mode::Shadow`].

mod document;
mod state;

use std::collections::BTreeMap;

pub use state::{EdgeConfigApplied, EdgeConfigState};

use crate::model::Mode;
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
    /// Whether limits are enforced, Mimir's and those of the edge.
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

/// The immutable policies of all tenants. The default, without a document, is enforce without limits of the edge's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeConfig {
    default: EdgePolicy,
    tenants: BTreeMap<TenantId, Entry>,
}

/// A tenant's policy, with what it inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    policy: EdgePolicy,
    /// Whether the document's entry was valid.
    good: bool,
}

impl EdgeConfig {
    /// One policy for all tenants.
    #[must_use]
    pub fn for_everybody(policy: EdgePolicy) -> Self {
        EdgeConfig { default: policy, tenants: BTreeMap::new() }
    }

    /// The policy of a tenant without an entry, and of a push without a known tenant.
    #[must_use]
    pub fn default_policy(&self) -> &EdgePolicy {
        &self.default
    }

    /// The policy for a push of this tenant, by its bare ID.
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
