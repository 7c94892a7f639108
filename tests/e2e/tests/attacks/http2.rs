//! HTTP/2: many streams, large headers for few bytes, responses that are not read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Edge, Http2Bytes, connect_from, let_time_pass, samples, until};

use super::neighbours::{during, new_clients_get_through};
use super::{ATTACKER, LIMITS, MIB, NEIGHBOURS_WAIT_IN_A_FLOOD};

/// SETTINGS_INITIAL_WINDOW_SIZE 0: no body of a response may be sent.
pub(super) const WINDOW_0: [u8; 6] = [0, 4, 0, 0, 0, 0];

fn head<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a [u8]); 5] {
    [
        (":method", method.as_bytes()),
        (":scheme", b"http"),
        (":path", path.as_bytes()),
        (":authority", b"edge"),
        ("x-scope-orgid", b"greedy"),
    ]
}

/// A connection's bytes: 100 requests that never end. Each has one header of 4,000 bytes so often, for one byte each.
pub(super) fn endless(method: &str, path: &str, repeated: usize, settings: &[u8]) -> Vec<u8> {
    let value = "v".repeat(4000);
    let request = |bytes: Http2Bytes, number: u32| {
        let first = (number == 0 && repeated > 0).then_some(value.as_str());
        bytes.repeating(2 * number + 1, &head(method, path), first, repeated)
    };
    (0..100).fold(Http2Bytes::new(settings), request).bytes()
}

fn endless_pushes(repeated: usize, settings: &[u8]) -> Vec<u8> {
    endless("POST", "/api/v1/push", repeated, settings)
}

/// Requests that Envoy has not answered; `None` while it is too busy to say.
pub(super) fn active(edge: &Edge) -> Option<f64> {
    edge.envoy.metric(r#"envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="push"}"#)
}

/// Opens so many connections that each send these bytes, and keeps them.
pub(super) fn flood(port: u16, connections: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut stream = connect_from(ATTACKER, port).expect("Envoy accepts");
        stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        // Envoy may close the connection: that is one of its defences.
        drop(stream.write_all(bytes));
        open.push(stream);
    }
    open
}

#[track_caller]
fn a_flood_of_streams(attack: &str, bytes: &[u8], most_memory: u64) {
    let edge = Edge::start(LIMITS);
    let (open, seen) = during(edge.port(), || {
        let open = flood(edge.port(), 700, bytes);
        let_time_pass(Duration::from_secs(3));
        open
    });
    assert_eq!(open.len(), 700);
    let peak = edge.envoy.process.peak_rss();
    let what = format!("{attack}, {} bytes a connection, Envoy's peak {} MiB", bytes.len(), peak / MIB);
    seen.is_answered(&what, NEIGHBOURS_WAIT_IN_A_FLOOD);
    assert!(peak < most_memory, "Envoy had {} MiB", peak / MIB);
    // The attacker's pushes are still open.
    new_clients_get_through(edge.port());
    drop(open);
    until("Envoy is free of the attacker's pushes", || active(&edge) == Some(0.0));
    assert_eq!(edge.push("modest", &samples(1).bytes).status, 200);
}

#[test]
fn indexed_headers_on_endless_streams_leave_room_for_neighbours() {
    // 31 KB of headers in each stream for 65 bytes.
    a_flood_of_streams("indexed headers", &endless_pushes(7, &[]), 900 * MIB);
}

#[test]
fn small_headers_on_endless_streams_leave_room_for_neighbours() {
    a_flood_of_streams("small headers", &endless_pushes(0, &[]), 700 * MIB);
}

#[test]
fn unread_responses_leave_room_for_neighbours() {
    a_flood_of_streams("window 0", &endless_pushes(7, &WINDOW_0), 900 * MIB);
}

#[test]
fn streams_reset_at_once_end_the_connection() {
    let edge = Edge::start(LIMITS);
    let push_and_reset = |bytes: Http2Bytes, number: u32| {
        let stream = 2 * number + 1;
        bytes.headers(stream, &head("POST", "/api/v1/push"), false).reset(stream)
    };
    let bytes = (0..20_000).fold(Http2Bytes::new(&[]), push_and_reset).bytes();
    let (_, seen) = during(edge.port(), || {
        for mut stream in flood(edge.port(), 10, &bytes) {
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
            // It ends, with an error or without.
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
    seen.is_within_the_band("streams reset at once", NEIGHBOURS_WAIT_IN_A_FLOOD);
    let closed = r#"envoy_http_downstream_rq_too_many_premature_resets{envoy_http_conn_manager_prefix="push"}"#;
    assert_eq!(edge.envoy.metric(closed), Some(10.0));
}
