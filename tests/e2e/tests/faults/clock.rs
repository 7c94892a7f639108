//! The wall clock of mimir-rls steps. Rates use the monotonic clock, times of samples the wall clock.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{tool, until};

use super::case::{Case, Costs, let_fault_last};
use super::stack::Stack;

const STEP: &str = "clock-step";

/// A stack whose mimir-rls has a wall clock of its own.
pub(crate) fn stack() -> Stack {
    let place = step_file();
    fs::write(&place, "+0").expect("a file can be written");
    let library = tool("libfaketime");
    Stack::start(None, move |edge| {
        edge.environment("LD_PRELOAD", &library)
            .environment("FAKETIME_TIMESTAMP_FILE", &place)
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", &PathBuf::from("1"))
            .environment("FAKETIME_CACHE_DURATION", &PathBuf::from("1"))
    })
}

fn step_file() -> PathBuf {
    std::env::temp_dir().join(format!("{STEP}-{}", std::process::id()))
}

fn step(stack: &Stack, seconds: i64) {
    fs::write(step_file(), format!("{seconds:+}")).expect("a file can be written");
    let rls = &stack.edge.rls;
    // It is denied whatever time it is. Of samples that seem to come from the future the edge denies none.
    let denied = || stack.edge.push("not|a tenant", b"");
    let denials = || rls.get("/api/v1/denials?limit=1").json();
    let shown = || denials().pointer("/denials/0/time")?.as_str().map(str::to_owned);
    let is_at = |seconds: i64| {
        assert_eq!(denied().reason().as_deref(), Some("tenant_invalid"));
        shown().is_some_and(|time| time.starts_with(&hour(seconds)))
    };
    until("the clock has stepped", || is_at(seconds));
    let_fault_last();
    fs::write(step_file(), "+0").expect("a file can be written");
    until("the clock is right again", || is_at(0));
}

/// Date and hour this many seconds from now, as a time in RFC 3339 begins.
fn hour(from_now: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let at = format!("@{}", now.cast_signed() + from_now);
    let output = Command::new("date").args(["-u", "-d", &at, "+%Y-%m-%dT%H"]).output().expect("date runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An hour ahead, and right again.
pub(crate) const AHEAD: Case = Case {
    name: "clock-an-hour-ahead",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| step(stack, 3600),
    changes_a_limit: true,
};

/// An hour back, and right again.
pub(crate) const BACK: Case = Case { name: "clock-an-hour-back", fault: |stack| step(stack, -3600), ..AHEAD };
