//! More than the edge can hold: it denies with a response, lets nothing through unchecked, and other tenants are not affected.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use e2e::{Connection, Edge, Envoy, EnvoySettings, Load, Request, Tally, noisy, push_request, samples, until};

const LIMITS: &str = "
overrides:
  greedy: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
";
const MIB: u64 = 1 << 20;
const UNCHECKED: &str = "x-envoy-auth-failure-mode-allowed";

/// One tenant sends `pushes` pushes of 16 MB at once, while another pushes as usual.
fn overload(edge: &Edge, pushes: usize) -> Tally {
    let body = noisy(15_900_000);
    assert!((15_000_000..16 << 20).contains(&body.bytes.len()), "{}", body.bytes.len());
    let others = Load::start(edge.port(), vec![push_request("modest", &samples(10).bytes); 2]);
    others.wait_for_more_of(200, 50);
    let greedy = Tally::of_pushes_at_once(edge.port(), pushes, &push_request("greedy", &body.bytes));
    others.wait_for_more_of(200, 50);
    let others = others.stop();

    assert_eq!((others.of(200), others.errors.len()), (others.answers(), 0), "{others:?}");
    assert_eq!((greedy.of(200) + greedy.of(503), greedy.errors.len()), (pushes, 0), "{greedy:?}");
    assert!(greedy.of(200) > 0, "{greedy:?}");
    let arrivals = edge.upstream.requests();
    assert_eq!(arrivals.len(), greedy.of(200) + others.of(200));
    assert_eq!(arrivals.iter().filter(|arrival| arrival.headers.get(UNCHECKED).is_some()).count(), 0);
    assert_eq!(edge.rls.decisions("allow"), arrivals.len() as f64, "{greedy:?}");
    greedy
}

/// A tenant has a quarter of 256 MiB in flight. Two bodies of at most 100 MiB are read at once, with another 32 MiB each. Each of Envoy's two workers has
/// a connection, which holds at most a window of 4 MiB outside of the budget.
#[track_caller]
fn mimir_rls_is_within_its_bounds(edge: &Edge) {
    let bound = 64 * MIB + 2 * 132 * MIB + 2 * 4 * MIB + 64 * MIB;
    let peak = edge.rls.process.peak_rss();
    assert!(peak < bound, "mimir-rls had {peak} bytes, more than {bound}");
}

fn denied_by_mimir_rls(edge: &Edge) -> f64 {
    let series = r#"rls_decisions_total{decision="deny",mode="enforce",reason="edge_overloaded"}"#;
    edge.rls.metric(series).unwrap_or_default()
}

#[test]
fn large_pushes_beyond_envoys_memory_are_denied_never_unchecked() {
    let edge = Edge::builder().failing_open().forgetting_bodies().start(LIMITS);
    let greedy = overload(&edge, 64);
    mimir_rls_is_within_its_bounds(&edge);
    // Of 1 GiB, 3/4 are for large pushes: 12 of them at 4 x 16 MiB, the others are denied by their heads.
    let peak = edge.envoy.process.peak_rss();
    assert!(peak < 1024 * MIB, "Envoy had {peak} bytes");
    assert!(edge.envoy.denied_for_overload() > 0.0);
    assert_eq!(edge.envoy.denied_for_overload() + denied_by_mimir_rls(&edge), greedy.of(503) as f64);
}

#[test]
fn large_pushes_beyond_a_tenants_share_are_denied_never_unchecked() {
    // Room for 48 large pushes, so that all of them come as far as mimir-rls.
    let edge = Edge::builder().failing_open().forgetting_bodies().max_heap_bytes(4 << 30).start(LIMITS);
    let greedy = overload(&edge, 24);
    mimir_rls_is_within_its_bounds(&edge);
    assert_eq!(edge.envoy.denied_for_overload(), 0.0);
    // Four pushes of 16 MB fill a quarter of 256 MiB.
    assert!(denied_by_mimir_rls(&edge) > 0.0);
    assert_eq!(denied_by_mimir_rls(&edge), greedy.of(503) as f64);
}

/// Begins a push of this size, or a chunked one, and does not finish it.
fn half_a_push(port: u16, bytes: Option<usize>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy accepts");
    let head = "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: greedy";
    let begun = match bytes {
        Some(bytes) => format!("{head}\r\nContent-Length: {bytes}\r\n\r\nbeginning"),
        None => format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n"),
    };
    stream.write_all(begun.as_bytes()).expect("Envoy reads");
    stream
}

#[test]
fn disconnected_clients_free_their_places() {
    let edge = Edge::start(LIMITS);
    let (large, small) = (noisy(2_000_000).bytes, samples(10).bytes);
    let waiting: Vec<TcpStream> = (0..40).map(|_| half_a_push(edge.port(), Some(2_000_000))).collect();
    until("all places for large pushes are taken", || edge.envoy.denied_for_overload() >= 28.0);
    let denied = edge.push("modest", &large);
    assert_eq!((denied.status, denied.reason().as_deref()), (503, Some("envoy_overloaded")));
    assert_eq!(edge.push("modest", &small).status, 200);
    assert_eq!(edge.send(&Request::new("GET", "/healthz")).status, 200);

    drop(waiting);
    until("large pushes get through again", || edge.push("modest", &large).status == 200);
    // All twelve places are free: as many get through at once.
    until("no client holds a place", || {
        Tally::of_pushes_at_once(edge.port(), 12, &push_request("modest", &large)).of(200) == 12
    });
}

#[test]
fn the_largest_pushes_of_one_client_leave_a_mirror_room() {
    let edge = Edge::builder().rls_arguments(&["--max-request-bytes=100MiB"]).start(LIMITS);
    let folder = edge.folder().join("mirror");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let takes_100_mib =
        EnvoySettings { max_request_bytes: 100 << 20, ..EnvoySettings::with_rls(vec![edge.rls.grpc_port()]) };
    let mirror = Envoy::start(&folder, &takes_100_mib);
    mirror.wait_for_healthy_rls(1);
    let status = |push: &Request| {
        Connection::open(mirror.port()).and_then(|mut it| it.send(push)).expect("Envoy answers").status
    };
    let push = |bytes: usize| push_request("modest", &noisy(bytes).bytes);
    let (huge, large) = (push(20_000_000), push(2_000_000));

    // Of 2 GiB, 3/4 are for them: 3 at 4 x 100 MiB.
    let waiting: Vec<TcpStream> = (0..8).map(|_| half_a_push(mirror.port(), Some(100_000_000))).collect();
    until("all places are taken", || mirror.denied_for_overload() >= 5.0);
    assert_eq!((status(&huge), status(&large)), (503, 200));
    assert_eq!(mirror.denied_for_overload(), 6.0);
    drop(waiting);
    until("places are free", || status(&huge) == 200);

    // The size of a push without a Content-Length is known when it is complete.
    let _waiting: Vec<TcpStream> = (0..8).map(|_| half_a_push(mirror.port(), None)).collect();
    assert_eq!((status(&huge), status(&large)), (200, 200));
    assert_eq!(status(&push(20_000_000).chunked(1 << 20)), 200);
}

/// What Envoy takes for the share of its heap that is used.
fn set_pressure(file: &Path, share: &str) {
    let new = file.with_extension("new");
    fs::write(&new, share).expect("a file can be written");
    fs::rename(&new, file).expect("a file can be replaced");
}

#[test]
fn an_envoy_without_memory_answers_probes_scrapes_and_its_hook() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let pressure = folder.path().join("pressure");
    set_pressure(&pressure, "0");
    let monitor = format!(
        r#"  - name: envoy.resource_monitors.injected_resource
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig
      filename: {}
  actions:
  - name: envoy.overload_actions.shrink_heap"#,
        pressure.display()
    );
    let by_heap = "triggers: [{ name: envoy.resource_monitors.fixed_heap, threshold: { value: 0.95 } }]";
    let edge = Edge::builder()
        .envoy_edit("  actions:\n  - name: envoy.overload_actions.shrink_heap", monitor.leak())
        .envoy_edit(by_heap, by_heap.replace("fixed_heap", "injected_resource").leak())
        .start(LIMITS);
    let small = samples(10).bytes;
    assert_eq!(edge.push("modest", &small).status, 200);

    set_pressure(&pressure, "1");
    until("Envoy denies pushes", || edge.push("modest", &small).status == 503);
    let denied = edge.push("modest", &small);
    assert_eq!((denied.status, denied.reason().as_deref()), (503, Some("envoy_overloaded")));
    assert_eq!(edge.envoy.readiness(), Some(200));
    let denied = r#"envoy_http_downstream_rq_overload_close{envoy_http_conn_manager_prefix="push"}"#;
    assert!(edge.envoy.metric(denied) >= Some(2.0));
    edge.envoy.drain();
    assert_eq!(edge.envoy.readiness(), Some(503));
    edge.envoy.serve_again();
    assert_eq!(edge.envoy.readiness(), Some(200));

    set_pressure(&pressure, "0");
    until("Envoy takes pushes again", || edge.push("modest", &small).status == 200);
}
