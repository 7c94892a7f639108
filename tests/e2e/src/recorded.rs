//! The recorded cases of a real Mimir, replayed by the script beside them.
//!
//! Buckets refill by the clock: where a push takes some 400 ms, as the first of a tenant can on a busy machine, a case with a rate goes another
//! way. So a case that differs is played again, alone and with everything fresh; one that differs each time is a difference.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use crate::programs::repository;

/// The limits that the recorded Mimir had.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn recorded_limits() -> String {
    fs::read_to_string(recorded_limits_file()).expect("the recorded limits")
}

/// Where [`recorded_limits`] are.
#[must_use]
pub fn recorded_limits_file() -> PathBuf {
    repository().join("tests/golden/runtime.yaml")
}

/// Plays all cases, and those that differ again, each time with a fresh edge: `play` starts one, and hands its port and the replay's arguments
/// to the function that it gets.
///
/// # Panics
/// When a case differs each time.
#[track_caller]
pub fn replay_recorded(play: impl Fn(&dyn Fn(u16, &[&str]))) {
    replay(&[], "586 steps", play);
}

/// The same without the one case that takes half a minute: it waits until Mimir elects another replica of a pair.
///
/// # Panics
/// When a case differs each time.
#[track_caller]
pub fn replay_recorded_quickly(play: impl Fn(&dyn Fn(u16, &[&str]))) {
    replay(&["--without", "ha_failover"], "581 steps", play);
}

#[track_caller]
fn replay(cases_arguments: &[&str], steps: &str, play: impl Fn(&dyn Fn(u16, &[&str]))) {
    let cases = Mutex::new(Vec::new());
    play(&|port, arguments| {
        let differing = differing(port, &[arguments, cases_arguments].concat(), Some(steps));
        cases.lock().expect("no poison").extend(differing);
    });
    let mut cases = cases.into_inner().expect("no poison");
    cases.dedup();
    for case in cases {
        let is_equal = || {
            let equal = Mutex::new(false);
            play(&|port, arguments| {
                let differing = differing(port, &[arguments, &["--only", &case]].concat(), None);
                *equal.lock().expect("no poison") = differing.is_empty();
            });
            equal.into_inner().expect("no poison")
        };
        assert!((0..3).any(|_| is_equal()), "{case} differs each time");
    }
}

/// Replays cases and gives the names of those that differ.
#[track_caller]
fn differing(port: u16, arguments: &[&str], steps: Option<&str>) -> Vec<String> {
    // More at once would take so long that a bucket refills in the middle of a case.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let output = Command::new("python3")
        .arg(repository().join("tests/golden/replay.py"))
        .arg(format!("http://127.0.0.1:{port}"))
        .args(["--jobs", "3"])
        .args(arguments)
        .output()
        .expect("python3 is installed: apt-get install python3");
    let printed = String::from_utf8_lossy(&output.stdout);
    let (differences, last) = printed.trim_end().rsplit_once('\n').unwrap_or(("", printed.trim_end()));
    assert!(last.contains(" steps, ") && last.starts_with(steps.unwrap_or("")), "{printed}{output:?}");
    eprintln!("{printed}");
    differences.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
