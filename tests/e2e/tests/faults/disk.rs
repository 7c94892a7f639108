//! A disk without room for the limits cache and the audit log. No decision waits for either.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use e2e::{Disk, MimirRls, until};

use super::case::{Case, Costs};
use super::stack::Stack;

const BYTES: u64 = 1 << 20;
const CACHE: &str = "limits-cache";
const AUDIT: &str = "audit.jsonl";
const FILLER: &str = "filler";
/// Lines of the audit log that are lost before there is room again: those of three seconds.
const LOST_LINES: f64 = 30.0;

/// A stack whose mimir-rls has both on a disk of its own.
pub(crate) fn stack() -> Stack {
    let place = tempfile::tempdir().expect("a folder can be made").keep();
    let flag = |flag: &str, name: &str| format!("--{flag}={}", place.join(name).display());
    let (cache, audit) = (flag("limits-cache", CACHE), flag("audit-log", AUDIT));
    let disk = Disk { folder: place.clone(), bytes: BYTES };
    let stack = Stack::start(None, move |edge| edge.disk(disk).rls_arguments(&[&cache, &audit]));
    until("the limits are in the cache", || stack.edge.rls.disk().join(CACHE).exists());
    stack
}

/// The disk is full, limits change and pushes are denied, and there is room again.
pub(crate) const FULL: Case = Case {
    name: "disk-full",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| {
        let disk = stack.edge.rls.disk();
        fill(&disk.join(FILLER));
        stack.change_a_limit();
        let lost = |rls: &MimirRls| {
            let faults = rls.metric("rls_limits_cache_errors_total").unwrap_or_default();
            (faults, rls.metric(r#"rls_audit_dropped_total{cause="write_error"}"#).unwrap_or_default())
        };
        until("neither the cache nor the audit log can be written", || {
            let (cache, audit) = lost(&stack.edge.rls);
            cache > 0.0 && audit >= LOST_LINES
        });
        eprintln!(
            "a full disk: faults of the cache and lines of the audit log that were lost: {:?}",
            lost(&stack.edge.rls)
        );

        fs::remove_file(disk.join(FILLER)).expect("what fills the disk can be removed");
        let audit = disk.join(AUDIT);
        let written = fs::metadata(&audit).map(|file| file.len()).unwrap_or_default();
        until("audit lines are written again", || fs::metadata(&audit).is_ok_and(|file| file.len() > written));
        let before = stack.probe_in_force().expect("a limit");
        stack.change_a_limit();
        until("the cache has the newest limits", || {
            let text = fs::read_to_string(disk.join(CACHE)).unwrap_or_default();
            text.contains(&format!("ingestion_burst_size: {}", before + 1))
        });
    },
    changes_a_limit: true,
};

/// Writes until there is no more room.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file can be made");
    let error = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
}
