//! The last stage: metrics, the tenant's own counters, and records of denials.

mod at_scrape;
mod denials;
mod known;
mod metrics;
mod room;
mod tenants;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::usage::Usage;
use enforce::{BucketOwner, Denial, DenyReason};
use limits::{Mode, Tenant};
use prometheus::Registry;
use tasks::Tasks;

pub use self::usage::{TenantUsage, UsageRow, close_seconds};
pub use denials::{AuditTarget, DenialRecord, Denials};

use crate::charge::Refund;
use crate::identify::tenant_of;
use crate::push::Push;
use crate::verdict::{AllowReason, Verdict};
use known::KnownTenants;
use metrics::Metrics;
use tenants::TenantMetrics;

/// The status of a denial by a rate or a burst.
const TOO_MANY_REQUESTS: u16 = 429;

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
    usage: TenantUsage,
    known: KnownTenants,
    denials: Denials,
}

/// What is counted of a decision for its tenant.
#[derive(Clone, Copy, Debug)]
struct Decided<'d> {
    mode: Mode,
    /// Samples and histograms.
    samples: u64,
    denial: Option<&'d Denial>,
}

impl Recorder {
    /// Opens the audit log, if there is one, and starts its thread, whose failure is one of the tasks.
    ///
    /// # Errors
    /// The audit log cannot be opened, or a metric cannot be registered.
    pub fn new(audit: Option<(AuditTarget, &Tasks)>, registry: &Registry) -> anyhow::Result<Self> {
        let (metrics, tenants) = (Metrics::new(registry)?, TenantMetrics::new(registry)?);
        let (known, denials) = (KnownTenants::default(), Denials::new(audit, registry)?);
        let usage = TenantUsage::default();
        Ok(Self { inner: Arc::new(Inner { metrics, tenants, usage, known, denials }) })
    }

    /// The recent denials.
    #[must_use]
    pub fn denials(&self) -> &Denials {
        &self.inner.denials
    }

    /// What tenants send.
    #[must_use]
    pub fn usage(&self) -> &TenantUsage {
        &self.inner.usage
    }

    /// Evicts the records of idle tenants. To be called about once a minute.
    pub fn evict_idle(&self) {
        let now = Instant::now();
        self.inner.tenants.evict_idle(now);
        self.inner.usage.evict_idle(now);
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
        let owner = subject.tenant.map(|tenant| BucketOwner { tenant, has_override: verdict.has_override });
        if verdict.items_left_to_charge().is_some() {
            // Only this call knows whether the push is a retry.
            self.inner.record_usage(owner.as_ref(), &Usage { retries: retries(subject), ..Usage::default() });
            return;
        }
        self.inner.usage_of_check(owner.as_ref(), subject, verdict);
        let decided =
            Decided { mode: verdict.mode, samples: verdict.counts.samples_and_histograms(), denial: verdict.denial() };
        self.decided(owner.as_ref(), decided, |tenant, denial| DenialRecord {
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
        self.inner.record_usage(owner, &usage_of(Some(items), mode, decided.err()));
        let decided = Decided { mode, samples: items, denial: decided.err() };
        self.decided(owner, decided, |tenant, denial| DenialRecord::new("should_rate_limit", tenant, mode, denial));
    }

    /// Counts a decision for its tenant. A denial is recorded, with the key of the tenant's limits.
    fn decided(
        &self,
        owner: Option<&BucketOwner<'_>>,
        decided: Decided<'_>,
        record: impl FnOnce(Option<&str>, &Denial) -> DenialRecord,
    ) {
        let Inner { tenants, known, denials, .. } = &*self.inner;
        if let Some(owner) = owner {
            tenants.record(owner.tenant.id(), decided);
        }
        match (decided.denial, owner) {
            (Some(denial), _) => {
                denials.record(record(owner.map(|owner| owner.tenant.limits_key()), denial), known.class_of(owner));
            }
            (None, Some(owner)) => known.allowed(owner.tenant.id()),
            (None, None) => {}
        }
    }
}

impl Inner {
    fn usage_of_check(&self, owner: Option<&BucketOwner<'_>>, subject: &Subject<'_>, verdict: &Verdict) {
        let items = match verdict.decision {
            // Mimir drops it, and charges nothing.
            Ok(AllowReason::HaNotElected) => Some(0),
            _ => (verdict.counts.decoded_bytes > 0).then(|| verdict.counts.items()),
        };
        let usage = usage_of(items, verdict.mode, verdict.denial());
        self.record_usage(owner, &Usage { retries: retries(subject), ..usage });
    }

    fn record_usage(&self, owner: Option<&BucketOwner<'_>>, push: &Usage) {
        if let Some(owner) = owner {
            self.usage.record(owner, push);
        }
    }
}

/// The usage of one push, whose items are known or not.
fn usage_of(items: Option<u64>, mode: Mode, denial: Option<&Denial>) -> Usage {
    let of_rate = denial.is_some_and(|denial| denial.status() == TOO_MANY_REQUESTS);
    let known = u32::try_from(items.unwrap_or_default()).unwrap_or(u32::MAX);
    let over = |reason: DenyReason| u32::from(denial.is_some_and(|denial| denial.reason() == reason));
    Usage {
        requests: 1,
        counted: items.is_some().into(),
        items: known,
        largest: known,
        denied: denial.is_some().into(),
        refused: (of_rate && mode == Mode::Enforce).into(),
        retries: 0,
        over_request_rate: over(DenyReason::RequestRate),
        over_ingestion_rate: over(DenyReason::IngestionRate),
        over_ingestion_burst: over(DenyReason::IngestionBurst),
    }
}

fn retries(subject: &Subject<'_>) -> u32 {
    (subject.retry_attempt > 0).into()
}
