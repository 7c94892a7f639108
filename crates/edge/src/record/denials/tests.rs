use std::io;
use std::sync::Mutex;

use enforce::{Denial, DenyReason};
use limits::Mode;
use remote_write::PushCounts;

use super::*;

/// A denial of a tenant.
pub(super) fn denied_push(tenant: &str) -> DenialRecord {
    record(Some(tenant), Mode::Enforce)
}

fn record(tenant: Option<&str>, mode: Mode) -> DenialRecord {
    let message = "the request has been rejected because the tenant exceeded the request rate limit";
    let record = DenialRecord::new("check", tenant, mode, &Denial::new(DenyReason::RequestRate, message));
    DenialRecord { counts: PushCounts { samples: 3, ..PushCounts::default() }, ..record }
}

/// What `act` logs at this level.
fn logged(level: tracing::Level, act: impl FnOnce()) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Lines(Arc::clone(&lines));
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(lines.lock().unwrap().clone()).unwrap()
}

#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn denials() -> Denials {
    Denials::new(None, &Registry::new()).unwrap()
}

#[test]
fn a_denial_is_recent_audited_and_logged() {
    let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let path = folder.path().join("audit");
    let denials = Denials::new(Some((path.clone().into(), &Tasks::default())), &registry).unwrap();
    let log = logged(tracing::Level::INFO, || denials.record(denied_push("team-a"), TenantClass::Allowed));
    denials.finish();

    let last = denials.recent(None, Some("team-a"), 10);
    assert_eq!(last.len(), 1);
    assert_eq!(serde_json::to_string(&last[0]).unwrap() + "\n", std::fs::read_to_string(&path).unwrap());
    assert_eq!(log.lines().count(), 1, "{log}");
    let fields =
        r#"rls::denials: push denied tenant="team-a" reason="request_rate" mode="enforce" status=429 samples=3"#;
    assert!(log.contains(fields), "{log}");
}

#[test]
fn log_lines_mark_shadow_denials_and_omit_unknown_tenants() {
    let denials = denials();
    let log = logged(tracing::Level::INFO, || {
        denials.record(record(None, Mode::Shadow), TenantClass::Unknown);
    });
    assert!(log.contains("push would be denied reason=") && log.contains(r#"mode="shadow""#), "{log}");
}

#[test]
fn a_tenant_cannot_write_log_lines_of_its_own() {
    let denials = denials();
    let log = logged(tracing::Level::INFO, || {
        denials.record(denied_push("a\n2026 ERROR everything is lost\x1b[31m"), TenantClass::Unknown);
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

/// The lines left out are counted.
#[test]
fn a_denial_storm_gets_few_log_lines() {
    let denials = denials();
    let log = logged(tracing::Level::INFO, || {
        for _ in 0..500 {
            denials.record(denied_push("storm"), TenantClass::Allowed);
        }
        denials.record(denied_push("calm"), TenantClass::Allowed);
    });
    let lines = log.lines().count() as u64;
    // 5 at once and one a second for as long as the loop takes, and the calm one's.
    assert!((6..=16).contains(&lines), "{lines}");
    assert!(log.contains(r#"tenant="calm""#), "{log}");
    assert_eq!(denials.suppressed_log_lines.get(), 501 - lines);
    assert_eq!(denials.recent(None, None, 1_000).len(), 501);
    denials.evict_idle();
}

#[test]
fn log_lines_below_the_level_do_not_count_as_suppressed() {
    let denials = denials();
    let log =
        logged(tracing::Level::WARN, || (0..10).for_each(|_| denials.record(denied_push("a"), TenantClass::Allowed)));
    assert_eq!((log.as_str(), denials.suppressed_log_lines.get()), ("", 0));
}

#[test]
fn metrics_exist_from_start_and_unopenable_audit_logs_fail() {
    let registry = Registry::new();
    drop(Denials::new(None, &registry).unwrap());
    let mut text = String::new();
    prometheus::TextEncoder::new().encode_utf8(&registry.gather(), &mut text).unwrap();
    for series in [
        "rls_audit_written_total 0",
        r#"rls_audit_dropped_total{cause="tenant_rate"} 0"#,
        r#"rls_audit_dropped_total{cause="global_rate"} 0"#,
        r#"rls_audit_dropped_total{cause="unknown_tenants"} 0"#,
        r#"rls_audit_dropped_total{cause="queue_full"} 0"#,
        r#"rls_audit_dropped_total{cause="write_error"} 0"#,
        "rls_denial_logs_suppressed_total 0",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
    let nowhere = std::path::PathBuf::from("/nowhere/audit");
    assert!(Denials::new(Some((nowhere.into(), &Tasks::default())), &Registry::new()).is_err());
}
