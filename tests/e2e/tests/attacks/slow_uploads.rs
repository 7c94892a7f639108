//! Pushes that begin and do not end hold the places of their own client address, and not those of others.

use std::net::{Ipv4Addr, TcpStream};

use e2e::{Edge, noisy, push_request, samples, until};

use super::neighbours::during;
use super::{ATTACKER, LIMITS, NEIGHBOURS_WAIT, begin};

/// What a push says about its length.
#[derive(Clone, Copy)]
enum Length {
    Bytes(usize),
    Chunked,
}

/// Begins a push and does not finish it.
fn half_a_push(client: Ipv4Addr, port: u16, length: Length) -> TcpStream {
    let head = "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: greedy";
    let begun = match length {
        Length::Bytes(bytes) => format!("{head}\r\nContent-Length: {bytes}\r\n\r\nbeginning"),
        Length::Chunked => format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n"),
    };
    begin(client, port, &begun)
}

#[test]
fn half_pushes_of_one_client_leave_places_for_others() {
    // 12 places for large pushes; 24 while they are received, 12 of one client.
    let edge = Edge::start(LIMITS);
    let (large, small) = (noisy(2_000_000).bytes, samples(10).bytes);
    let (open, seen) = during(edge.port(), || {
        let claimed: Vec<_> = (0..40).map(|_| half_a_push(ATTACKER, edge.port(), Length::Bytes(2_000_000))).collect();
        until("the client's places are taken", || edge.envoy.denied_for_overload() >= 28.0);
        let chunked: Vec<_> = (0..40).map(|_| half_a_push(ATTACKER, edge.port(), Length::Chunked)).collect();
        for _ in 0..12 {
            assert_eq!(edge.push("modest", &large).status, 200);
            assert_eq!(edge.send(&push_request("modest", &large).chunked(100_000)).status, 200);
            assert_eq!(edge.send(&push_request("modest", &small).chunked(10)).status, 200);
        }
        (claimed, chunked)
    });
    assert_eq!(edge.envoy.denied_for_overload(), 28.0);
    seen.is_within_the_band("40 large and 40 chunked pushes of 9 bytes that do not end", NEIGHBOURS_WAIT);
    drop(open);
}

#[test]
fn uploads_of_one_client_leave_places_for_others() {
    let edge = Edge::builder().envoy_value("limits.maxUploads", "20").start(LIMITS);
    let (open, seen) = during(edge.port(), || {
        let open: Vec<_> = (0..100).map(|_| half_a_push(ATTACKER, edge.port(), Length::Bytes(100))).collect();
        until("the client's places are taken", || edge.envoy.denied_for_overload() >= 80.0);
        open
    });
    assert_eq!(edge.envoy.denied_for_overload(), 80.0);
    seen.is_within_the_band("100 small pushes that do not end, where a client has 20 places", NEIGHBOURS_WAIT);
    drop(open);
}

/// An edge behind one proxy, where a client has 20 places.
fn edge_behind_a_proxy() -> Edge {
    Edge::builder().envoy_value("limits.maxUploads", "20").envoy_value("listeners.trustedProxies", "1").start(LIMITS)
}

/// Begins a push of a client behind the proxy and does not finish it.
fn half_a_push_of(client: &str, port: u16) -> TcpStream {
    // A client also tries to name another one to Envoy.
    let head = format!(
        "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Forwarded-For: {client}\r\nX-Mimir-Edge-Client: {client}0\r\nContent-Length: 9\r\n\r\n"
    );
    begin(Ipv4Addr::LOCALHOST, port, &head)
}

fn status_of(client: &str, edge: &Edge) -> u16 {
    edge.send(&push_request("modest", &samples(1).bytes).header("X-Forwarded-For", client)).status
}

#[test]
fn a_proxy_in_front_names_the_clients_that_share_it() {
    let edge = edge_behind_a_proxy();
    let open: Vec<_> = (0..100).map(|_| half_a_push_of("198.51.100.7", edge.port())).collect();
    until("the client's places are taken", || edge.envoy.denied_for_overload() >= 80.0);
    assert_eq!((status_of("198.51.100.7", &edge), status_of("198.51.100.8", &edge)), (503, 200));
    drop(open);
}

#[test]
fn addresses_of_one_ipv6_network_have_one_clients_places() {
    let edge = edge_behind_a_proxy();
    let open: Vec<_> =
        (0..100).map(|number| half_a_push_of(&format!("2001:db8:0:1:{number}::9"), edge.port())).collect();
    until("the client's places are taken", || edge.envoy.denied_for_overload() >= 80.0);
    assert_eq!((status_of("2001:db8:0:1::7", &edge), status_of("2001:db8:0:3::7", &edge)), (503, 200));
    assert_eq!(edge.upstream.requests_of("modest").len(), 1);
    assert!(edge.upstream.requests().iter().all(|arrival| arrival.headers.get("x-mimir-edge-client").is_none()));
    drop(open);
}
