//! A hundred thousand tenants: pages and metrics stay small and fast.

#![expect(clippy::indexing_slicing, reason = "a field that is missing in JSON reads as null")]

use std::time::{Duration, Instant};

use e2e::{Edge, RateLimitCaller, samples};

const TENANTS: usize = 100_000;
const THROUGH_ENVOY: usize = 300;

fn tenant(index: usize) -> String {
    format!("tenant-{index:06}-of-a-customer-with-a-long-name")
}

/// Reads the whole list by its largest pages.
fn walk(edge: &Edge) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = edge.rls.get(&format!("/api/v1/tenants?limit=1000{after}")).json();
        let rows = page["tenants"].as_array().cloned().unwrap_or_default();
        names.extend(rows.iter().filter_map(|row| row["tenant"].as_str().map(str::to_owned)));
        let Some(next) = page["next"].as_str() else { return names };
        after = format!("&after={next}");
    }
}

/// The time that a page of usual size takes, of a hundred from all over the list: a quarter of them is quicker. Not their median, because what
/// others do on this machine makes pages slower and never quicker.
fn page_time(edge: &Edge) -> Duration {
    let mut times: Vec<Duration> = (0..TENANTS)
        .step_by(TENANTS / 100)
        .map(|index| {
            let target = format!("/api/v1/tenants?limit=100&after={}", tenant(index));
            let asked = Instant::now();
            assert_eq!(edge.rls.get(&target).status, 200);
            asked.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(times.len() / 4).copied().unwrap_or_default()
}

#[track_caller]
fn metrics_stay_small(edge: &Edge) {
    let bytes = edge.rls.get("/metrics").body.len();
    assert!((1_000..1_000_000).contains(&bytes), "/metrics has {bytes} bytes");
}

#[test]
fn a_hundred_thousand_tenants_are_shown_in_small_pages() {
    let names: Vec<String> = (0..TENANTS).map(tenant).collect();
    let overrides: String =
        names.iter().map(|name| format!("  {name}: {{ ingestion_rate: 0.001, ingestion_burst_size: 2 }}\n")).collect();
    let edge = Edge::start(&format!("overrides:\n{overrides}"));
    assert_eq!(edge.rls.metric("rls_limits_tenants"), Some(TENANTS as f64));

    RateLimitCaller::connect(edge.rls.grpc_port()).charge_each(&names);
    assert_eq!(edge.rls.metric("rls_tenants"), Some(TENANTS as f64));
    metrics_stay_small(&edge);

    // Each has one sample left, so that a second push is denied: an offender has a place among the series.
    let body = samples(1).bytes;
    for index in (0..TENANTS).step_by(TENANTS / THROUGH_ENVOY) {
        let statuses = [(); 2].map(|()| edge.push(&tenant(index), &body).status);
        assert_eq!(statuses, [200, 429], "{}", tenant(index));
    }
    metrics_stay_small(&edge);
    let denied = format!(r#"rls_tenant_decisions_total{{decision="deny",tenant="{}"}}"#, tenant(0));
    assert_eq!(edge.rls.metric(&denied), Some(1.0));

    let listed = walk(&edge);
    assert_eq!(listed.len(), names.len());
    assert!(listed == names, "the list has other tenants, or another order");
    let page = page_time(&edge);
    assert!(page < Duration::from_millis(50), "a page takes {page:?}");

    // Each of them once took as long as the list of all names.
    let began = Instant::now();
    for _ in 0..500 {
        assert_eq!(edge.rls.get("/api/v1/tenants?limit=1").status, 200);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "500 pages of one tenant take {took:?}");
}
