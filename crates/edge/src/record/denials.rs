//! Records of each denial, also of one that is only counted: an audit line, a log line, and a row of the recent denials. And an
//! audit line of each refund.
//!
//! No decision waits for them: the audit log has a thread of its own behind a bounded queue, and lines are limited to a rate, for each tenant and
//! for each class of tenants. Lines that are dropped are counted.

mod allowance;
mod audit;
mod recent;
mod records;

use std::sync::Arc;

use limits::Tenant;
use prometheus::{IntCounter, Registry, register_int_counter_with_registry};
use tasks::Tasks;

use allowance::{Allowance, Rate};
pub use audit::AuditTarget;
use audit::{AuditCounters, AuditLog};
use recent::Recent;
pub use records::DenialRecord;
use records::{Line, RefundRecord};

use super::known::{PerClass, TenantClass};
use crate::charge::RefundCause;
use crate::verdict::Charged;

/// Enough to see that a tenant is denied, and few enough that other log lines are not lost among them.
const LOG_LINES_PER_TENANT: Rate = Rate { per_second: 1, burst: 5 };
const LOG_LINES_TOGETHER: PerClass<Rate> = PerClass {
    overridden: Rate { per_second: 50, burst: 50 },
    allowed: Rate { per_second: 50, burst: 50 },
    unknown: Rate { per_second: 10, burst: 50 },
};

/// Records denials.
pub struct Denials {
    recent: Recent,
    audit: Option<AuditLog>,
    log_lines: Allowance,
    suppressed_log_lines: IntCounter,
}

impl Denials {
    /// Opens the audit log, if there is one, and starts its thread.
    pub(crate) fn new(audit: Option<(AuditTarget, &Tasks)>, registry: &Registry) -> anyhow::Result<Self> {
        let counters = AuditCounters::new(registry)?;
        let suppressed_log_lines = register_int_counter_with_registry!(
            "rls_denial_logs_suppressed_total",
            "Denials without a log line, because their tenant or all tenants had too many",
            registry
        )?;
        let audit = audit.map(|(target, tasks)| AuditLog::start(target, counters, tasks)).transpose()?;
        let log_lines = Allowance::new(LOG_LINES_PER_TENANT, LOG_LINES_TOGETHER);
        Ok(Self { recent: Recent::default(), audit, log_lines, suppressed_log_lines })
    }

    /// Records a denial of a tenant of this class. Takes only the short lock on the recent denials.
    pub(crate) fn record(&self, denial: DenialRecord, class: TenantClass) {
        let record = self.recent.add(denial, class);
        self.log(&record, class);
        if let Some(audit) = &self.audit {
            audit.record(Line::Denial(record), class);
        }
    }

    /// Records a refund to a tenant of this class.
    pub(crate) fn record_refund(&self, tenant: &Tenant<'_>, class: TenantClass, cause: RefundCause, charged: Charged) {
        if let Some(audit) = &self.audit {
            audit.record(Line::Refund(Box::new(RefundRecord::new(tenant, cause, charged))), class);
        }
    }

    /// The recent denials, newest first: at most `limit`, only those before the sequence number `after`, and only those of
    /// `tenant`, with or without metadata.
    #[must_use]
    pub fn recent(&self, after: Option<u64>, tenant: Option<&str>, limit: usize) -> Vec<Arc<DenialRecord>> {
        self.recent.page(after, tenant, limit)
    }

    /// Evicts tenants without recent denials. To be called about once a minute.
    pub(crate) fn evict_idle(&self) {
        self.log_lines.evict_idle();
        if let Some(audit) = &self.audit {
            audit.evict_idle();
        }
    }

    /// Writes what is queued for the audit log and ends its thread. Blocks for at most two seconds; later lines are counted as dropped.
    pub(crate) fn finish(&self) {
        if let Some(audit) = &self.audit {
            audit.finish();
        }
    }

    fn log(&self, denial: &DenialRecord, class: TenantClass) {
        if !tracing::enabled!(target: "rls::denials", tracing::Level::INFO) {
            return;
        }
        if self.log_lines.take(denial.bare_tenant(), class).is_err() {
            self.suppressed_log_lines.inc();
            return;
        }
        let DenialRecord { tenant, reason, mode, status, counts, .. } = denial;
        let (tenant, samples) = (tenant.as_deref(), counts.samples);
        if denial.is_sent() {
            tracing::info!(target: "rls::denials", tenant, reason, mode, status, samples, "push denied");
        } else {
            tracing::info!(target: "rls::denials", tenant, reason, mode, status, samples, "push would be denied");
        }
    }
}

#[cfg(test)]
mod tests;
