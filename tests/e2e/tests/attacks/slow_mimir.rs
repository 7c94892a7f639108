//! Complete pushes that wait for a slow Mimir hold the places of their own client address, and not those of others.

use std::net::Ipv4Addr;

use e2e::{Behaviour, Connection, Edge, FaultyUpstream, push_request, samples, until};

use super::{ATTACKER, LIMITS};

#[test]
fn pushes_that_wait_for_mimir_leave_places_for_others() {
    let mimir = FaultyUpstream::start(Behaviour::NoAnswer);
    let edge = Edge::builder().upstream(mimir.port()).max_pushes(40).start(LIMITS);
    let push = push_request("modest", &samples(1).bytes);
    let send = || {
        let mut connection = Connection::open_from(ATTACKER, edge.port()).expect("Envoy accepts");
        connection.begin(&push).expect("Envoy reads");
        connection
    };
    let open: Vec<Connection> = (0..60).map(|_| send()).collect();
    until("all but the client's 20 pushes are denied", || edge.envoy.denied_for_overload() >= 40.0);
    let answer = |client: Ipv4Addr| {
        let mut connection = Connection::open_from(client, edge.port()).expect("Envoy accepts");
        // mimir-rls answers it, if Envoy asks.
        connection.send(&push_request("modest", b"unreadable")).expect("a push is answered")
    };
    let denied = answer(ATTACKER);
    assert_eq!((denied.status, denied.reason().as_deref()), (503, Some("envoy_overloaded")), "{}", denied.text());
    assert_eq!(answer(Ipv4Addr::LOCALHOST).status, 400);
    assert_eq!(edge.envoy.denied_for_overload(), 41.0);
    drop(open);
}
