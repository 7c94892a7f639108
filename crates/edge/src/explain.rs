//! Previews of a decision, without charges.

use std::time::Duration;

use enforce::{DenyReason, Level};
use limits::{EdgeLimits, Mode, Tenant};

use crate::control::ControlState;
use crate::identify::tenant_of;
use crate::pipeline::Pipeline;
use crate::policy::Charge;
use crate::push::Push;
use crate::verdict::{Undecided, Verdict};

/// The verdict that a push would get, with its buckets.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The tenant's limits in the edge config, or the default ones.
    pub edge: EdgeLimits,
    /// The request and the ingestion bucket; `None` without a tenant or limits, and in mode off.
    pub buckets: Option<(BucketView, BucketView)>,
    /// Whether the tenant's buckets are here, see [`Pipeline::has_buckets`].
    pub has_buckets: bool,
}

/// A bucket, and what a push would take from it.
#[derive(Clone, Debug)]
pub struct BucketView {
    /// The bucket now.
    pub level: Level,
    /// What the push would take, in tokens.
    pub cost: u64,
}

impl Pipeline {
    /// What [`Pipeline::decide`] would decide now.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub async fn explain(&self, push: &Push) -> Result<Explanation, Undecided> {
        let control = self.control();
        let verdict = self.decide_by(&control, push, Charge::DryRun, &mut ()).await?;
        let items = verdict.counts.items();
        let tenant = tenant_of(&push.tenant).ok();
        let edge = tenant.map_or(control.edge.default_policy().limits, |tenant| control.for_tenant(&tenant).edge);
        let buckets = tenant.and_then(|tenant| self.buckets(&control, &tenant, items));
        let has_buckets = tenant.is_some_and(|tenant| self.has_buckets(&control, &tenant));
        Ok(Explanation { verdict, edge, buckets, has_buckets })
    }

    /// The request bucket and the ingestion bucket of a tenant, for a push with so many items.
    pub fn buckets(&self, control: &ControlState, tenant: &Tenant<'_>, items: u64) -> Option<(BucketView, BucketView)> {
        let Ok(applicable) = control.for_tenant(tenant).applicable() else { return None };
        let (now, owner) = (self.now(), applicable.owner());
        let request = self.enforcer().request_level(&owner, applicable.request_limit(), now);
        let ingestion = self.enforcer().ingestion_level(&owner, applicable.ingestion_limit(), now);
        Some((BucketView { level: request, cost: 1 }, BucketView { level: ingestion, cost: items }))
    }

    /// Whether pushes of the tenant were charged here, and its buckets are not evicted since: this is then the replica that decides its pushes.
    pub fn has_buckets(&self, control: &ControlState, tenant: &Tenant<'_>) -> bool {
        let settings = control.for_tenant(tenant);
        settings.applicable().is_ok_and(|applicable| self.enforcer().has_buckets(&applicable.owner()))
    }
}

impl Explanation {
    /// How long until the push passes if nothing else is charged; `None` if waiting does not help.
    pub fn passes_in(&self) -> Option<Duration> {
        let Some(denial) = self.verdict.denial() else { return Some(Duration::ZERO) };
        match (denial.reason(), &self.buckets) {
            (DenyReason::RequestRate | DenyReason::IngestionRate, Some((request, ingestion))) => {
                let [request, ingestion] = [request, ingestion].map(|view| view.level.wait_for(view.cost));
                Some(request?.max(ingestion?))
            }
            _ => None,
        }
    }

    /// `allow`, `deny`, or `would_deny` where the mode lets a denial pass.
    pub fn outcome(&self) -> &'static str {
        match (&self.verdict.decision, self.verdict.mode) {
            (Ok(_), _) => "allow",
            (Err(_), Mode::Enforce) => "deny",
            (Err(_), Mode::Shadow | Mode::Off) => "would_deny",
        }
    }
}
