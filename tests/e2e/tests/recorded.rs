//! The recorded cases of a real Mimir, replayed through the real Envoy: with a sink that notes what reaches it, and with a real Mimir.
//!
//! Buckets refill by the clock: where a push takes some 400 ms, as the first of a tenant can on a busy machine, a case with a rate goes another
//! way. So a case that differs is played again, alone and with everything fresh; one that differs each time is a difference.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::process::Command;
use std::sync::Mutex;

use e2e::{Edge, Mimir, free_port, repository};
use tempfile::tempdir;

/// Replays cases and gives the names of those that differ.
#[track_caller]
fn differing(edge: &Edge, arguments: &[&str], steps: Option<&str>) -> Vec<String> {
    // Not so many at once that a bucket refills in the middle of a case.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let output = Command::new("python3")
        .arg(repository().join("tests/golden/replay.py"))
        .arg(format!("http://127.0.0.1:{}", edge.port()))
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

/// Plays all cases, and those that differ again.
#[track_caller]
fn check(play: impl Fn(&[&str], Option<&str>) -> Vec<String>) {
    let mut cases = play(&[], Some("586 steps"));
    cases.dedup();
    for case in cases {
        assert!((0..3).any(|_| play(&["--only", &case], None).is_empty()), "{case} differs each time");
    }
}

#[test]
fn the_edge_answers_what_mimir_answered() {
    let limits = std::fs::read_to_string(repository().join("tests/golden/runtime.yaml")).expect("the recorded limits");
    check(|arguments, steps| {
        let sink = free_port();
        let edge = Edge::builder().upstream(sink).start(&limits);
        differing(&edge, &[&["--sink", &sink.to_string()], arguments].concat(), steps)
    });
}

#[test]
fn with_a_mimir_behind_it_no_client_can_tell_the_edge_from_mimir() {
    let runtime_config = repository().join("tests/golden/runtime.yaml");
    let limits = std::fs::read_to_string(&runtime_config).expect("the recorded limits");
    check(|arguments, steps| {
        let folder = tempdir().expect("a temporary folder");
        let mimir = Mimir::start(folder.path(), &runtime_config);
        let edge = Edge::builder().upstream(mimir.port()).start(&limits);
        differing(&edge, &[&["--upstream", "mimir"], arguments].concat(), steps)
    });
}
