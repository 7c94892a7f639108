//! Losing the control plane never stops the data path.

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use e2e::{ADMIN, Cluster, Edge, Load, push_request, samples, send, until};
use serde_json::json;

use super::overrides;

/// Long enough that whatever polls every 15 s has failed once; `make bench-outage` has minutes of it.
fn outage() -> Duration {
    let seconds = env::var("OUTAGE_SECONDS").ok().map(|text| text.parse().expect("OUTAGE_SECONDS is a number"));
    Duration::from_secs(seconds.unwrap_or(20))
}

/// What the source may be behind once the API server answers again.
const FRESH: f64 = 5.0;

#[test]
fn without_an_api_server_decisions_go_on_through_restarts() {
    let mut cluster = Cluster::start(&overrides(&[("always", 1_000_000_000), ("never", 5)]));
    let mut sync = cluster.sync("sync", &[]);
    let cache = cluster.server.folder().join("limits-cache");
    let cache_flag = format!("--limits-cache={}", cache.display());
    let mut edge = Edge::builder().limits_from(&sync.feed()).rls_arguments(&[&cache_flag]).start("");
    until("the limits are in the cache", || cache.exists());

    cluster.server.kill();
    let began = Instant::now();
    sync.process.kill();
    edge.rls.process.kill();
    edge.rls.restart();
    assert_eq!(edge.rls.readiness(), Some(200), "from the cache");
    edge.envoy.wait_for_healthy_rls(1);
    sync.restart();
    assert_eq!(sync.readiness(), Some(503), "it knows no limits");
    let body = samples(10);
    let load = |tenant: &str| Load::start(edge.port(), vec![push_request(tenant, &body.bytes)]);
    let (always, never) = (load("always"), load("never"));
    // How long the API server is down is a part of what is tested.
    while began.elapsed() < outage() {
        assert_eq!(edge.rls.readiness(), Some(200));
        always.wait_for_more(1);
    }
    let stale = edge.rls.metric("rls_limits_stale_seconds").expect("a metric");
    assert!(stale >= (outage() - Duration::from_secs(1)).as_secs_f64(), "{stale} s");

    cluster.server.restart();
    let back = Instant::now();
    until("the limits are confirmed", || edge.rls.metric("rls_limits_stale_seconds") < Some(FRESH));
    assert!(back.elapsed().as_secs_f64() < FRESH, "took {:?}", back.elapsed());
    cluster.put(&overrides(&[("always", 1_000_000_000), ("never", 5), ("another", 7)]));
    let changed = Instant::now();
    until("a change holds", || edge.rls.burst("another") == Some(7));
    assert!(changed.elapsed().as_secs_f64() < FRESH, "took {:?}", changed.elapsed());

    let (always, never) = (always.stop(), never.stop());
    assert_eq!((always.of(200), always.errors.len()), (always.answers(), 0), "{always:?}");
    assert_eq!((never.of(429), never.errors.len()), (never.answers(), 0), "{never:?}");
    assert_eq!(edge.upstream.requests_of("never").len(), 0);
}

/// Makes the EndpointSlice of a Service `mimir/distributors` with this many ready endpoints.
fn run_distributors(cluster: &Cluster, count: u8) {
    let endpoints: Vec<_> = (1..=count).map(|last| json!({ "addresses": [format!("10.0.0.{last}")] })).collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
        "metadata": { "name": "distributors", "labels": { "kubernetes.io/service-name": "distributors" } },
    });
    let answer = cluster.server.api(ADMIN).post("/apis/discovery.k8s.io/v1/namespaces/mimir/endpointslices", &slice);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[test]
fn restarts_without_an_api_server_keep_the_number_of_distributors() {
    let mut cluster = Cluster::start(&overrides(&[("team", 10)]));
    run_distributors(&cluster, 3);
    let caches = ["sync-cache", "rls-cache"].map(|name| cluster.server.folder().join(name));
    let [sync_flag, rls_flag] = caches.each_ref().map(|cache| format!("--limits-cache={}", cache.display()));
    let mut sync = cluster.sync("sync", &["--distributor-service=mimir/distributors", &sync_flag]);
    let mut edge = Edge::builder().limits_from(&sync.feed()).rls_arguments(&[&rls_flag]).start("");
    until("three are counted", || edge.rls.metric("rls_distributors") == Some(3.0));
    let has_count = |cache| fs::read_to_string(cache).is_ok_and(|text| text.contains("\ndistributors: 3\n"));
    until("the number is in both caches", || caches.iter().all(has_count));

    cluster.server.kill();
    sync.process.kill();
    edge.rls.process.kill();
    edge.rls.restart();
    assert_eq!(edge.rls.metric("rls_distributors"), Some(3.0), "without a feed");
    edge.envoy.wait_for_healthy_rls(1);
    let push = || send(edge.port(), &push_request("team", &samples(10).bytes)).status;
    assert_eq!([push(), push(), push(), push()], [200, 200, 200, 429], "three bursts of 10 samples");

    sync.restart();
    sync.wait_until_ready();
    assert_eq!(sync.metric("overrides_sync_distributors"), Some(3.0));
    edge.rls.process.kill();
    let [_, rls_cache] = &caches;
    fs::remove_file(rls_cache).expect("a file can be removed");
    edge.rls.restart();
    until("the feed has the number", || edge.rls.metric("rls_distributors") == Some(3.0));
}

#[test]
fn mimir_rls_leaves_a_frozen_overrides_sync_for_another() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let (first, second) = (cluster.sync("first", &[]), cluster.sync("second", &[]));
    let edge = Edge::builder().limits_from(&format!("{},{}", first.feed(), second.url())).start("");
    let clients = |sync: &e2e::OverridesSync| sync.metric("overrides_sync_feed_clients");
    let (serving, other) = if clients(&first) == Some(1.0) { (&first, &second) } else { (&second, &first) };
    serving.process.freeze();
    let burst = || edge.rls.burst("team");
    cluster.put(&overrides(&[("team", 6)]));
    let changed = Instant::now();
    until("the other one sends the change", || burst() == Some(6));
    eprintln!("a frozen overrides-sync was left after {:.1?}", changed.elapsed());
    assert_eq!(clients(other), Some(1.0));

    // It resumes with what it knew before. A mimir-rls that returns to it keeps what is newer.
    cluster.put(&overrides(&[("team", 7)]));
    until("the other one sends this too", || burst() == Some(7));
    other.process.freeze();
    serving.process.resume();
    until("the first one serves again", || clients(serving) == Some(1.0));
    assert_eq!(burst(), Some(7));
    cluster.put(&overrides(&[("team", 8)]));
    until("it sends the next change", || {
        let now = burst();
        assert!(now == Some(7) || now == Some(8), "{now:?}");
        now == Some(8)
    });
    other.process.resume();
}
