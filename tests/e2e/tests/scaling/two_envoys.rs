//! Which replica a tenant belongs to does not depend on the Envoy that is asked.

use e2e::{Edge, Envoy, EnvoySettings, MimirRls, push_request, samples, send};

use crate::census::{Census, Deciders, all};
use crate::report;

/// Each has a counter of its own at the replica that decides for it.
const TENANTS: usize = 400;

/// Pushes once for every tenant through an Envoy, and says who was asked.
fn deciders(edge: &Edge, port: u16) -> Deciders {
    let before = Census::of(edge);
    let body = samples(1);
    for index in 0..TENANTS {
        assert_eq!(send(port, &push_request(&format!("tenant-{index}"), &body.bytes)).status, 200);
    }
    Census::of(edge).deciders_since(&before)
}

#[test]
fn envoys_agree_on_the_replica_of_a_tenant_whatever_the_order_of_their_endpoints() {
    let edge = Edge::builder().replicas(3).start("overrides: {}");
    edge.envoy.wait_for_healthy_rls(3);
    let ports: Vec<u16> = all(&edge).map(MimirRls::grpc_port).collect();
    let expected = deciders(&edge, edge.port());
    assert_eq!(expected.len(), TENANTS);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let envoy = Envoy::start(folder.path(), &EnvoySettings::asking(order.map(|place| ports[place]).to_vec()));
        envoy.wait_for_healthy_rls(3);
        let found = deciders(&edge, envoy.port());
        let elsewhere = expected.iter().filter(|(tenant, replica)| found.get(*tenant) != Some(replica)).count();
        report(&format!("endpoints in the order {order:?}: {elsewhere} of {TENANTS} tenants elsewhere"));
        assert_eq!(elsewhere, 0, "{order:?}");
    }
}
