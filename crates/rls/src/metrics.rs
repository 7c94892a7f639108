//! The metrics of the server. Those of decisions are in [`edge::Recorder`]. Labels come from enums, and every series exists from the start, so that
//! a rate over it includes the first event.

mod at_scrape;

use limits::{Code as ProblemCode, LoadedLimits};
use limits_source::LoadedEdgeConfig;
use prometheus::{
    IntCounterVec, IntGauge, IntGaugeVec, Registry, register_int_counter_vec_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code as RateLimitCode;
use tonic::Code;

pub(crate) use at_scrape::ReadAtScrape;

use crate::envoy::DescriptorKind;

/// The server's own metrics; clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    descriptors: IntCounterVec,
    call_errors: IntCounterVec,
    edge_config_problems: IntGauge,
    problems: IntGauge,
    problems_by_kind: IntGaugeVec,
    default_limits_given: IntGauge,
    max_request_bytes: IntGauge,
    version: IntGauge,
    limits_tenants: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let metrics = Self {
            descriptors: register_int_counter_vec_with_registry!(
                "rls_rate_limit_descriptors_total",
                "Descriptors of rate limit calls; an unknown one is not limited",
                &["descriptor", "code"],
                registry
            )?,
            call_errors: register_int_counter_vec_with_registry!(
                "rls_grpc_errors_total",
                "gRPC calls that ended in an error, which Envoy lets through when it fails open",
                &["code"],
                registry
            )?,
            edge_config_problems: gauge("rls_edge_config_problems", "Problems in the edge config as it is now")?,
            problems: gauge("rls_limits_problems", "Problems in the limits documents as they are now")?,
            problems_by_kind: register_int_gauge_vec_with_registry!(
                "rls_limits_problems_by_kind",
                "Problems in the limits documents by kind, such as unknown-field: docs/edgectl.md has the list",
                &["kind"],
                registry
            )?,
            default_limits_given: gauge(
                "rls_default_limits_given",
                "1 where a flag sets Mimir's default limits, 0 where its built-in ones are assumed",
            )?,
            max_request_bytes: gauge("rls_max_request_bytes", "The largest push that is decided, as sent")?,
            version: gauge("rls_limits_version", "Changes of the limits in force since the start")?,
            limits_tenants: gauge("rls_limits_tenants", "Tenants with an override in the limits in force")?,
        };
        for code in (1..=16).map(Code::from_i32) {
            metrics.call_errors.with_label_values(&[&format!("{code:?}")]);
        }
        for kind in DescriptorKind::ALL {
            for code in [RateLimitCode::Ok, RateLimitCode::OverLimit] {
                metrics.descriptors.with_label_values(&[kind.as_str(), code_label(code)]);
            }
        }
        Ok(metrics)
    }

    /// What this process takes.
    pub(crate) fn set_settings(&self, default_limits_given: bool, max_request_bytes: usize) {
        self.default_limits_given.set(default_limits_given.into());
        self.max_request_bytes.set(as_gauge(max_request_bytes));
    }

    pub(crate) fn descriptor(&self, kind: DescriptorKind, code: RateLimitCode) {
        self.descriptors.with_label_values(&[kind.as_str(), code_label(code)]).inc();
    }

    pub(crate) fn call_failed(&self, code: Code) {
        if code != Code::Ok {
            self.call_errors.with_label_values(&[&format!("{code:?}")]).inc();
        }
    }

    pub(crate) fn set_limits(&self, state: &LoadedLimits) {
        self.problems.set(as_gauge(state.problems.len()));
        for code in ProblemCode::ALL {
            let count = state.problems.iter().filter(|problem| problem.code == *code).count();
            self.problems_by_kind.with_label_values(&[code.name()]).set(as_gauge(count));
        }
        if let Some(snapshot) = &state.limits {
            self.version.set(i64::try_from(snapshot.version()).unwrap_or(i64::MAX));
            self.limits_tenants.set(as_gauge(snapshot.len()));
        }
    }

    pub(crate) fn set_edge_config(&self, state: &LoadedEdgeConfig) {
        self.edge_config_problems.set(as_gauge(state.problems.len()));
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
