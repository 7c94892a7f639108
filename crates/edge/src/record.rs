//! The last stage: what is recorded of each decision, in metrics, in the tenant's own counters, and of denials.

mod denials;
mod metrics;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use enforce::{Decision, Denial};
use limits::{Mode, Tenant};
use prometheus::Registry;
use remote_write::PushCounts;

pub use denials::{AuditTarget, DenialRecord, Denials};

use crate::charge::Refund;
use crate::identify::tenant_of;
use crate::push::Push;
use crate::verdict::{AllowReason, Verdict};
use denials::DeniedPush;
use metrics::Metrics;
use tenants::TenantMetrics;

/// What is known of a push beside its verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'p> {
    /// None if its header names none.
    pub tenant: Option<Tenant<'p>>,
    /// Of the body as sent, if that is known.
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

/// Handles on everything that is recorded of decisions; cheap to clone.
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
    /// Opens the audit log, if there is to be one, and starts the thread that writes it.
    ///
    /// # Errors
    /// When the audit log cannot be opened, or a metric cannot be registered.
    pub fn new(audit: Option<AuditTarget>, registry: &Registry) -> anyhow::Result<Self> {
        let (metrics, tenants) = (Metrics::new(registry)?, TenantMetrics::new(registry)?);
        Ok(Self { inner: Arc::new(Inner { metrics, tenants, denials: Denials::new(audit, registry)? }) })
    }

    /// The last denials.
    #[must_use]
    pub fn denials(&self) -> &Denials {
        &self.inner.denials
    }

    /// Forgets what is kept of tenants that have been idle for long. To be called about once a minute.
    pub fn evict_idle(&self) {
        self.inner.tenants.evict_idle(Instant::now());
        self.inner.denials.evict_idle();
    }

    /// Writes what is still to be written; blocks for up to two seconds.
    pub fn finish(&self) {
        self.inner.denials.finish();
    }

    /// So many idle tenants were forgotten.
    pub fn evicted(&self, tenants: usize) {
        self.inner.metrics.evicted(tenants);
    }

    /// A push was decided, and `took` so long.
    pub fn check(&self, subject: &Subject<'_>, verdict: &Verdict, took: Duration) {
        let Inner { metrics, tenants, denials } = &*self.inner;
        metrics.check(verdict, took);
        if verdict.items_left_to_charge().is_some() {
            return;
        }
        let denial = match &verdict.decision {
            Decision::Allow => None,
            Decision::Deny(denial) => Some(denial),
        };
        if let Some(tenant) = &subject.tenant {
            tenants.record(tenant.id(), denial.is_some());
        }
        if let Some(denial) = denial {
            denials.record(DeniedPush {
                counts: verdict.counts,
                body_bytes: subject.body_bytes,
                retry_attempt: subject.retry_attempt,
                ..denied_push("check", subject.tenant.as_ref(), verdict.mode, denial)
            });
        }
    }

    /// Something came back.
    pub fn refund(&self, refund: &Refund<'_>) {
        let Inner { metrics, denials, .. } = &*self.inner;
        metrics.refund(refund.cause);
        if let Some((tenant, charged)) = &refund.given {
            denials.record_refund(tenant, refund.cause, *charged);
        }
    }

    /// A rate limit call about a tenant's push was answered: one decision, however many descriptors it has. `decided` is why it is allowed,
    /// or the denial.
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
            denials.record(denied_push("should_rate_limit", tenant, mode, denial));
        }
    }
}

fn denied_push(api: &'static str, tenant: Option<&Tenant<'_>>, mode: Mode, denial: &Denial) -> DeniedPush {
    DeniedPush {
        tenant: tenant.map(|tenant| tenant.limits_key().into()),
        mode,
        reason: denial.reason(),
        message: denial.message().to_owned(),
        api,
        counts: PushCounts::default(),
        body_bytes: None,
        retry_attempt: 0,
    }
}
