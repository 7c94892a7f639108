//! What is written down of each denial, also of one that is only counted: an audit line, a log line, and a place among the last ones. And an
//! audit line of each refund.
//!
//! A decision waits for none of it: the audit log has a thread of its own behind a bounded queue, and whatever a storm of denials brings is
//! held to a rate, for each tenant and for all. What is left out is counted.

mod allowance;
mod audit;
mod line;
mod recent;
mod recorded;

use std::sync::Arc;

use limits::Tenant;
use prometheus::{IntCounter, Registry};

use allowance::{Allowance, Rate};
pub use audit::AuditTarget;
use audit::{AuditCounters, AuditLog};
use line::{Line, RefundRecord};
use recent::Recent;
pub use recorded::DenialRecord;
pub(crate) use recorded::DeniedPush;

use crate::charge::RefundCause;
use crate::verdict::Charged;

/// Log lines are for people: a tenant's denials show, and a storm of them does not bury the rest.
const LOG_LINES_PER_TENANT: Rate = Rate { per_second: 1, burst: 5 };
const LOG_LINES_TOTAL: Rate = Rate { per_second: 50, burst: 50 };

/// Takes note of denials.
pub struct Denials {
    recent: Recent,
    audit: Option<AuditLog>,
    log_lines: Allowance,
    suppressed_log_lines: IntCounter,
}

impl Denials {
    /// Opens the audit log, if there is to be one, and starts the thread that writes it.
    ///
    /// # Errors
    /// When the audit log cannot be opened, or a metric cannot be registered.
    pub(crate) fn new(audit: Option<AuditTarget>, registry: &Registry) -> anyhow::Result<Self> {
        let counters = AuditCounters::new(registry)?;
        let suppressed_log_lines = IntCounter::new(
            "rls_denial_logs_suppressed_total",
            "Denials without a log line of their own, because their tenant or all tenants had too many",
        )?;
        registry.register(Box::new(suppressed_log_lines.clone()))?;
        let audit = audit.map(|target| AuditLog::start(target, counters)).transpose()?;
        let log_lines = Allowance::new(LOG_LINES_PER_TENANT, LOG_LINES_TOTAL);
        Ok(Self { recent: Recent::default(), audit, log_lines, suppressed_log_lines })
    }

    /// Takes note of `denial`, as of now. Waits for no other thread but for the short lock on the last denials; the log line is written as
    /// any other is.
    pub(crate) fn record(&self, denial: DeniedPush) {
        let recorded = self.recent.add(DenialRecord::from(denial));
        self.log(&recorded);
        if let Some(audit) = &self.audit {
            audit.record(Line::Denial(recorded));
        }
    }

    /// Takes note of what was given back to a tenant.
    pub(crate) fn record_refund(&self, tenant: &Tenant<'_>, cause: RefundCause, charged: Charged) {
        if let Some(audit) = &self.audit {
            audit.record(Line::Refund(Box::new(RefundRecord::new(tenant, cause, charged))));
        }
    }

    /// The last denials, newest first: at most `limit`, only those before the one with the sequence number `after`, and only those of
    /// `tenant`, which stands for its spellings with metadata too.
    #[must_use]
    pub fn recent(&self, after: Option<u64>, tenant: Option<&str>, limit: usize) -> Vec<Arc<DenialRecord>> {
        self.recent.page(after, tenant, limit)
    }

    /// Forgets what is remembered of tenants whose last denial was long ago. To be called about once a minute.
    pub(crate) fn evict_idle(&self) {
        self.log_lines.evict_idle();
        if let Some(audit) = &self.audit {
            audit.evict_idle();
        }
    }

    /// Writes what is queued for the audit log and ends its thread. Blocks for at most two seconds; a denial that comes later gets no audit
    /// line and is counted as dropped.
    pub(crate) fn finish(&self) {
        if let Some(audit) = &self.audit {
            audit.finish();
        }
    }

    fn log(&self, denial: &DenialRecord) {
        if !tracing::enabled!(target: "rls::denials", tracing::Level::INFO) {
            return;
        }
        if self.log_lines.take(denial.bare_tenant()).is_err() {
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
