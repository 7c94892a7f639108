//! What mimir-rls keeps of the usage of tenants: `edgectl top`, and `edgectl simulate` against what really happens under the same limits.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Edge, built, samples, until, wait_until};
use serde_json::Value;

/// How long each load is played.
const SECONDS: u32 = 12;

/// What a tenant sends: every `period`, so many pushes at once of so many samples.
struct Load {
    tenant: &'static str,
    period: Duration,
    at_once: u32,
    samples: usize,
    /// Its limits; the others are unlimited.
    limits: &'static str,
}

const fn load(tenant: &'static str, millis: u64, at_once: u32, samples: usize, limits: &'static str) -> Load {
    Load { tenant, period: Duration::from_millis(millis), at_once, samples, limits }
}

const LOADS: [Load; 8] = [
    load("within", 250, 1, 20, "ingestion_rate: 100, ingestion_burst_size: 100"),
    load("over", 100, 1, 20, "ingestion_rate: 100, ingestion_burst_size: 200"),
    load("large", 1_000, 1, 300, "ingestion_rate: 1000, ingestion_burst_size: 250"),
    load("largest", 1_000, 1, 300, "ingestion_rate: 1000, ingestion_burst_size: 300"),
    load("often", 100, 1, 1, "request_rate: 5, request_burst_size: 10"),
    load("seldom", 500, 1, 1, "request_rate: 5, request_burst_size: 10"),
    load("in_gulps", 3_000, 5, 50, "ingestion_rate: 100, ingestion_burst_size: 260"),
    load("in_large_gulps", 3_000, 8, 50, "ingestion_rate: 100, ingestion_burst_size: 260"),
];

fn limits() -> String {
    let entry = |load: &Load| format!("  {}: {{ {} }}\n", load.tenant, load.limits);
    format!("overrides:\n{}", LOADS.iter().map(entry).collect::<String>())
}

/// Plays all loads at the same time; returns the tenants of which a push was refused, and how many pushes there were.
fn play(edge: &Edge) -> (BTreeSet<&'static str>, u64) {
    let started = Instant::now();
    thread::scope(|scope| {
        let threads = LOADS.map(|load| scope.spawn(move || play_one(edge, &load, started)));
        let mut played = (BTreeSet::new(), 0);
        for thread in threads {
            let (tenant, refused, pushes) = thread.join().expect("a load is played");
            played.0.extend(refused.then_some(tenant));
            played.1 += pushes;
        }
        played
    })
}

fn play_one(edge: &Edge, load: &Load, started: Instant) -> (&'static str, bool, u64) {
    let push = samples(load.samples);
    let (mut refused, mut pushes) = (false, 0);
    for round in 0.. {
        let due = load.period * round;
        if due >= Duration::from_secs(SECONDS.into()) {
            break;
        }
        wait_until(started + due);
        for _ in 0..load.at_once {
            refused |= edge.push(load.tenant, &push.bytes).status == 429;
            pushes += 1;
        }
    }
    (load.tenant, refused, pushes)
}

fn edgectl(edge: &Edge, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(built("edgectl"));
    let address = format!("http://127.0.0.1:{}", edge.rls.http_port());
    let output = command.args(arguments).env("MIMIR_EDGE_ADDRESS", address).output().expect("edgectl runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("edgectl prints JSON")
}

#[test]
fn simulated_limits_deny_whom_real_ones_refuse() {
    let recorded = Edge::start("overrides: {}\n");
    let (refused, pushes) = play(&recorded);
    assert!(refused.is_empty(), "the default limits let all pass: {refused:?}");
    until("all pushes are in the usage", || {
        let top = json(&edgectl(&recorded, &["top", "-o=json", "--limit=100"]).1);
        let rows = top["tenants"].as_array().expect("a list");
        rows.iter().filter_map(|row| row["minute"]["requests"].as_u64()).sum::<u64>() == pushes
    });
    let file = recorded.folder().join("limits.yaml");
    fs::write(&file, limits()).expect("a file can be written");
    let file = file.display().to_string();
    let (code, simulated) = edgectl(&recorded, &["simulate", "-o=json", &file]);
    let simulated = json(&simulated);
    let denied: BTreeSet<_> = simulated["tenants"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tenant| tenant["tenant"].as_str())
        .collect();
    assert_eq!((code, &simulated["seen"]), (Some(1), &Value::from(LOADS.len())), "{simulated:#}");

    let real = Edge::start(&limits());
    let (refused, _) = play(&real);
    assert_eq!(denied, refused, "{simulated:#}");
    assert_eq!(refused, BTreeSet::from(["over", "large", "often", "in_large_gulps"]));

    // What is suggested for a tenant that was refused denies none of its pushes.
    let (code, suggested) = edgectl(&real, &["suggest", "over"]);
    assert_eq!(code, Some(0));
    fs::write(&file, &suggested).expect("a file can be written");
    let (_, simulated) = edgectl(&real, &["simulate", "--all", "-o=json", &file]);
    let simulated = json(&simulated);
    let of_over = simulated["tenants"].as_array().expect("a list").iter().find(|tenant| tenant["tenant"] == "over");
    let of_over = of_over.expect("it has usage");
    assert_eq!(of_over["denied"], 0, "{suggested}");
    assert!(of_over["denied_before"].as_u64() > Some(0), "{of_over}");

    // The refused tenants never retried: the edge says so before their users do.
    until("the tenants that lose samples are counted", || real.rls.metric("rls_tenants_never_retry") > Some(1.0));
    let used = |tenant: &str| {
        real.rls.metric(&format!(r#"rls_tenant_usage_ratio{{limit="ingestion_rate",tenant="{tenant}"}}"#))
    };
    until("a tenant is over its rate", || used("over") > Some(1.0));
    assert!(used("within") > Some(0.1) && used("within") < Some(1.0), "{:?}", used("within"));
    let series = r#"rls_tenant_denied_total{mode="enforce",reason="ingestion_burst",tenant="large"}"#;
    assert_eq!(real.rls.metric(series), Some(f64::from(SECONDS)));
}
