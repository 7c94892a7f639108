//! What the limits in force are, and what is wrong with the documents that they are from.

use limits::{Code, ControlState};
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use super::{as_gauge, gauge};

/// The metrics of limits.
pub(super) struct LimitsMetrics {
    problems: IntGauge,
    problems_by_kind: IntGaugeVec,
    default_limits_given: IntGauge,
    version: IntGauge,
    tenants: IntGauge,
}

impl LimitsMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let by_kind = Opts::new(
            "rls_limits_problems_by_kind",
            "The same by their kind, such as unknown-field: docs/edgectl.md has the list",
        );
        let problems_by_kind = IntGaugeVec::new(by_kind, &["kind"])?;
        registry.register(Box::new(problems_by_kind.clone()))?;
        Ok(Self {
            problems: gauge(registry, "rls_limits_problems", "Problems in the limits documents as they are now")?,
            problems_by_kind,
            default_limits_given: gauge(
                registry,
                "rls_default_limits_given",
                "1 where a flag says what Mimir's default limits are, 0 where its built-in ones are assumed",
            )?,
            version: gauge(
                registry,
                "rls_limits_version",
                "Changes of the limits that were taken into force since the start",
            )?,
            tenants: gauge(registry, "rls_limits_tenants", "Tenants with an override in the limits in force")?,
        })
    }

    pub(super) fn show(&self, state: &ControlState) {
        self.problems.set(as_gauge(state.problems.len()));
        for code in Code::ALL {
            let count = state.problems.iter().filter(|problem| problem.code == *code).count();
            self.problems_by_kind.with_label_values(&[code.name()]).set(as_gauge(count));
        }
        if let Some(snapshot) = &state.limits {
            self.version.set(i64::try_from(snapshot.version()).unwrap_or(i64::MAX));
            self.tenants.set(as_gauge(snapshot.len()));
        }
    }

    pub(super) fn show_default_limits_given(&self, given: bool) {
        self.default_limits_given.set(given.into());
    }
}
