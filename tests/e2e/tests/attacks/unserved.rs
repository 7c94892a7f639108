//! Requests that are no pushes: Envoy answers them by their heads, so that bodies that never end hold nothing. Those that pass to Mimir have places.

use std::net::TcpStream;

use e2e::{Connection, Edge, samples, until};

use super::http2::{WINDOW_0, active, endless, flood};
use super::neighbours::{during, new_clients_get_through};
use super::{ATTACKER, LIMITS, MIB, NEIGHBOURS_WAIT_IN_A_FLOOD, begin};

/// A method, a path, and Envoy's answer.
const UNSERVED: [(&str, &str, u16); 4] =
    [("PUT", "/api/v1/push", 405), ("GET", "/healthz", 200), ("GET", "/nowhere", 404), ("POST", "/nowhere", 404)];

#[test]
fn requests_that_are_no_pushes_are_answered_before_their_bodies() {
    let edge = Edge::start(LIMITS);
    for (method, path, status) in UNSERVED {
        for length in ["Content-Length: 2000000", "Transfer-Encoding: chunked"] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: edge\r\n{length}\r\n\r\n");
            let answer =
                Connection::open_from(ATTACKER, edge.port()).and_then(|mut open| open.send_raw(head.as_bytes()));
            assert_eq!(answer.expect("Envoy answers").status, status, "{method} {path} {length}");
        }
    }
    let late = r#"envoy_http_downstream_rq_timeout{envoy_http_conn_manager_prefix="push"}"#;
    assert_eq!(edge.envoy.metric(late), Some(0.0));
}

#[track_caller]
fn a_flood_leaves_nothing(attack: &str, bytes: &[u8], most_memory: u64) {
    let edge = Edge::start(LIMITS);
    let (open, seen) = during(edge.port(), || {
        let open = flood(edge.port(), 700, bytes);
        until("Envoy has answered the attacker, whose connections are open", || {
            active(&edge).is_some_and(|active| active < 100.0)
        });
        open
    });
    let peak = edge.envoy.process.peak_rss();
    let what = format!("{attack}, {} bytes a connection, Envoy's peak {} MiB", bytes.len(), peak / MIB);
    seen.is_answered(&what, NEIGHBOURS_WAIT_IN_A_FLOOD);
    assert!(peak < most_memory, "Envoy had {} MiB", peak / MIB);
    new_clients_get_through(edge.port());
    drop(open);
}

#[test]
fn endless_bodies_of_other_methods_hold_nothing() {
    a_flood_leaves_nothing("PUT", &endless("PUT", "/api/v1/push", 7, &[]), 700 * MIB);
}

#[test]
fn endless_bodies_of_health_checks_hold_nothing() {
    a_flood_leaves_nothing("GET /healthz", &endless("GET", "/healthz", 7, &[]), 700 * MIB);
}

#[test]
fn endless_bodies_at_unknown_paths_hold_nothing() {
    a_flood_leaves_nothing("an unknown path", &endless("POST", "/nowhere", 7, &[]), 700 * MIB);
}

#[test]
fn unread_refusals_leave_room_for_neighbours() {
    a_flood_leaves_nothing("an unknown path, window 0", &endless("POST", "/nowhere", 7, &WINDOW_0), 700 * MIB);
}

#[test]
fn requests_that_pass_have_places_whatever_their_method() {
    let edge = Edge::builder()
        .envoy_value("limits.maxUploads", "20")
        .envoy_value("paths[0].path", "/prometheus")
        .envoy_value("paths[0].match", "prefix")
        .envoy_value("paths[0].action", "pass")
        .start(LIMITS);
    let head = |method: &str| format!("{method} /prometheus/api HTTP/1.1\r\nHost: edge\r\nContent-Length: 9\r\n\r\n");
    let methods = ["PUT", "GET", "DELETE"].iter().cycle().take(60);
    let open: Vec<TcpStream> = methods.map(|method| begin(ATTACKER, edge.port(), &head(method))).collect();
    until("the client's places are taken", || edge.envoy.denied_for_overload() >= 40.0);
    assert_eq!(edge.envoy.denied_for_overload(), 40.0);
    assert_eq!(edge.push("modest", &samples(1).bytes).status, 200);
    drop(open);
}
