//! The last stage: metrics, the tenant's own counters, and records of denials.

mod denials;
mod metrics;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use enforce::Denial;
use limits::{Mode, Tenant};
use prometheus::Registry;

pub use denials::{AuditTarget, DenialRecord, Denials};

use crate::charge::Refund;
use crate::identify::tenant_of;
use crate::push::Push;
use crate::verdict::{AllowReason, Verdict};
use metrics::Metrics;
use tenants::TenantMetrics;

/// What is recorded of a push beside its verdict.
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
    denials: Denials,
}

impl Recorder {
    /// Opens the audit log, if there is one, and starts its thread.
    ///
    /// # Errors
    /// The audit log cannot be opened, or a metric cannot be registered.
    pub fn new(audit: Option<AuditTarget>, registry: &Registry) -> anyhow::Result<Self> {
        let (metrics, tenants) = (Metrics::new(registry)?, TenantMetrics::new(registry)?);
        Ok(Self { inner: Arc::new(Inner { metrics, tenants, denials: Denials::new(audit, registry)? }) })
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
        let Inner { metrics, tenants, denials } = &*self.inner;
        metrics.check(verdict, took);
        if verdict.items_left_to_charge().is_some() {
            return;
        }
        let denial = verdict.decision.denial();
        if let Some(tenant) = &subject.tenant {
            tenants.record(tenant.id(), denial.is_some());
        }
        if let Some(denial) = denial {
            let tenant = subject.tenant.as_ref().map(Tenant::limits_key);
            denials.record(DenialRecord {
                counts: verdict.counts,
                body_bytes: subject.body_bytes,
                retry_attempt: subject.retry_attempt,
                ..DenialRecord::new("check", tenant, verdict.mode, denial)
            });
        }
    }

    /// Records a refund.
    pub fn refund(&self, refund: &Refund<'_>) {
        let Inner { metrics, denials, .. } = &*self.inner;
        metrics.refund(refund.cause);
        if let Some((tenant, charged)) = &refund.given {
            denials.record_refund(tenant, refund.cause, *charged);
        }
    }

    /// Records the decision of a rate limit call, which is one however many descriptors the call has: the reason why it is allowed, or the denial.
    pub fn rate_limit(
        &self,
        tenant: Option<&Tenant<'_>>,
        mode: Mode,
        items: u64,
        decided: Result<AllowReason, &Denial>,
    ) {
        let Inner { metrics, tenants, denials } = &*self.inner;
        metrics.rate_limit(mode, items, decided);
        let denial = decided.err();
        if let Some(tenant) = tenant {
            tenants.record(tenant.id(), denial.is_some());
        }
        if let Some(denial) = denial {
            denials.record(DenialRecord::new("should_rate_limit", tenant.map(Tenant::limits_key), mode, denial));
        }
    }
}
