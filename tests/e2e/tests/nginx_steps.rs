//! From step to step with the real NGINX, under load: no push is lost, none is ingested twice, and one copied file goes back.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::{
    Edge, Nginx, PUSH_ID, ProxyBackends, ProxyClient, ProxyLoad, ProxyTally, push_request, samples, send, until,
};

const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

/// NGINX in front of an edge; both forward to the same upstream in place of Mimir.
fn start(file: &str, edge: &Edge) -> Nginx {
    Nginx::start(file, ProxyBackends::new(edge.upstream.port(), edge.port()))
}

/// Until NGINX has noticed that a connection it kept is closed.
const A_MOMENT: Duration = Duration::from_millis(100);

fn load(nginx: &Nginx) -> ProxyLoad {
    let load = ProxyLoad::start(nginx.port(), vec![ProxyClient::new("team", 5, Duration::from_millis(4)); 6]);
    load.wait_for_more(100);
    load
}

/// Every push was answered with 200 and reached the upstream once.
#[track_caller]
fn is_whole(tally: &ProxyTally, edge: &Edge) {
    assert_eq!(tally.errors, [""; 0]);
    assert!(tally.other_than(&[200]).is_empty(), "{:?}", tally.other_than(&[200]));
    let arrivals = edge.upstream.requests_of("team");
    let distinct: BTreeSet<String> =
        arrivals.iter().filter_map(|arrival| arrival.headers.get(PUSH_ID)).map(Cow::into_owned).collect();
    assert_eq!(arrivals.len(), distinct.len(), "a push was ingested twice");
    assert_eq!(distinct, tally.pushed.iter().map(|push| push.id.clone()).collect());
    eprintln!(
        "{} pushes, {} repeated on a new connection, slowest {:?}",
        tally.pushed.len(),
        tally.repeated,
        tally.slowest()
    );
}

#[test]
fn the_emergency_rollback_from_any_step_loses_no_push() {
    for file in ["mirror.conf", "canary.conf", "full-fail-open.conf", "full-fail-closed.conf"] {
        let mut edge = Edge::start(LIMITS);
        let nginx = start(file, &edge);
        let load = load(&nginx);
        nginx.switch_to("direct.conf");
        // Pushes of an old worker still go through the edge; once the worker has ended, the edge is not needed any more.
        nginx.wait_for_old_workers();
        edge.envoy.process.kill();
        edge.rls.process.kill();
        load.wait_for_more(300);
        is_whole(&load.stop(), &edge);
    }
}

#[test]
fn each_step_and_its_reloads_lose_no_push() {
    let edge = Edge::start(LIMITS);
    let nginx = start("direct.conf", &edge);
    let load = load(&nginx);
    for file in
        ["mirror.conf", "canary.conf", "full-fail-open.conf", "full-fail-closed.conf", "canary.conf", "direct.conf"]
    {
        nginx.switch_to(file);
        load.wait_for_more(100);
        nginx.reload();
        load.wait_for_more(100);
    }
    is_whole(&load.stop(), &edge);
}

#[test]
fn at_full_the_edge_decides_every_push() {
    for file in ["full-fail-open.conf", "full-fail-closed.conf"] {
        let edge = Edge::start(LIMITS);
        let nginx = start(file, &edge);
        let answers: Vec<u16> =
            (0..50).map(|_| send(nginx.port(), &push_request("over", &samples(10).bytes)).status).collect();
        assert_eq!(answers, [429; 50], "{file}");
        assert_eq!(edge.upstream.requests().len(), 0, "{file}");
    }
}

#[test]
fn when_failing_open_pushes_reach_mimir_while_envoy_is_down() {
    let mut edge = Edge::start(LIMITS);
    let nginx = start("full-fail-open.conf", &edge);
    let load = load(&nginx);
    edge.envoy.process.signal(e2e::Signal::TERM);
    edge.envoy.process.wait();
    let gone = Instant::now();
    load.wait_for_more(300);
    let tally = load.stop();
    assert!(tally.other_than(&[200, 502]).is_empty(), "{:?}", tally.other_than(&[200, 502]));
    // A push that Envoy had begun to read when it ended may have been ingested, and is the client's to repeat. Those after it are Mimir's.
    let late = tally.of("team", 502).filter(|push| push.started > gone + A_MOMENT).count();
    assert_eq!(late, 0, "{:?}", tally.other_than(&[200]));
    assert_eq!(send(nginx.port(), &push_request("over", &samples(10).bytes)).status, 200);
    assert_eq!(edge.upstream.requests_of("over").len(), 1);
}

#[test]
fn when_failing_closed_mimir_gets_nothing_while_envoy_is_down() {
    let mut edge = Edge::start(LIMITS);
    let nginx = start("full-fail-closed.conf", &edge);
    edge.envoy.process.kill();
    let answers: Vec<u16> =
        (0..10).map(|_| send(nginx.port(), &push_request("team", &samples(10).bytes)).status).collect();
    assert_eq!(answers, [502; 10]);
    assert_eq!(edge.upstream.requests().len(), 0);
    nginx.switch_to("direct.conf");
    assert_eq!(send(nginx.port(), &push_request("team", &samples(10).bytes)).status, 200);
}

#[test]
fn direct_sends_nothing_to_the_edge() {
    let edge = Edge::start(LIMITS);
    let nginx = start("direct.conf", &edge);
    let push = push_request("over", &samples(10).bytes).header("X-Mimir-Edge-Traffic", "mirror");
    assert_eq!(send(nginx.port(), &push).status, 200);
    let [arrival] = &edge.upstream.requests()[..] else { panic!("one push is one arrival") };
    assert_eq!(arrival.headers.get("x-mimir-edge-traffic"), None);
    assert_eq!(
        arrival.headers.get("x-forwarded-for").as_deref(),
        Some("127.0.0.1"),
        "Envoy would add a second address"
    );
}

/// Connections to Envoy for 60 pushes, one after the other.
fn connections_for_60_pushes(nginx: &Nginx, edge: &Edge) -> f64 {
    let series = r#"envoy_http_downstream_cx_total{envoy_http_conn_manager_prefix="push"}"#;
    let count = || edge.envoy.metric(series).unwrap_or_default();
    let before = count();
    for _ in 0..60 {
        assert_eq!(send(nginx.port(), &push_request("team", &samples(1).bytes)).status, 200);
    }
    count() - before
}

#[test]
fn the_keepalive_variant_reuses_connections_and_fails_open() {
    let mut edge = Edge::start(LIMITS);
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    let resolved = Nginx::start("full-fail-open.conf", backends);
    assert_eq!(connections_for_60_pushes(&resolved, &edge), 60.0, "envoy.conf states a bound that comes of this");
    let kept = Nginx::start_keepalive("full-fail-open.conf", backends);
    let connections = connections_for_60_pushes(&kept, &edge);
    // One for each worker of NGINX, which has one for each core.
    assert!(connections < 30.0, "{connections}");
    edge.envoy.process.kill();
    let over = push_request("over", &samples(10).bytes);
    until("pushes go to Mimir", || send(kept.port(), &over).status == 200);
    assert_eq!(edge.upstream.requests_of("over").len(), kept.access_log("unchecked.log").len());
}
