//! The recorded cases of a real Mimir, replayed through the real Envoy: with a sink that notes what reaches it, and with a real Mimir.

use std::process::Command;
use std::sync::Mutex;

use e2e::{Edge, Mimir, free_port, repository};

/// Replays all cases and expects no difference.
#[expect(clippy::expect_used, reason = "a test may panic")]
#[track_caller]
fn replay(edge: &Edge, arguments: &[&str]) {
    // One after the other, for the same reason for which few cases are played at once.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let output = Command::new("python3")
        .arg(repository().join("tests/golden/replay.py"))
        .arg(format!("http://127.0.0.1:{}", edge.port()))
        // Not so many at once that a bucket refills in the middle of a case.
        .args(["--jobs", "3"])
        .args(arguments)
        .output()
        .expect("python3 is installed: apt-get install python3");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.trim_end().ends_with("586 steps, 0 differ") && output.status.success(),
        "{printed}{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        output.status
    );
}

#[test]
fn the_edge_answers_what_mimir_answered() {
    let limits = std::fs::read_to_string(repository().join("tests/golden/runtime.yaml")).expect("the recorded limits");
    let sink = free_port();
    let edge = Edge::builder().upstream(sink).start(&limits);
    replay(&edge, &["--sink", &sink.to_string()]);
}

#[test]
fn with_a_mimir_behind_it_no_client_can_tell_the_edge_from_mimir() {
    let runtime_config = repository().join("tests/golden/runtime.yaml");
    let limits = std::fs::read_to_string(&runtime_config).expect("the recorded limits");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mimir = Mimir::start(folder.path(), &runtime_config);
    let edge = Edge::builder().upstream(mimir.port()).start(&limits);
    replay(&edge, &["--upstream", "mimir"]);
}
