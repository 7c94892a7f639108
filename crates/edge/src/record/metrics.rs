//! The metrics of decisions. Labels come from enums, and every series exists from the start, so that a rate over it never misses its first event.

use std::time::Duration;

use enforce::{Denial, DenyReason};
use limits::Mode;
use prometheus::{
    Histogram, IntCounter, IntCounterVec, Registry, register_histogram_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
};
use remote_write::BodyErrorKind;

use crate::charge::{RefundCause, Unmetered, UnmeteredOutcome};
use crate::verdict::{AllowReason, Verdict, denial_occurs_in};

const ALLOW: &str = "allow";
const DENY: &str = "deny";
/// From the fastest denial to the slowest body, in seconds.
const CHECK_BUCKETS: [f64; 14] =
    [25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1.0, 2.5, 5.0];

pub(super) struct Metrics {
    decisions: IntCounterVec,
    check_duration: Histogram,
    left_to_rate_limit: IntCounter,
    refunds: IntCounterVec,
    body_errors: IntCounterVec,
    unmetered: IntCounterVec,
    samples: IntCounterVec,
    evicted_tenants: IntCounter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register_int_counter_vec_with_registry!(name, help, labels, registry)
        };
        let counter = |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let metrics = Self {
            decisions: counters(
                "rls_decisions_total",
                "Pushes, by decision and reason; in modes shadow and off a denial is only counted",
                &["decision", "reason", "mode"],
            )?,
            check_duration: register_histogram_with_registry!(
                "rls_authz_check_duration_seconds",
                "Time from a Check's last byte to its answer, in seconds",
                CHECK_BUCKETS.to_vec(),
                registry
            )?,
            left_to_rate_limit: counter(
                "rls_left_to_rate_limit_total",
                "With --charge-samples-in rate-limit: pushes that Check left to ShouldRateLimit, which decides and counts them",
            )?,
            refunds: counters(
                "rls_refunds_total",
                "Refunds, by the reason why Mimir did not take the push; refund_limit, other_process and unknown refunded less than the charge, or nothing",
                &["cause"],
            )?,
            body_errors: counters("rls_body_parse_errors_total", "Bodies that are not valid remote write", &["kind"])?,
            unmetered: counters(
                "rls_unmetered_total",
                "Pushes that cannot be metered, by kind and outcome: charged, not_metered (went to Mimir uncharged) or denied (beyond the bound)",
                &["kind", "outcome"],
            )?,
            samples: counters(
                "rls_samples_total",
                "Samples and histograms in decoded pushes, counted by Mimir's rules, or as sent where a denial in enforce did not need that; for ShouldRateLimit, its hits. Denials in shadow count as deny",
                &["decision"],
            )?,
            evicted_tenants: counter("rls_evicted_tenants_total", "Idle tenants with full buckets that were evicted")?,
        };
        metrics.preregister();
        Ok(metrics)
    }

    fn preregister(&self) {
        for mode in Mode::ALL {
            for reason in DenyReason::ALL.into_iter().filter(|reason| denial_occurs_in(*reason, mode)) {
                self.decisions.with_label_values(&[DENY, reason.as_str(), mode.as_str()]);
            }
            for reason in AllowReason::ALL.into_iter().filter(|reason| reason.occurs_in(mode)) {
                self.decisions.with_label_values(&[ALLOW, reason.as_str(), mode.as_str()]);
            }
        }
        for kind in BodyErrorKind::ALL {
            self.body_errors.with_label_values(&[kind.as_str()]);
        }
        for kind in Unmetered::all() {
            for outcome in UnmeteredOutcome::ALL {
                self.unmetered.with_label_values(&[kind.as_str(), outcome.as_str()]);
            }
        }
        for cause in RefundCause::ALL {
            self.refunds.with_label_values(&[cause.as_str()]);
        }
        for decision in [ALLOW, DENY] {
            self.samples.with_label_values(&[decision]);
        }
    }

    pub(super) fn check(&self, verdict: &Verdict, took: Duration) {
        let decision = if verdict.decision.is_ok() { ALLOW } else { DENY };
        self.check_duration.observe(took.as_secs_f64());
        if verdict.items_left_to_charge().is_some() {
            // The push is decided, and counted, by the rate limit call.
            self.left_to_rate_limit.inc();
            return;
        }
        self.decisions.with_label_values(&[decision, verdict.reason(), verdict.mode.as_str()]).inc();
        if let Some((kind, outcome)) = verdict.unmetered {
            self.unmetered.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
        }
        self.samples.with_label_values(&[decision]).inc_by(verdict.counts.samples_and_histograms());
        if let Some(kind) = verdict.unreadable {
            self.body_errors.with_label_values(&[kind.as_str()]).inc();
        }
    }

    /// A push of `items` that Check left to the rate limit call, or a rate limit call without a Check.
    pub(super) fn rate_limit(&self, mode: Mode, items: u64, decided: Result<AllowReason, &Denial>) {
        let (decision, reason) = match decided {
            Ok(allowed) => (ALLOW, allowed.as_str()),
            Err(denial) => (DENY, denial.reason().as_str()),
        };
        self.decisions.with_label_values(&[decision, reason, mode.as_str()]).inc();
        self.samples.with_label_values(&[decision]).inc_by(items);
    }

    pub(super) fn refund(&self, cause: RefundCause) {
        self.refunds.with_label_values(&[cause.as_str()]).inc();
    }

    pub(super) fn evicted(&self, tenants: usize) {
        self.evicted_tenants.inc_by(u64::try_from(tenants).unwrap_or(u64::MAX));
    }
}
