//! Envoy's own answers: each says what happened and what to do, with a reason and a metric. And what Envoy logs of a client.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Behaviour, Connection, Edge, FaultyUpstream, Load, Request, Response, push_request, samples, until};

const LIMITS: &str = "overrides: { team: {} }";

#[track_caller]
fn check(answer: &Response, status: u16, reason: &str, retry_after: Option<&str>, text: &str) {
    let code = match reason {
        // The text of mimir-rls for the same.
        "body_too_large" => "(err-edge-max-request-bytes)\n".to_owned(),
        _ => format!("(err-edge-{})\n", reason.replace('_', "-")),
    };
    assert_eq!((answer.status, answer.reason().as_deref()), (status, Some(reason)), "{}", answer.text());
    assert_eq!(answer.headers.get("retry-after").as_deref(), retry_after, "{reason}");
    assert!(answer.text().contains(text) && answer.text().ends_with(&code), "{}", answer.text());
}

#[test]
fn a_push_over_envoys_size_learns_the_limit() {
    let edge = Edge::builder().max_request_bytes(1000).start(LIMITS);
    let large = vec![0; 2000];
    for request in [push_request("team", &large), push_request("team", &large).chunked(100)] {
        check(&edge.send(&request), 413, "body_too_large", None, "max_samples_per_send");
    }
    let metric = r#"envoy_http_downstream_rq_too_large{envoy_http_conn_manager_prefix="push"}"#;
    assert_eq!(edge.envoy.metric(metric), Some(2.0));
}

#[test]
fn a_push_that_mimir_rls_does_not_decide_learns_that() {
    let mut edge = Edge::start(LIMITS);
    edge.rls.process.kill();
    edge.envoy.wait_for_healthy_rls(0);
    let answer = edge.push("team", &samples(1).bytes);
    check(&answer, 503, "not_checked", Some("1"), "mimir-rls did not decide");
    let metric =
        r#"envoy_http_ext_authz_error{envoy_ext_authz_prefix="mimir_rls",envoy_http_conn_manager_prefix="push"}"#;
    assert!(edge.envoy.metric(metric) > Some(0.0));
}

#[test]
fn a_push_without_a_mimir_learns_that() {
    let edge = Edge::builder().upstream(e2e::free_port()).start(LIMITS);
    check(&edge.push("team", &samples(1).bytes), 503, "mimir_unreachable", Some("1"), "distributors do not answer");
}

#[test]
fn a_push_that_mimir_does_not_answer_learns_that() {
    let mimir = FaultyUpstream::start(Behaviour::NoAnswer);
    let edge = Edge::builder().upstream(mimir.port()).envoy_value("mimir.timeoutSeconds", "1").start(LIMITS);
    check(&edge.push("team", &samples(1).bytes), 504, "mimir_timeout", None, "within 1 s");
}

#[test]
fn a_slow_upload_gets_a_status_that_clients_repeat() {
    let edge = Edge::builder().envoy_edit("request_timeout: 30s", "request_timeout: 1s").start(LIMITS);
    let mut connection = Connection::open(edge.port()).expect("Envoy accepts");
    let half = b"POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: team\r\nContent-Length: 9\r\n\r\n";
    let answer = connection.send_raw(half).expect("Envoy answers");
    check(&answer, 503, "upload_too_slow", Some("5"), "did not arrive within 30 s");
    let metric = r#"envoy_http_downstream_rq_timeout{envoy_http_conn_manager_prefix="push"}"#;
    assert_eq!(edge.envoy.metric(metric), Some(1.0));
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_push_beyond_envoys_places_learns_when_to_retry() {
    let edge = Edge::builder().envoy_value("limits.maxUploads", "1").start(LIMITS);
    let mut waiting = Vec::new();
    // An upload that comes while a push of this loop has the one place is answered at once, and another takes its turn.
    until("an upload has the place", || {
        let mut upload = TcpStream::connect(("127.0.0.1", edge.port())).expect("Envoy accepts");
        upload
            .write_all(b"POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nContent-Length: 9\r\n\r\n")
            .expect("Envoy reads");
        waiting.push(upload);
        edge.push("team", &samples(1).bytes).status == 503
    });
    check(&edge.push("team", &samples(1).bytes), 503, "envoy_overloaded", Some("5"), "too many pushes");
    assert!(edge.envoy.denied_for_overload() >= 2.0);
}

#[test]
fn mimirs_and_mimir_rls_answers_stay_as_they_are() {
    let edge = Edge::start("overrides: { team: { ingestion_rate: 0.001, ingestion_burst_size: 1 } }");
    let denied = edge.push("team", &samples(10).bytes);
    assert_eq!((denied.status, denied.reason().as_deref()), (429, Some("ingestion_burst")), "{}", denied.text());
    assert!(denied.text().contains("err-mimir-"), "{}", denied.text());
}

#[test]
fn a_path_without_a_route_learns_which_path_takes_pushes() {
    let edge = Edge::start(LIMITS);
    for (method, target) in [("GET", "/"), ("POST", "/otlp/v1/metrics"), ("POST", "/api/v1/push/")] {
        let answer = edge.send(&Request::new(method, target));
        check(&answer, 404, "path_not_served", None, "(remote write) at /api/v1/push, and no requests at this path");
    }
    assert_eq!(edge.envoy.metric(r#"envoy_http_no_route{envoy_http_conn_manager_prefix="push"}"#), Some(3.0));

    let edge = Edge::builder()
        .envoy_value("paths[0].path", "/mimir/api/v1/push")
        .envoy_value("paths[0].action", "decide")
        .start(LIMITS);
    let answer = edge.send(&Request::new("GET", "/"));
    check(&answer, 404, "path_not_served", None, "at /api/v1/push, /mimir/api/v1/push, and");
}

#[test]
fn slow_headers_get_a_status_that_clients_repeat() {
    let edge = Edge::builder().envoy_edit("request_headers_timeout: 10s", "request_headers_timeout: 1s").start(LIMITS);
    let mut connection = Connection::open(edge.port()).expect("Envoy accepts");
    let answer = connection.send_raw(b"POST /api/v1/push HTTP/1.1\r\nX-Half: v").expect("Envoy answers");
    check(&answer, 503, "upload_too_slow", Some("5"), "headers of the push did not arrive within 10 s");
    let metric = r#"envoy_http_downstream_rq_header_timeout{envoy_http_conn_manager_prefix="push"}"#;
    assert_eq!(edge.envoy.metric(metric), Some(1.0));
}

#[test]
fn a_client_cannot_forge_fields_of_the_log() {
    let mut edge = Edge::start(LIMITS);
    edge.rls.process.kill();
    edge.envoy.wait_for_healthy_rls(0);
    let tenant = b"x status=200 \", \"status\": 200, \"tenant\":\"other\xff\t";
    let request = Request::new("POST", "/api/v1/push?\",\"status\":200").header("X-Scope-OrgID", tenant).body(b"x");
    assert_eq!(edge.send(&request).status, 503);
    let line = e2e::until_some("Envoy logs the push", || {
        edge.envoy.process.log().lines().find(|line| line.starts_with('{')).map(str::to_owned)
    });
    let logged: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| unreachable!("{error}: {line}"));
    assert_eq!(logged["status"], 503, "{line}");
    assert_eq!(logged["details"], "ext_authz_error", "{line}");
    assert!(
        logged["tenant"].as_str().is_some_and(|tenant| tenant.starts_with("x status=200 \", \"status\": 200")),
        "{line}"
    );
    assert_eq!(logged["path"], "/api/v1/push?\",\"status\":200", "{line}");
}

/// Runs clients that never close a connection until Envoy has ended so many of theirs; no push fails.
#[track_caller]
fn clients_move(edge: &Edge, ended: f64) {
    let load = Load::start(edge.port(), vec![push_request("team", &samples(10).bytes); 4]);
    let connections = || {
        edge.envoy
            .metric(r#"envoy_http_downstream_cx_total{envoy_http_conn_manager_prefix="push"}"#)
            .unwrap_or_default()
    };
    let before = connections();
    until("clients moved", || connections() >= before + ended);
    let tally = load.stop();
    assert_eq!((tally.of(200), tally.errors.len()), (tally.answers(), 0), "{tally:?}");
    assert_eq!(edge.upstream.requests().len(), tally.answers());
}

#[test]
fn clients_move_after_a_time_without_an_error() {
    clients_move(&Edge::builder().envoy_value("drain.maxConnectionSeconds", "1").start(LIMITS), 12.0);
}

#[test]
fn clients_move_after_requests_without_an_error() {
    clients_move(&Edge::builder().envoy_value("drain.maxConnectionRequests", "10").start(LIMITS), 40.0);
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    let edge = Edge::builder().envoy_value("drain.maxConnectionSeconds", "1").start(LIMITS);
    let mut connection = Connection::open(edge.port()).expect("Envoy accepts");
    let push = push_request("team", &samples(1).bytes);
    assert_eq!(connection.send(&push).expect("Envoy answers").status, 200);
    e2e::let_time_pass(Duration::from_millis(1500));
    let last = connection.send(&push).expect("a connection past its time takes one more push");
    assert_eq!((last.status, last.headers.get("connection").as_deref()), (200, Some("close")));
}

#[test]
fn an_http_1_0_push_is_decided_as_any_other() {
    let edge = Edge::start("overrides: { over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }, team: {} }");
    let body = samples(10).bytes;
    for (tenant, host, status) in [("team", "Host: edge\r\n", 200), ("team", "", 200), ("over", "", 429)] {
        let head = format!(
            "POST /api/v1/push HTTP/1.0\r\n{host}X-Scope-OrgID: {tenant}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer =
            Connection::open(edge.port()).and_then(|mut open| open.send_raw(&[head.as_bytes(), &body].concat()));
        assert_eq!(answer.expect("Envoy answers").status, status, "{tenant} {host}");
    }
    assert_eq!(edge.upstream.requests_of("team").len(), 2);
    assert_eq!(edge.upstream.requests_of("over").len(), 0);
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(20.0));
}
