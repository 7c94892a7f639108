use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tasks::TaskFailure;

use super::*;
use crate::record::denials::tests::denied_push;

fn counters() -> AuditCounters {
    AuditCounters::new(&Registry::new()).unwrap()
}

fn line(tenant: &str) -> Line {
    Line::Denial(Arc::new(denied_push(tenant)))
}

/// A writer that takes nothing until its other end is dropped.
struct Stuck(Receiver<()>);

fn stuck() -> (Stuck, Sender<()>) {
    let (open, closed) = std::sync::mpsc::channel();
    (Stuck(closed), open)
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dash_is_standard_output() {
    assert_eq!(AuditTarget::from(PathBuf::from("-")), AuditTarget::StandardOutput);
    assert_eq!(AuditTarget::from(PathBuf::from("./-")), AuditTarget::File("./-".into()));
}

/// The dropped lines are counted.
#[test]
fn finishing_writes_the_queue_and_later_lines_are_dropped() {
    let (folder, counters) = (tempfile::tempdir().unwrap(), counters());
    let path = folder.path().join("audit");
    let log = AuditLog::start(AuditTarget::File(path.clone()), counters.clone(), &Tasks::default()).unwrap();
    for _ in 0..1_000 {
        log.enqueue(line("a"));
    }
    log.finish();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1_000);
    assert_eq!(counters.written.get(), 1_000);
    log.enqueue(line("a"));
    assert_eq!(counters.queue_full.get(), 1);
    log.finish();
}

#[test]
fn dropping_the_log_writes_what_is_queued() {
    let counters = counters();
    let log =
        AuditLog::write_to(Output::to(io::sink(), counters.clone()), counters.clone(), &Tasks::default()).unwrap();
    log.enqueue(line("a"));
    drop(log);
    assert_eq!(counters.written.get(), 1);
}

struct Panicking;

impl Write for Panicking {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("the test wants it")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which ends the server, as that of any other task: lines would be dropped until the next restart.
#[tokio::test]
async fn a_panic_of_its_thread_is_a_failed_task() {
    let (counters, tasks) = (counters(), Tasks::default());
    let log = AuditLog::write_to(Output::to(Panicking, counters.clone()), counters, &tasks).unwrap();
    log.enqueue(line("a"));
    let failed = tokio::time::timeout(Duration::from_secs(20), tasks.failed()).await;
    assert_eq!(failed, Ok(TaskFailure::Panicked("audit-log".to_owned())));
}

#[test]
fn a_hanging_file_blocks_neither_decisions_nor_shutdown() {
    let (writer, open) = stuck();
    let counters = counters();
    let log = AuditLog::write_to(Output::to(writer, counters.clone()), counters.clone(), &Tasks::default()).unwrap();
    let asked = QUEUED_LINES * 2;
    for _ in 0..asked {
        log.enqueue(line("a"));
    }
    let dropped = counters.queue_full.get();
    // The thread holds what fits into its buffer, in addition to the full queue.
    assert!((5_000..=8_192).contains(&dropped), "{dropped}");
    log.finish_within(Duration::from_millis(1));
    assert_eq!(counters.written.get(), 0);

    drop(open);
    let deadline = Instant::now() + Duration::from_secs(10);
    while counters.written.get() + dropped < asked as u64 {
        assert!(Instant::now() < deadline, "{} lines were written", counters.written.get());
        std::thread::yield_now();
    }
}

#[test]
fn a_storming_tenant_gets_only_its_share() {
    let counters = counters();
    let log =
        AuditLog::write_to(Output::to(io::sink(), counters.clone()), counters.clone(), &Tasks::default()).unwrap();
    for spelling in 0..2_000 {
        log.record(line(&format!("storm:k={}", spelling % 10)), TenantClass::Allowed);
    }
    // 100 at once and 10 a second, for as long as the loop takes.
    let dropped = counters.tenant_rate.get();
    assert!((1_700..=1_900).contains(&dropped), "{dropped}");
    for tenant in 0..6_000 {
        log.record(line(&format!("t{tenant}")), TenantClass::Allowed);
    }
    assert_eq!(counters.tenant_rate.get() / 1_000, 1, "tenants with one denial each are not held back");
    log.finish_within(Duration::from_secs(60));
    let all = counters.written.get() + counters.tenant_rate.get() + counters.global_rate.get();
    assert_eq!(all + counters.queue_full.get(), 8_000);
    assert!(counters.written.get() >= 4_000 - counters.queue_full.get());
}

/// 10,000 names are the flood that once took the lines of all tenants.
#[test]
fn invented_tenants_cost_known_tenants_no_line() {
    let counters = counters();
    let log =
        AuditLog::write_to(Output::to(io::sink(), counters.clone()), counters.clone(), &Tasks::default()).unwrap();
    for round in 0..10_000 {
        log.record(line(&format!("invented-{round}")), TenantClass::Unknown);
        if round % 100 == 0 {
            log.record(line("known"), TenantClass::Allowed);
            log.record(line("named"), TenantClass::Overridden);
        }
    }
    log.finish_within(Duration::from_secs(60));
    assert_eq!((counters.tenant_rate.get(), counters.global_rate.get(), counters.queue_full.get()), (0, 0, 0));
    // 1,000 at once and 100 a second, for as long as the loop takes.
    let dropped = counters.unknown_tenants.get();
    assert!((8_000..=9_000).contains(&dropped), "{dropped}");
    assert_eq!(counters.written.get(), 10_200 - dropped);
}
