//! More clients than the cores can serve, with small pushes that are expensive to decode: nothing goes unchecked.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use e2e::{Edge, Load, Request, Tally, push_request, samples, until};

const LIMITS: &str = "
overrides:
  flood: { ingestion_rate: 0.001, ingestion_burst_size: 10 }
  innocent: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
";
const CLIENTS: usize = 300;
const ANSWERS: usize = 2000;

/// 65 kB that decode to 1.3 MB: 64,000 series of one label and one sample, and snappy writes each 64 bytes of them in three.
fn costly() -> Vec<u8> {
    let series = b"\x0a\x13\x0a\x0f\x0a\x08__name__\x12\x03abc\x12\x00";
    snap::raw::Encoder::new().compress_vec(&series.repeat(64_000)).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Pushes that Envoy let through without an answer from mimir-rls.
fn unchecked(edge: &Edge) -> Option<f64> {
    let labels = r#"envoy_ext_authz_prefix="mimir_rls",envoy_http_conn_manager_prefix="push""#;
    edge.envoy.metric(&format!("envoy_http_ext_authz_failure_mode_allowed{{{labels}}}"))
}

#[test]
fn a_saturated_edge_lets_nothing_through_unchecked() {
    let edge = Edge::builder().failing_open().start(LIMITS);
    let body = costly();
    assert!((60_000..66_000).contains(&body.len()), "{}", body.len());
    assert_eq!(edge.push("flood", &body).status, 429);

    let flood = Load::start(edge.port(), vec![push_request("flood", &body); CLIENTS]);
    let innocent = Load::start(edge.port(), vec![push_request("innocent", &samples(10).bytes); 2]);
    until("the flood gets its answers", || flood.tally().answers() >= ANSWERS);
    assert_eq!(edge.send(&Request::new("GET", "/healthz")).status, 200);
    let (flood, innocent) = (flood.stop(), innocent.stop());

    let seen = (&flood.statuses, &innocent.statuses);
    assert_eq!((flood.of(429) + flood.of(503), flood.errors.len()), (flood.answers(), 0), "{seen:?}");
    assert_eq!((innocent.of(200) + innocent.of(503), innocent.errors.len()), (innocent.answers(), 0), "{seen:?}");
    assert!(innocent.of(200) > 0, "{seen:?}");
    assert_eq!(edge.upstream.requests_of("flood").len(), 0, "{seen:?}");
    assert_eq!(edge.upstream.requests().len(), innocent.of(200), "{seen:?}");
    assert_eq!(unchecked(&edge), Some(0.0), "{seen:?}");
}

#[test]
fn pushes_beyond_those_that_may_wait_are_denied_immediately() {
    const BOUND: usize = 20;
    const OVER: usize = 10;
    let edge = Edge::builder().max_pushes(BOUND as u64).start(LIMITS);
    let push = push_request("innocent", &samples(10).bytes);
    assert_eq!(edge.send(&push).status, 200);
    edge.rls.process.freeze();
    let tally = thread::scope(|scope| {
        let waiting = scope.spawn(|| Tally::of_pushes_at_once(edge.port(), BOUND + OVER, &push));
        until("those above the bound are denied", || edge.envoy.denied_for_overload() >= OVER as f64);
        assert_eq!(edge.send(&Request::new("GET", "/healthz")).status, 200);
        assert_eq!(edge.send(&Request::new("GET", "/api/v1/push")).status, 405);
        edge.rls.process.resume();
        waiting.join().unwrap_or_default()
    });
    assert_eq!(tally.of(200) + tally.of(503), BOUND + OVER, "{:?}", tally.statuses);
    assert_eq!(edge.upstream.requests().len(), 1 + tally.of(200));
}

#[test]
fn incomplete_small_pushes_hold_no_place() {
    let edge = Edge::builder().max_pushes(20).start(LIMITS);
    let head = "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: flood\r\nContent-Length: 2000\r\n\r\n";
    let half_a_push = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", edge.port()))?;
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&[0; 1000])).map(|()| stream)
    };
    let waiting: Vec<io::Result<TcpStream>> = (0..30).map(half_a_push).collect();
    assert_eq!(waiting.iter().filter(|stream| stream.is_err()).count(), 0);
    let active = r#"envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="push"}"#;
    until("Envoy has them all", || edge.envoy.metric(active) >= Some(30.0));
    assert_eq!(edge.push("innocent", &samples(10).bytes).status, 200);
    assert_eq!(edge.envoy.denied_for_overload(), 0.0);
}

/// Limits of a tenant with 30 ordinary rules, and of one without any.
fn costly_rules() -> String {
    let rule = r#"{ source_labels: [instance], regex: '([^:]+):(\d+)', target_label: host }"#;
    format!("overrides: {{ relabelled: {{ metric_relabel_configs: [{}] }}, innocent: {{}} }}", [rule; 30].join(", "))
}

#[test]
fn costly_relabelling_of_one_tenant_harms_no_other() {
    let edge = Edge::start(&costly_rules());
    let series = Series::sample(&[("__name__", "m"), ("instance", "10.0.0.1:9090")], 1.0, 1_750_000_000_000);
    let push = |count: usize| {
        let body = encode_push(Protocol::V1, &vec![series.clone(); count], &[]);
        push_request("relabelled", &body.unwrap_or_else(|error| unreachable!("{error}")))
    };
    // Some that are small, and some that would take minutes.
    let load = Load::start(edge.port(), [vec![push(4_000); 24], vec![push(1_000_000); 2]].concat());
    load.wait_for_more(10);
    let innocent = push_request("innocent", &samples(10).bytes);
    for number in 0..20 {
        assert_eq!(edge.send(&innocent).status, 200, "push {number}");
    }
    let tally = load.stop();
    assert_eq!((tally.of(200) + tally.of(503), tally.errors.len()), (tally.answers(), 0), "{:?}", tally.statuses);
    assert!(tally.of(200) > 0, "{:?}", tally.statuses);
}
