//! The metrics of the server. Those of decisions are in [`edge::Recorder`]. Labels come from enums, and every series exists from the start, so that
//! a rate over it never misses its first event.

mod ha_tracker;
mod limits_in_force;
mod source;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use limits::ControlState;
use limits_source::{EdgeControl, Freshness};
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code as RateLimitCode;
use tonic::Code;

use crate::envoy::DescriptorKind;

pub(crate) use ha_tracker::HaTrackerMetrics;
pub(crate) use source::SourceMetrics;

use limits_in_force::LimitsMetrics;

/// Handles on the metrics; cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    descriptors: IntCounterVec,
    call_errors: IntCounterVec,
    edge_config_problems: IntGauge,
    connections_refused: IntCounter,
    log_lines_dropped: IntCounter,
    limits_cache_errors: IntCounter,
    limits: LimitsMetrics,
    limits_stale: Gauge,
    catching_up: Mutex<()>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let inner = Inner {
            descriptors: counters(
                registry,
                "rls_rate_limit_descriptors_total",
                "Descriptors of rate limit calls; an unknown one is not limited",
                &["descriptor", "code"],
            )?,
            call_errors: counters(
                registry,
                "rls_grpc_errors_total",
                "gRPC calls that ended in an error, which Envoy lets through when it fails open",
                &["code"],
            )?,
            edge_config_problems: gauge(
                registry,
                "rls_edge_config_problems",
                "Problems in the edge config as it is now",
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
            catching_up: Mutex::default(),
        };
        let metrics = Self { inner: Arc::new(inner) };
        metrics.preregister();
        Ok(metrics)
    }

    fn preregister(&self) {
        for code in (1..=16).map(Code::from_i32) {
            self.inner.call_errors.with_label_values(&[&format!("{code:?}")]);
        }
        for kind in DescriptorKind::ALL {
            for code in [RateLimitCode::Ok, RateLimitCode::OverLimit] {
                self.inner.descriptors.with_label_values(&[kind.as_str(), code_label(code)]);
            }
        }
    }

    pub(crate) fn descriptor(&self, kind: DescriptorKind, code: RateLimitCode) {
        self.inner.descriptors.with_label_values(&[kind.as_str(), code_label(code)]).inc();
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

    /// Brings a counter to what is counted elsewhere.
    fn catch_up(&self, counter: &IntCounter, count: u64) {
        // Two scrapes at once must not both add what is missing.
        let _alone = self.inner.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        counter.inc_by(count.saturating_sub(counter.get()));
    }

    /// Brings up to date how often the limits cache failed.
    pub(crate) fn show_cache_faults(&self, faults: &AtomicU64) {
        self.catch_up(&self.inner.limits_cache_errors, faults.load(Ordering::Relaxed));
    }

    /// Brings up to date how many log lines were thrown away.
    pub(crate) fn show_dropped_log_lines(&self, lines: u64) {
        self.catch_up(&self.inner.log_lines_dropped, lines);
    }

    /// Brings up to date what is computed only when Prometheus asks.
    pub(crate) fn refresh(&self, freshness: &Freshness) {
        self.inner.limits_stale.set(freshness.age().as_secs_f64());
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
