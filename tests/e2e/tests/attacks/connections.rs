//! Connections that send nothing, or half of a head.

use std::io::Write;

use e2e::{Edge, connect_from};

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
