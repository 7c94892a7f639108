//! No path, method or header of a client bypasses the check.

use std::collections::BTreeSet;

use e2e::{Edge, Request, push_request, samples};

const LIMITS: &str = "
overrides:
  over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
  within: { ingestion_rate: 1000000, ingestion_burst_size: 1000000 }
";

/// Spellings of the push path, and paths of Mimir's that are not to be reached.
const TARGETS: [&str; 30] = [
    "/api/v1/push",
    "/api/v1/push?x=1",
    "//api/v1/push",
    "/api/v1//push",
    "/api//v1/push",
    "/api/./v1/push",
    "/./api/v1/push",
    "/x/../api/v1/push",
    "/api/v1/x/../push",
    "/../api/v1/push",
    "/api%2Fv1/push",
    "/api%2fv1%2fpush",
    "/api%5Cv1/push",
    "/api\\v1\\push",
    "/api/v1/pus%68",
    "/%61pi/v1/push",
    "/api/v1/%2e/push",
    "/x/%2e%2e/api/v1/push",
    "/api/v1/push/",
    "/api/v1/push//",
    "/api/v1/push%00",
    "/api/v1/push;x=1",
    "/API/V1/PUSH",
    "http://edge/api/v1/push",
    "http://edge//api/v1/push",
    "/otlp/v1/metrics",
    "/api/v1/push/influx/write",
    "/ingester/flush",
    "/",
    "*",
];

#[test]
fn no_spelling_of_the_path_bypasses_the_limit() {
    let edge = Edge::start(LIMITS);
    let body = samples(10).bytes;
    for target in TARGETS {
        let request = |tenant: &str| {
            Request::new("POST", target)
                .header("X-Scope-OrgID", tenant)
                .header("Content-Type", "application/x-protobuf")
                .body(&body)
        };
        let denied = edge.send(&request("over")).status;
        assert!(matches!(denied, 400 | 404 | 429), "{target}: {denied}");
        let allowed = edge.send(&request("within")).status;
        // Whether a spelling is the push path does not depend on the tenant.
        assert_eq!(allowed, if denied == 429 { 200 } else { denied }, "{target}");
    }
    assert_eq!(edge.upstream.requests_of("over").len(), 0);
    let paths: BTreeSet<String> = edge
        .upstream
        .requests()
        .iter()
        .map(|arrival| arrival.target.split('?').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(paths, BTreeSet::from(["/api/v1/push".to_owned()]));
}

#[test]
fn the_query_is_kept() {
    let edge = Edge::start(LIMITS);
    let request =
        Request::new("POST", "/api/v1/push?x=1%2F2&y").header("X-Scope-OrgID", "within").body(&samples(1).bytes);
    assert_eq!(edge.send(&request).status, 200);
    assert_eq!(
        edge.upstream.requests().first().map(|arrival| arrival.target.clone()).as_deref(),
        Some("/api/v1/push?x=1%2F2&y")
    );
}

#[test]
fn other_methods_on_the_push_path_get_405() {
    let edge = Edge::start(LIMITS);
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        for target in ["/api/v1/push", "//api/v1/push"] {
            let request = Request::new(method, target).header("X-Scope-OrgID", "within").body(&samples(1).bytes);
            let answer = edge.send(&request);
            assert_eq!((answer.status, answer.text().as_ref()), (405, ""), "{method} {target}");
            assert_eq!(answer.headers.get("allow").as_deref(), Some("POST"), "{method} {target}");
        }
    }
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn healthz_is_answered_without_mimir_rls() {
    let mut edge = Edge::start(LIMITS);
    edge.rls.process.kill();
    let answer = edge.send(&Request::new("GET", "/healthz"));
    assert_eq!((answer.status, answer.text().as_ref()), (200, "ok\n"));
}

const ENVOYS_OWN_HEADERS: [(&str, &str); 14] = [
    ("x-envoy-auth-partial-body", "true"),
    ("X-Envoy-Auth-Failure-Mode-Allowed", "true"),
    ("x-envoy-internal", "true"),
    ("x-envoy-external-address", "10.0.0.1"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
    ("x-envoy-expected-rq-timeout-ms", "1"),
    ("x-envoy-max-retries", "9"),
    ("x-envoy-retry-on", "5xx,retriable-status-codes"),
    ("x-envoy-retriable-status-codes", "200"),
    ("x-envoy-original-path", "/healthz"),
    ("x-envoy-upstream-alt-stat-name", "other"),
    ("x-envoy-force-trace", "true"),
    ("x-envoy-decorator-operation", "other"),
];

#[test]
fn a_client_cannot_set_envoys_headers() {
    let edge = Edge::start(LIMITS);
    let with_all = |tenant: &str, body: &[u8]| {
        ENVOYS_OWN_HEADERS.iter().fold(push_request(tenant, body), |request, (name, value)| request.header(name, value))
    };
    assert_eq!(edge.send(&with_all("over", &samples(10).bytes)).status, 429);
    // A body that Envoy had cut would be let through.
    assert_eq!(edge.send(&with_all("within", b"garbage")).status, 400);
    assert_eq!(edge.upstream.requests().len(), 0);

    assert_eq!(edge.send(&with_all("within", &samples(10).bytes)).status, 200);
    let arrivals = edge.upstream.requests();
    assert_eq!(arrivals.len(), 1);
    let forwarded: Vec<&str> = arrivals
        .iter()
        .flat_map(|arrival| arrival.headers.names())
        .filter(|name| name.starts_with("x-envoy"))
        .collect();
    assert_eq!(forwarded, [""; 0]);
}

#[test]
fn mimir_gets_the_clients_own_headers() {
    let edge = Edge::start(LIMITS);
    let request = push_request("within", &samples(1).bytes)
        .header("Authorization", "Bearer secret")
        .header("Cookie", "a=b")
        .header("X-Under_Score", "1");
    assert_eq!(edge.send(&request).status, 200);
    let arrivals = edge.upstream.requests();
    let arrival = arrivals.first().expect("the push arrived");
    for (name, value) in [
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
        ("x-under_score", "1"),
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", "Prometheus/3.15.0"),
        ("host", "edge"),
    ] {
        assert_eq!(arrival.headers.get(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn the_metrics_port_shows_nothing_but_metrics_and_readiness() {
    let edge = Edge::start(LIMITS);
    let status =
        |method: &str, target: &str| e2e::send(edge.envoy.metrics_port(), &Request::new(method, target)).status;
    assert_eq!(status("GET", "/ready"), 200);
    assert_eq!(status("GET", "/stats/prometheus"), 200);
    for (method, target) in [
        ("POST", "/quitquitquit"),
        ("GET", "/config_dump"),
        ("GET", "/stats"),
        ("GET", "/ready/../config_dump"),
        ("GET", "//config_dump"),
        ("POST", "/stats/prometheus"),
    ] {
        assert_eq!(status(method, target), 404, "{method} {target}");
    }
}
