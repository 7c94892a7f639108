//! The recorded cases of a real Mimir, replayed through the real Envoy.

use std::process::Command;

use e2e::{Edge, free_port, repository};

#[test]
fn the_edge_answers_what_mimir_answered() {
    let golden = repository().join("tests/golden");
    let limits = std::fs::read_to_string(golden.join("runtime.yaml")).expect("the recorded limits can be read");
    for kind in ["tenant", "request_rate", "ingestion", "body", "method"] {
        // Some cases are of two kinds, and a case expects full buckets.
        let sink = free_port();
        let edge = Edge::builder().upstream(sink).start(&limits);
        let output = Command::new("python3")
            .arg(golden.join("replay.py"))
            .arg(format!("http://127.0.0.1:{}", edge.port()))
            .args(["--only", kind, "--sink", &sink.to_string()])
            .output()
            .expect("python3 runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.trim_end().ends_with(", 0 differ"),
            "{kind}:\n{printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{kind}: {}", output.status);
    }
}
