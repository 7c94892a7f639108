//! Charges of hits that the caller counted: the rate limit call, on the same buckets as a push.

use enforce::{Denial, Level};
use limits::{Mode, Tenant};

use super::Charger;
use crate::control::ControlState;
use crate::outcome::{AllowReason, Stop, Undecided};

/// Hits and the bucket that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hits {
    /// On the request bucket of the bare tenant.
    Requests(u64),
    /// Samples, histograms, exemplars and metadata, on the ingestion bucket of the tenant's spelling.
    Items(u64),
}

/// The decision on hits.
#[derive(Clone, Debug)]
pub struct HitsVerdict {
    /// On all of them together: why they are allowed, or the denial.
    pub decision: Result<AllowReason, Denial>,
    /// Whether a denial is sent or only counted.
    pub mode: Mode,
    /// Whether the tenant has an override.
    pub has_override: bool,
    /// The bucket after the charge; `None` where nothing was charged.
    pub level: Option<Level>,
}

impl Charger {
    /// Charges hits to a tenant, all or none.
    pub(crate) fn charge_hits(
        &self,
        control: &ControlState,
        tenant: &Tenant<'_>,
        hits: Hits,
    ) -> Result<HitsVerdict, Undecided> {
        let of_tenant = control.for_tenant(tenant);
        let (mode, has_override) = (of_tenant.mode, of_tenant.has_override());
        let applicable = match of_tenant.applicable() {
            Ok(applicable) => applicable,
            Err(Stop::Allowed(allowed)) => {
                return Ok(HitsVerdict { decision: Ok(allowed), mode, has_override, level: None });
            }
            Err(Stop::Denied(_) | Stop::Undecided(_)) => return Err(Undecided::NoLimits),
        };
        let now = self.now();
        let (enforcer, owner) = (&self.enforcer, &applicable.owner());
        let (requests, items) = (applicable.request_limit(), applicable.ingestion_limit());
        let (decision, level) = match hits {
            Hits::Requests(count) => {
                (enforcer.admit_requests(owner, requests, count, now), enforcer.request_level(owner, requests, now))
            }
            Hits::Items(count) => {
                (enforcer.charge_items(owner, items, count, now), enforcer.ingestion_level(owner, items, now))
            }
        };
        let decision = decision.into_result().map(|()| AllowReason::WithinLimits);
        Ok(HitsVerdict { decision, mode, has_override, level: Some(level) })
    }
}
