//! The last stage: metrics, the tenant's own counters, and records of denials.

mod at_scrape;
mod denials;
mod known;
mod metrics;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use enforce::{BucketOwner, Denial};
use limits::{Mode, Tenant};
use prometheus::Registry;

pub use denials::{AuditTarget, DenialRecord, Denials};

use crate::charge::Refund;
use crate::identify::tenant_of;
use crate::push::Push;
use crate::verdict::{AllowReason, Verdict};
use known::KnownTenants;
use metrics::Metrics;
use tenants::TenantMetrics;

/// What is recorded of a push besides its verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'p> {
    /// `None` without a valid header.
    pub tenant: Option<Tenant<'p>>,
    /// The size of the body as sent, if it is known.
    pub body_bytes: Option<usize>,
    /// 0 on a first attempt.
    pub retry_attempt: u32,
}

impl<'p> From<&'p Push> for Subject<'p> {
    fn from(push: &'p Push) -> Self {
        let body_bytes = push.body.bytes();
        Self { tenant: tenant_of(&push.tenant).ok(), body_bytes, retry_attempt: push.retry_attempt }
    }
}

/// Records decisions; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    metrics: Metrics,
    tenants: TenantMetrics,
    known: KnownTenants,
    denials: Denials,
}

impl Recorder {
    /// Opens the audit log, if there is one, and starts its thread.
    ///
    /// # Errors
    /// The audit log cannot be opened, or a metric cannot be registered.
    pub fn new(audit: Option<AuditTarget>, registry: &Registry) -> anyhow::Result<Self> {
        let (metrics, tenants) = (Metrics::new(registry)?, TenantMetrics::new(registry)?);
        let (known, denials) = (KnownTenants::default(), Denials::new(audit, registry)?);
        Ok(Self { inner: Arc::new(Inner { metrics, tenants, known, denials }) })
    }

    /// The recent denials.
    #[must_use]
    pub fn denials(&self) -> &Denials {
        &self.inner.denials
    }

    /// Evicts the records of idle tenants. To be called about once a minute.
    pub fn evict_idle(&self) {
        self.inner.tenants.evict_idle(Instant::now());
        self.inner.denials.evict_idle();
    }

    /// Writes what is queued for the audit log; blocks for up to two seconds.
    pub fn finish(&self) {
        self.inner.denials.finish();
    }

    /// Counts idle tenants that were evicted.
    pub fn evicted(&self, tenants: usize) {
        self.inner.metrics.evicted(tenants);
    }

    /// Records the decision on a push, which `took` this long.
    pub fn check(&self, subject: &Subject<'_>, verdict: &Verdict, took: Duration) {
        self.inner.metrics.check(verdict, took);
        if verdict.items_left_to_charge().is_some() {
            return;
        }
        let owner = subject.tenant.map(|tenant| BucketOwner { tenant, has_override: verdict.has_override });
        self.decided(owner.as_ref(), verdict.denial(), |tenant, denial| DenialRecord {
            counts: verdict.counts,
            body_bytes: subject.body_bytes,
            retry_attempt: subject.retry_attempt,
            ..DenialRecord::new("check", tenant, verdict.mode, denial)
        });
    }

    /// Records a refund.
    pub fn refund(&self, refund: &Refund<'_>) {
        let Inner { metrics, known, denials, .. } = &*self.inner;
        metrics.refund(refund.cause);
        if let Some((owner, charged)) = &refund.refunded {
            denials.record_refund(&owner.tenant, known.class_of(Some(owner)), refund.cause, *charged);
        }
    }

    /// Records the decision of a rate limit call, which is one however many descriptors the call has: the reason why it is allowed, or the denial.
    pub fn rate_limit(
        &self,
        owner: Option<&BucketOwner<'_>>,
        mode: Mode,
        items: u64,
        decided: Result<AllowReason, &Denial>,
    ) {
        self.inner.metrics.rate_limit(mode, items, decided);
        self.decided(owner, decided.err(), |tenant, denial| {
            DenialRecord::new("should_rate_limit", tenant, mode, denial)
        });
    }

    /// Counts a decision for its tenant. A denial is recorded, with the key of the tenant's limits.
    fn decided(
        &self,
        owner: Option<&BucketOwner<'_>>,
        denial: Option<&Denial>,
        record: impl FnOnce(Option<&str>, &Denial) -> DenialRecord,
    ) {
        let Inner { tenants, known, denials, .. } = &*self.inner;
        if let Some(owner) = owner {
            tenants.record(owner.tenant.id(), denial.is_some());
        }
        match (denial, owner) {
            (Some(denial), _) => {
                denials.record(record(owner.map(|owner| owner.tenant.limits_key()), denial), known.class_of(owner));
            }
            (None, Some(owner)) => known.allowed(owner.tenant.id()),
            (None, None) => {}
        }
    }
}
