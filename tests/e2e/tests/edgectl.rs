//! The operator's load generator against the edge: the samples that are accepted are those of the limit. And `edgectl check` against a real Mimir.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Edge, Mimir, Upstream, built};
use serde_json::Value;
use tempfile::tempdir;

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
    assert!(offered > expected * 1.2, "the load is too low to show the limit: {report}");
    let accepted = number("samples_accepted");
    // 8 s x 20,000/s + 30,000 = 190,000, so 1 % is 1,900 samples; one push is 500.
    assert!(
        (accepted - expected).abs() <= expected * 0.01,
        "{accepted} of {offered} accepted, {expected} expected: {report}"
    );
    assert_eq!(number("pushes_unanswered"), 0.0, "{report}");

    let arrived: u64 = edge.upstream.requests_of("team").iter().map(|arrival| arrival.counts().samples).sum();
    assert_eq!(arrived as f64, accepted);
}

/// One after the other: a load that is starved by the other at its start offers less than the limit, and then gets less.
#[test]
fn accepted_samples_match_the_limit_in_both_protocols() {
    accepted_samples_match_the_limit("1.0");
    accepted_samples_match_the_limit("2.0");
}

/// 1,000 pushes a second, of two samples each, for 10 s, or for LOAD_SECONDS.
#[test]
fn load_keeps_its_schedule_and_adds_up_with_the_sink() {
    const PUSHES: f64 = 1000.0;
    let seconds = std::env::var("LOAD_SECONDS").ok().map(|text| text.parse::<f64>().expect("LOAD_SECONDS is a number"));
    let seconds = seconds.unwrap_or(10.0);
    let sink = Upstream::start();
    let output = Command::new(built("edgectl"))
        .args(["load-remote-write", "--tenants=50", "--series=2", "--concurrency=8", "--json"])
        .arg(format!("--url=http://127.0.0.1:{}/api/v1/push", sink.port()))
        .arg(format!("--rate={}", PUSHES * 2.0))
        .arg(format!("--duration={seconds}s"))
        .output()
        .expect("edgectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("edgectl prints JSON");
    for name in ["pushes_sent", "elapsed_seconds", "longest_delay_seconds", "latency_seconds", "service_seconds"] {
        eprintln!("{name}: {}", report[name]);
    }
    let number = |name: &str| report.get(name).and_then(Value::as_f64).expect("a number of this name");

    let planned = PUSHES * seconds;
    assert!((number("pushes_sent") - planned).abs() <= planned * 0.01, "not within 1 % of {planned} pushes");
    assert!((number("elapsed_seconds") - seconds).abs() <= seconds * 0.01, "not within 1 % of {seconds} s");
    assert_eq!(number("pushes_sent") + number("pushes_unsent"), planned);
    let arrived = sink.requests();
    assert_eq!((arrived.len() as f64, number("pushes_accepted")), (number("pushes_sent"), number("pushes_sent")));
    let samples: u64 = arrived.iter().map(|arrival| arrival.counts().samples).sum();
    assert_eq!(samples as f64, number("samples_accepted"));
    let of_first = sink.requests_of("load-000001").len() as f64;
    assert_eq!(report["tenants"][0]["pushes_sent"].as_f64(), Some(of_first));
}

/// Limits in all the places where Mimir takes them from: `-config.file` with a variable that is not set, and flags over it.
const CONFIG: &str = "\
limits:
  ingestion_rate: 7
  request_rate: ${NOT_SET_WHERE_TESTS_RUN:9}
  drop_labels: [z]
  metric_relabel_configs: [{action: drop, source_labels: [x], regex: y}]
";
const FLAGS: [&str; 2] = ["-distributor.ingestion-rate-limit=500000", "-distributor.drop-label=a,b"];
const RUNTIME: &str = "\
overrides:
  team-a: {ingestion_rate: 500, out_of_order_time_window: 5m, drop_labels: []}
  team-b: null
  team-c: {}
  team-d: {request_rate: -1, ingestion_burst_size: 1000}
";

/// Runs `edgectl check` with its files in this folder: the exit code, and the differences as tenant and field.
fn differences(folder: &Path, arguments: &[&str]) -> (Option<i32>, Vec<(Value, Value)>) {
    let output = Command::new(built("edgectl"))
        .current_dir(folder)
        .args(["check", "--format=json"])
        .args(arguments)
        .output()
        .expect("edgectl runs");
    let run: Value = serde_json::from_slice(&output.stdout).expect("edgectl prints JSON");
    let files = run.get("files").and_then(Value::as_array).expect("files");
    assert_eq!(files.last().map(|file| &file["outcome"]), Some(&Value::from("compared")), "{run}");
    let problems = files.iter().filter_map(|file| file["problems"].as_array()).flatten();
    let named = problems.map(|problem| {
        assert_eq!(problem["code"], "MRC0050", "{problem}");
        (problem["tenant"].clone(), problem["field"].clone())
    });
    (output.status.code(), named.collect())
}

#[test]
fn edge_and_mimir_take_equal_limits_from_files_and_flags() {
    let folder = tempdir().expect("a folder can be made");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file can be written");
        folder.path().join(name)
    };
    let runtime = write("runtime.yaml", RUNTIME);
    let config = format!("-config.file={}", write("mimir.yaml", CONFIG).display());
    let flags = [FLAGS.as_slice(), &[&config, "-config.expand-env=true"]].concat();
    let mimir = Mimir::start_with(&folder.path().join("mimir"), &runtime, &flags);
    let url = format!("http://127.0.0.1:{}", mimir.port());
    let against = ["--against", url.as_str()];

    // With Mimir's own defaults, and with those that the edge makes of the same file and flags.
    let flags_of_edge = format!("--default-limits-flags={}", FLAGS.join(" "));
    let own = ["--default-limits=mimir.yaml", "--default-limits-expand-env", flags_of_edge.as_str()];
    assert_eq!(differences(folder.path(), &[&against[..], &["runtime.yaml"]].concat()), (Some(0), Vec::new()));
    assert_eq!(differences(folder.path(), &[&against[..], &own, &["runtime.yaml"]].concat()), (Some(0), Vec::new()));

    write("other.yaml", &RUNTIME.replace("500,", "501,").replace("  team-c: {}\n", "  team-e: {request_rate: 2}\n"));
    let expected = [("team-a", "ingestion_rate"), ("team-e", "request_rate")];
    let expected = expected.map(|(tenant, field)| (tenant.into(), field.into())).to_vec();
    assert_eq!(differences(folder.path(), &[&against[..], &["other.yaml"]].concat()), (Some(1), expected));

    let expected = [(Value::Null, Value::from("drop_labels")), (Value::Null, Value::from("ingestion_rate"))].to_vec();
    let without_flags = &own[..2];
    let found = differences(folder.path(), &[&against[..], without_flags, &["runtime.yaml"]].concat());
    assert_eq!(found, (Some(1), expected));
}
