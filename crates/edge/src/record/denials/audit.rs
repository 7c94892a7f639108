//! The audit log: denials and refunds as JSON lines, through a bounded queue to a thread that writes them.
//!
//! Invariant: no decision waits for the file. Lines that the file cannot take in time are dropped and counted.

mod output;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use arc_swap::ArcSwapOption;
use prometheus::{IntCounter, Registry, register_int_counter_vec_with_registry, register_int_counter_with_registry};
use tasks::Tasks;

use super::allowance::{Allowance, Exceeded, Rate};
use super::records::Line;
use crate::record::known::{PerClass, TenantClass};
use output::Output;

/// With the longest texts the queue takes about 12 MB.
const QUEUED_LINES: usize = 8_192;
const LINES_PER_TENANT: Rate = Rate { per_second: 10, burst: 100 };
const LINES_TOGETHER: PerClass<Rate> = PerClass {
    overridden: Rate { per_second: 2_000, burst: 4_000 },
    allowed: Rate { per_second: 2_000, burst: 4_000 },
    unknown: Rate { per_second: 100, burst: 1_000 },
};
/// How long the process waits at its end for queued lines.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Standard output.
    StandardOutput,
    /// Appended to, and reopened when its path is another file.
    File(PathBuf),
}

impl From<PathBuf> for AuditTarget {
    /// `-` is standard output.
    fn from(path: PathBuf) -> Self {
        if path == Path::new("-") { Self::StandardOutput } else { Self::File(path) }
    }
}

/// Counters of written and dropped lines.
#[derive(Clone)]
pub(super) struct AuditCounters {
    written: IntCounter,
    tenant_rate: IntCounter,
    global_rate: IntCounter,
    unknown_tenants: IntCounter,
    queue_full: IntCounter,
    write_error: IntCounter,
}

impl AuditCounters {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let (name, help) = ("rls_audit_written_total", "Lines written to the audit log");
        let written = register_int_counter_with_registry!(name, help, registry)?;
        let (name, help) = ("rls_audit_dropped_total", "Denials and refunds that are missing in the audit log");
        let dropped = register_int_counter_vec_with_registry!(name, help, &["cause"], registry)?;
        let cause = |cause| dropped.get_metric_with_label_values(&[cause]);
        Ok(Self {
            written,
            tenant_rate: cause("tenant_rate")?,
            global_rate: cause("global_rate")?,
            unknown_tenants: cause("unknown_tenants")?,
            queue_full: cause("queue_full")?,
            write_error: cause("write_error")?,
        })
    }
}

pub(super) struct AuditLog {
    /// `None` once the log is finished.
    queue: ArcSwapOption<SyncSender<Line>>,
    /// Disconnected once the thread has ended.
    ended: Mutex<Option<Receiver<()>>>,
    allowance: Allowance,
    counters: AuditCounters,
}

impl AuditLog {
    /// Opens the target and starts the thread that writes to it.
    pub(super) fn start(target: AuditTarget, counters: AuditCounters, tasks: &Tasks) -> anyhow::Result<Self> {
        let output = Output::open(target, counters.clone(), Instant::now())?;
        Self::write_to(output, counters, tasks)
    }

    fn write_to(output: Output, counters: AuditCounters, tasks: &Tasks) -> anyhow::Result<Self> {
        let (queue, lines) = sync_channel(QUEUED_LINES);
        let (running, ended) = sync_channel(0);
        let write = move || {
            write_lines(&lines, output);
            drop(running);
        };
        tasks.spawn_thread("audit-log".to_owned(), write).context("the thread of the audit log cannot be started")?;
        Ok(Self {
            queue: ArcSwapOption::from_pointee(queue),
            ended: Mutex::new(Some(ended)),
            allowance: Allowance::new(LINES_PER_TENANT, LINES_TOGETHER),
            counters,
        })
    }

    /// Queues one line about a tenant of this class, or counts it as dropped.
    pub(super) fn record(&self, line: Line, class: TenantClass) {
        match self.allowance.take(line.bare_tenant(), class) {
            Ok(()) => self.enqueue(line),
            Err(Exceeded::Tenant) => self.counters.tenant_rate.inc(),
            Err(Exceeded::Global) => self.counters.global_rate.inc(),
            Err(Exceeded::UnknownTenants) => self.counters.unknown_tenants.inc(),
        }
    }

    fn enqueue(&self, line: Line) {
        let queued = self.queue.load().as_ref().is_some_and(|queue| queue.try_send(line).is_ok());
        if !queued {
            self.counters.queue_full.inc();
        }
    }

    pub(super) fn evict_idle(&self) {
        self.allowance.evict_idle();
    }

    /// Waits until what is queued is written, or [`FINISH_TIMEOUT`] are over.
    pub(super) fn finish(&self) {
        self.finish_within(FINISH_TIMEOUT);
    }

    fn finish_within(&self, timeout: Duration) {
        self.queue.store(None);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if ended.is_some_and(|ended| ended.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout)) {
            tracing::warn!(waited = ?timeout, "the last lines of the audit log could not be written in time; they are lost");
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Writes until the log is finished and nothing is queued. Lines that are queued together are written together.
fn write_lines(lines: &Receiver<Line>, mut output: Output) {
    while let Ok(line) = lines.recv() {
        output.add(&line, Instant::now());
        for line in lines.try_iter() {
            output.add(&line, Instant::now());
        }
        output.flush(Instant::now());
    }
}

#[cfg(test)]
mod tests;
