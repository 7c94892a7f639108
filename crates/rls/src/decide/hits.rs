//! The decision on a number of hits that somebody else counted: the rate limit call, on the same buckets as a push.

use enforce::{Decision, Level};
use limits::{Mode, Tenant};

use super::{AllowReason, Basis, Decider, Undecided, basis};

/// Hits and the bucket that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hits {
    /// On the request bucket of the bare tenant.
    Requests(u64),
    /// Samples, histograms, exemplars and metadata, on the ingestion bucket of the tenant's spelling.
    Items(u64),
}

/// What came of hits.
#[derive(Clone, Debug)]
pub(crate) struct HitsVerdict {
    pub decision: Decision,
    /// Why they are allowed; meaningless for a refusal.
    pub allowed: AllowReason,
    /// Whether a refusal is sent or only counted.
    pub mode: Mode,
    /// The bucket after the charge; none where nothing was looked at.
    pub level: Option<Level>,
}

impl Decider {
    /// Charges hits to a tenant, all or none.
    ///
    /// # Errors
    /// While there are no limits to decide by.
    pub(crate) fn charge_hits(&self, tenant: &Tenant<'_>, hits: Hits) -> Result<HitsVerdict, Undecided> {
        let rules = self.rules();
        let rules = rules.for_tenant(tenant);
        let mode = rules.mode;
        let limits = match basis(&rules)? {
            Basis::Limits(limits) => limits,
            Basis::Nothing(allowed) => {
                return Ok(HitsVerdict { decision: Decision::Allow, allowed, mode, level: None });
            }
        };
        let now = self.now();
        let (decision, level) = match hits {
            Hits::Requests(requests) => {
                let limit = limits.tenant.limits.request_limit(rules.distributors);
                let decision = self.enforcer.admit_requests(tenant, limit, requests, now);
                (decision, self.enforcer.request_level(tenant, limit, now))
            }
            Hits::Items(items) => {
                let limit = limits.ingestion.limits.ingestion_limit(rules.distributors);
                let decision = self.enforcer.charge_items(tenant, limit, items, now);
                (decision, self.enforcer.ingestion_level(tenant, limit, now))
            }
        };
        Ok(HitsVerdict { decision, allowed: AllowReason::WithinLimits, mode, level: Some(level) })
    }
}
