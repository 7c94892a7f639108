//! Connections that send nothing, or half of a head.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use e2e::{Connection, Edge, connect_from, push_request, samples, until};

use super::neighbours::during;
use super::{ATTACKER, LIMITS, MIB, NEIGHBOURS_WAIT};

#[test]
fn idle_and_half_sent_connections_leave_room_for_neighbours() {
    let edge = Edge::start(LIMITS);
    // A head of 32 KB but for its end.
    let half = format!("POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Half: {}", "v".repeat(31_000));
    let (open, seen) = during(edge.port(), || {
        let open = |sent: &str| {
            let mut stream = connect_from(ATTACKER, edge.port()).expect("Envoy accepts");
            stream.write_all(sent.as_bytes()).expect("Envoy reads");
            stream
        };
        let idle: Vec<_> = (0..1000).map(|_| open("")).collect();
        let half: Vec<_> = (0..1000).map(|_| open(&half)).collect();
        (idle, half)
    });
    let peak = edge.envoy.process.peak_rss();
    seen.is_within_the_band(
        &format!("1,000 idle and 1,000 half-sent connections, Envoy's peak {} MiB", peak / MIB),
        NEIGHBOURS_WAIT,
    );
    assert!(peak < 300 * MIB, "Envoy had {} MiB", peak / MIB);
    drop(open);
}

#[test]
fn neighbours_connect_again_after_silent_connections_end() {
    let edge = Edge::builder()
        .envoy_value("limits.maxConnections", "200")
        .envoy_edit("listener_filters_timeout: 10s", "listener_filters_timeout: 5s")
        .start(LIMITS);
    let push = push_request("modest", &samples(1).bytes);
    let mut open = Connection::open(edge.port()).expect("Envoy accepts");
    assert_eq!(open.send(&push).expect("Envoy answers").status, 200);
    let as_a_new_client = || Connection::open(edge.port()).and_then(|mut new| new.send(&push));

    let silent: Vec<_> = (0..300).map(|_| connect_from(ATTACKER, edge.port()).expect("the kernel accepts")).collect();
    let closed = format!(
        r#"envoy_listener_downstream_global_cx_overflow{{envoy_listener_address="127.0.0.1_{}"}}"#,
        edge.port()
    );
    // About a hundred: a connection that has just been closed may count for a moment more.
    until("Envoy closes what is beyond 200", || edge.envoy.metric(&closed).is_some_and(|closed| closed >= 90.0));
    assert_eq!(open.send(&push).expect("an open connection stays in use").status, 200);
    // The attacker keeps its side of the connections.
    for mut stream in &silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a read can time out");
        match stream.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => unreachable!("a silent connection goes on: {other:?}"),
        }
    }
    until("a neighbour connects", || as_a_new_client().is_ok_and(|answer| answer.status == 200));
}
