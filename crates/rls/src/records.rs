//! What is written down of each decision: metrics, the tenant's own counters, and refusals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use enforce::{Decision, Denial};
use limits::{Mode, Tenant};
use prometheus::Registry;
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use remote_write::PushCounts;

use crate::decide::{AllowReason, Refund, Verdict, tenant_of};
use crate::envoy::DescriptorKind;
use crate::metrics::Metrics;
use crate::push::Push;
use crate::refusals::{Refusal, Refusals};
use crate::tenant_metrics::TenantMetrics;

/// What is known of a push beside its verdict.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject<'p> {
    pub tenant: Option<Tenant<'p>>,
    /// Of the body as sent, if that is known.
    pub body_bytes: Option<usize>,
    pub retry_attempt: u32,
}

impl<'p> From<&'p Push> for Subject<'p> {
    fn from(push: &'p Push) -> Self {
        let body_bytes = push.body.bytes();
        Self { tenant: tenant_of(&push.tenant).ok(), body_bytes, retry_attempt: push.retry_attempt }
    }
}

/// Handles on everything that is told of decisions; cheap to clone.
#[derive(Clone)]
pub(crate) struct Records {
    inner: Arc<Inner>,
}

struct Inner {
    metrics: Metrics,
    tenants: TenantMetrics,
    refusals: Refusals,
}

impl Records {
    pub(crate) fn new(registry: &Registry, metrics: Metrics, refusals: Refusals) -> prometheus::Result<Self> {
        Ok(Self { inner: Arc::new(Inner { metrics, tenants: TenantMetrics::new(registry)?, refusals }) })
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    /// Forgets what is kept of tenants that have been idle for long.
    pub(crate) fn keep_house(&self) {
        self.inner.tenants.housekeep(Instant::now());
        self.inner.refusals.housekeep();
    }

    /// Writes what is still to be written.
    pub(crate) async fn finish(&self) {
        let inner = Arc::clone(&self.inner);
        // Its only error is a panic, which was shown.
        drop(tokio::task::spawn_blocking(move || inner.refusals.finish()).await);
    }

    /// A Check was answered.
    pub(crate) fn check(&self, subject: &Subject<'_>, verdict: &Verdict, took: Duration) {
        let Inner { metrics, tenants, refusals } = &*self.inner;
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
            refusals.record(Refusal {
                counts: verdict.counts,
                body_bytes: subject.body_bytes,
                retry_attempt: subject.retry_attempt,
                ..refusal("check", subject.tenant.as_ref(), verdict.mode, denial)
            });
        }
    }

    /// A descriptor of a rate limit call was answered.
    pub(crate) fn descriptor(&self, kind: DescriptorKind, code: Code) {
        self.inner.metrics.descriptor(kind, code);
    }

    /// Something came back.
    pub(crate) fn refund(&self, refund: &Refund<'_>) {
        let Inner { metrics, refusals, .. } = &*self.inner;
        metrics.refund(refund.cause);
        if let Some((tenant, charged)) = &refund.given {
            refusals.record_refund(tenant, refund.cause, *charged);
        }
    }

    /// A rate limit call about a tenant's push was answered: one decision, however many descriptors it has. `decided` is why it is allowed,
    /// or the refusal.
    pub(crate) fn rate_limit(
        &self,
        tenant: Option<&Tenant<'_>>,
        mode: Mode,
        items: u64,
        decided: Result<AllowReason, &Denial>,
    ) {
        let Inner { metrics, tenants, refusals } = &*self.inner;
        metrics.rate_limit(mode, items, decided);
        let denial = decided.err();
        if let Some(tenant) = tenant {
            tenants.record(tenant.id(), denial.is_some());
        }
        if let Some(denial) = denial {
            refusals.record(refusal("should_rate_limit", tenant, mode, denial));
        }
    }
}

fn refusal(api: &'static str, tenant: Option<&Tenant<'_>>, mode: Mode, denial: &Denial) -> Refusal {
    Refusal {
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
