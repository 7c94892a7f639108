//! The operator's load generator against the edge: what a tenant gets through is what its limit says.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::process::Command;

use e2e::{Edge, built};
use serde_json::Value;

const RATE: f64 = 20_000.0;
const BURST: f64 = 30_000.0;
const SECONDS: u32 = 8;

/// Offers twice the rate for 8 s; the burst is gone after 30,000 / (40,000 - 20,000) = 1.5 s of them.
fn accepted_samples_match_the_limit(protocol: &str) {
    let edge =
        Edge::start(&format!("overrides: {{ team: {{ ingestion_rate: {RATE}, ingestion_burst_size: {BURST} }} }}"));
    let output = Command::new(built("edgectl"))
        .args([
            "load-remote-write",
            "--tenant",
            "team",
            "--protocol",
            protocol,
            "--concurrency",
            "2",
            "--series",
            "500",
            "--json",
        ])
        .arg(format!("--url=http://127.0.0.1:{}/api/v1/push", edge.port()))
        .arg(format!("--rate={}", RATE * 2.0))
        .arg(format!("--duration={SECONDS}s"))
        .output()
        .expect("edgectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("edgectl prints JSON");
    let number = |name: &str| report.get(name).and_then(Value::as_f64).expect("a number of this name");

    let offered = number("samples_offered");
    let expected = RATE * number("elapsed_seconds") + BURST;
    assert!(offered > expected * 1.2, "too little was offered to tell: {report}");
    let accepted = number("samples_accepted");
    // 8 s x 20,000/s + 30,000 = 190,000, so 1 % is 1,900 samples; one push is 500.
    assert!(
        (accepted - expected).abs() <= expected * 0.01,
        "{accepted} of {offered} accepted, {expected} expected: {report}"
    );
    assert_eq!(number("pushes_unanswered"), 0.0, "{report}");

    let arrived: u64 = edge.sink.of_tenant("team").iter().map(|arrival| arrival.counts().samples).sum();
    assert_eq!(arrived as f64, accepted);
}

/// One after the other: a load that is starved by the other at its start offers less than the limit, and then gets less.
#[test]
fn accepted_samples_match_the_limit_in_both_protocols() {
    accepted_samples_match_the_limit("1.0");
    accepted_samples_match_the_limit("2.0");
}
