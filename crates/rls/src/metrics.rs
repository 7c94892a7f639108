//! Every metric of the server. Labels come from enums, and every series exists from the start, so that a rate over it never misses its first event.

mod ha_tracker;
mod limits_in_force;
mod source;

use std::num::NonZeroU32;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enforce::{Decision, Denial, DenyReason, Elections, Enforcer};
use limits::{ControlState, Mode};
use limits_source::{Count, EdgeControl, Freshness};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code as RateLimitCode;
use remote_write::BodyErrorKind;
use tonic::Code;

use crate::budget::Budget;
use crate::decide::{AllowReason, RefundCause, Unmetered, UnmeteredOutcome, Verdict, denial_occurs_in};
use crate::envoy::DescriptorKind;

pub(crate) use ha_tracker::HaTrackerMetrics;
pub(crate) use source::SourceMetrics;

use limits_in_force::LimitsMetrics;

const ALLOW: &str = "allow";
const DENY: &str = "deny";
/// From the fastest refusal to the slowest body in seconds.
const CHECK_BUCKETS: [f64; 14] =
    [25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1.0, 2.5, 5.0];

/// Handles on the metrics; cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    decisions: IntCounterVec,
    check_duration: Histogram,
    left_to_rate_limit: IntCounter,
    descriptors: IntCounterVec,
    refunds: IntCounterVec,
    call_errors: IntCounterVec,
    body_errors: IntCounterVec,
    unmetered: IntCounterVec,
    samples: IntCounterVec,
    spelling_overflows: IntCounter,
    tenant_overflows: IntCounter,
    evicted_tenants: IntCounter,
    ha_pairs: IntGauge,
    ha_untracked: IntCounter,
    tenants: IntGauge,
    edge_config_problems: IntGauge,
    in_flight_bytes: IntGauge,
    in_flight_bytes_limit: IntGauge,
    connections_refused: IntCounter,
    log_lines_dropped: IntCounter,
    limits_cache_errors: IntCounter,
    limits: LimitsMetrics,
    limits_stale: Gauge,
    distributors: IntGauge,
    catching_up: Mutex<()>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let check_duration = Histogram::with_opts(
            HistogramOpts::new(
                "rls_authz_check_duration_seconds",
                "Time from a Check's last byte to its answer, in seconds",
            )
            .buckets(CHECK_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(check_duration.clone()))?;
        let inner = Inner {
            decisions: counters(
                registry,
                "rls_decisions_total",
                "Pushes decided. In modes shadow and off a deny is only counted",
                &["decision", "reason", "mode"],
            )?,
            check_duration,
            left_to_rate_limit: counter(
                registry,
                "rls_left_to_rate_limit_total",
                "Pushes that Check left to the rate limit call to decide; it has to be asked as often",
            )?,
            descriptors: counters(
                registry,
                "rls_rate_limit_descriptors_total",
                "Descriptors of rate limit calls; an unknown one is not limited",
                &["descriptor", "code"],
            )?,
            refunds: counters(
                registry,
                "rls_refunds_total",
                "Charges of pushes that Mimir did not take, given back; of another process or of an unknown kind, not given back",
                &["cause"],
            )?,
            call_errors: counters(
                registry,
                "rls_grpc_errors_total",
                "gRPC calls that ended in an error, which Envoy lets through when it fails open",
                &["code"],
            )?,
            body_errors: counters(
                registry,
                "rls_body_parse_errors_total",
                "Bodies that are not readable remote write",
                &["kind"],
            )?,
            unmetered: counters(
                registry,
                "rls_unmetered_total",
                "Pushes of which the edge cannot tell what Mimir charges, by why, and by what became of them",
                &["kind", "outcome"],
            )?,
            samples: counters(
                registry,
                "rls_samples_total",
                "Samples and histograms that count by Mimir's rules in the pushes that were read; of a rate limit call, its hits",
                &["decision"],
            )?,
            spelling_overflows: counter(
                registry,
                "rls_tenant_spelling_overflows_total",
                "Pushes with tenant metadata charged to the bare tenant, which has too many spellings",
            )?,
            tenant_overflows: counter(
                registry,
                "rls_tenant_overflows_total",
                "Charges to buckets that tenants without an override share, because there are too many tenants",
            )?,
            evicted_tenants: counter(
                registry,
                "rls_evicted_tenants_total",
                "Idle tenants forgotten because their buckets were full again",
            )?,
            ha_pairs: gauge(registry, "rls_ha_pairs", "Prometheus pairs whose election is held in memory")?,
            ha_untracked: counter(
                registry,
                "rls_ha_untracked_total",
                "Pushes of pairs that find no room beside their tenant's others; they are charged nothing",
            )?,
            tenants: gauge(registry, "rls_tenants", "Tenants whose buckets are held in memory")?,
            edge_config_problems: gauge(
                registry,
                "rls_edge_config_problems",
                "Problems in the edge config as it is now",
            )?,
            in_flight_bytes: gauge(
                registry,
                "rls_in_flight_bytes",
                "Bytes reserved for pushes that are being read, in bytes",
            )?,
            in_flight_bytes_limit: gauge(
                registry,
                "rls_in_flight_bytes_limit",
                "The most that may be reserved at once, in bytes; a tenant may have a quarter of it",
            )?,
            connections_refused: counter(
                registry,
                "rls_grpc_connections_refused_total",
                "gRPC connections closed at once because there were too many",
            )?,
            log_lines_dropped: counter(
                registry,
                "rls_log_lines_dropped_total",
                "Log lines thrown away because standard error took no more",
            )?,
            limits_cache_errors: counter(
                registry,
                "rls_limits_cache_errors_total",
                "Times that the limits cache could not be read or written",
            )?,
            limits: LimitsMetrics::new(registry)?,
            limits_stale: seconds(
                registry,
                "rls_limits_stale_seconds",
                "Time since the source last confirmed the limits in force, in seconds",
            )?,
            distributors: gauge(
                registry,
                "rls_distributors",
                "Mimir's distributors, each of which takes a tenant's burst, as told by a flag or counted by overrides-sync",
            )?,
            catching_up: Mutex::default(),
        };
        let metrics = Self { inner: Arc::new(inner) };
        metrics.preregister();
        Ok(metrics)
    }

    fn preregister(&self) {
        for mode in Mode::ALL {
            for reason in DenyReason::ALL.into_iter().filter(|reason| denial_occurs_in(*reason, mode)) {
                self.inner.decisions.with_label_values(&[DENY, reason.as_str(), mode.as_str()]);
            }
            for reason in AllowReason::ALL.into_iter().filter(|reason| reason.occurs_in(mode)) {
                self.inner.decisions.with_label_values(&[ALLOW, reason.as_str(), mode.as_str()]);
            }
        }
        for kind in BodyErrorKind::ALL {
            self.inner.body_errors.with_label_values(&[kind.as_str()]);
        }
        for kind in Unmetered::all() {
            for outcome in UnmeteredOutcome::ALL {
                self.inner.unmetered.with_label_values(&[kind.as_str(), outcome.as_str()]);
            }
        }
        for code in (1..=16).map(Code::from_i32) {
            self.inner.call_errors.with_label_values(&[&format!("{code:?}")]);
        }
        for kind in DescriptorKind::ALL {
            for code in [RateLimitCode::Ok, RateLimitCode::OverLimit] {
                self.inner.descriptors.with_label_values(&[kind.as_str(), code_label(code)]);
            }
        }
        for cause in RefundCause::ALL {
            self.inner.refunds.with_label_values(&[cause.as_str()]);
        }
        for decision in [ALLOW, DENY] {
            self.inner.samples.with_label_values(&[decision]);
        }
    }

    pub(crate) fn check(&self, verdict: &Verdict, took: Duration) {
        let inner = &self.inner;
        let decision = label_of(&verdict.decision);
        inner.check_duration.observe(took.as_secs_f64());
        if verdict.items_left_to_charge().is_some() {
            // The push is decided, and counted, by the rate limit call.
            inner.left_to_rate_limit.inc();
            return;
        }
        inner.decisions.with_label_values(&[decision, verdict.reason(), verdict.mode.as_str()]).inc();
        if let Some((kind, outcome)) = verdict.unmetered {
            inner.unmetered.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
        }
        let samples = verdict.counts.samples.saturating_add(verdict.counts.histograms);
        inner.samples.with_label_values(&[decision]).inc_by(samples);
        if let Some(kind) = verdict.unreadable {
            inner.body_errors.with_label_values(&[kind.as_str()]).inc();
        }
    }

    pub(crate) fn descriptor(&self, kind: DescriptorKind, code: RateLimitCode) {
        self.inner.descriptors.with_label_values(&[kind.as_str(), code_label(code)]).inc();
    }

    /// A push of `items` that Check left to the rate limit call, or a question by somebody who has no Check.
    pub(crate) fn rate_limit(&self, mode: Mode, items: u64, decided: Result<AllowReason, &Denial>) {
        let inner = &self.inner;
        let (decision, reason) = match decided {
            Ok(allowed) => (ALLOW, allowed.as_str()),
            Err(denial) => (DENY, denial.reason().as_str()),
        };
        inner.decisions.with_label_values(&[decision, reason, mode.as_str()]).inc();
        inner.samples.with_label_values(&[decision]).inc_by(items);
    }

    pub(crate) fn refund(&self, cause: RefundCause) {
        self.inner.refunds.with_label_values(&[cause.as_str()]).inc();
    }

    pub(crate) fn call_failed(&self, code: Code) {
        if code != Code::Ok {
            self.inner.call_errors.with_label_values(&[&format!("{code:?}")]).inc();
        }
    }

    pub(crate) fn show_limits(&self, state: &ControlState) {
        self.inner.limits.show(state);
    }

    pub(crate) fn show_default_limits_given(&self, given: bool) {
        self.inner.limits.show_default_limits_given(given);
    }

    pub(crate) fn show_edge_config(&self, state: &EdgeControl) {
        self.inner.edge_config_problems.set(as_gauge(state.problems.len()));
    }

    pub(crate) fn connection_refused(&self) {
        self.inner.connections_refused.inc();
    }

    /// Brings up to date how much of the budget is reserved.
    pub(crate) fn show_budget(&self, budget: &Budget) {
        self.inner.in_flight_bytes.set(as_gauge(budget.reserved()));
        self.inner.in_flight_bytes_limit.set(as_gauge(budget.limit()));
    }

    /// Brings a counter to what is counted elsewhere.
    fn catch_up(&self, counter: &IntCounter, count: u64) {
        // Two scrapes at once must not both add what is missing.
        let _alone = self.inner.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        counter.inc_by(count.saturating_sub(counter.get()));
    }

    /// Brings up to date how often the limits cache failed.
    pub(crate) fn show_cache_faults(&self, faults: &Count) {
        self.catch_up(&self.inner.limits_cache_errors, faults.get());
    }

    /// Brings up to date how many log lines nobody read.
    pub(crate) fn show_dropped_log_lines(&self, lines: u64) {
        self.catch_up(&self.inner.log_lines_dropped, lines);
    }

    pub(crate) fn evicted(&self, tenants: usize) {
        self.inner.evicted_tenants.inc_by(u64::try_from(tenants).unwrap_or(u64::MAX));
    }

    /// Brings up to date by how many distributors pushes are decided.
    pub(crate) fn show_distributors(&self, count: NonZeroU32) {
        self.inner.distributors.set(i64::from(count.get()));
    }

    /// Brings up to date what is computed only when Prometheus asks.
    pub(crate) fn refresh(&self, enforcer: &Enforcer, elections: &Elections, freshness: &Freshness) {
        let inner = &self.inner;
        inner.tenants.set(as_gauge(enforcer.tenants()));
        inner.limits_stale.set(freshness.age().as_secs_f64());
        self.catch_up(&inner.spelling_overflows, enforcer.spelling_overflows());
        self.catch_up(&inner.tenant_overflows, enforcer.tenant_overflows());
        inner.ha_pairs.set(as_gauge(elections.len()));
        self.catch_up(&inner.ha_untracked, elections.untracked());
    }
}

fn label_of(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow => ALLOW,
        Decision::Deny(_) => DENY,
    }
}

fn code_label(code: RateLimitCode) -> &'static str {
    match code {
        RateLimitCode::OverLimit => "over_limit",
        RateLimitCode::Ok | RateLimitCode::Unknown => "ok",
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn seconds(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Gauge> {
    let metric = Gauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
