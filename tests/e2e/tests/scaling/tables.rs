//! Which replica a tenant belongs to: the same one for every Envoy, and the same as before as long as it is there.

use std::collections::BTreeSet;

use e2e::{Edge, Envoy, EnvoySettings, MimirRls, push_request, report, samples, send};

use super::decision_counts::{Deciders, DecisionCounts};

/// Each has a counter of its own at the replica that decides for it.
const TENANTS: usize = 400;

/// Pushes once for every tenant through an Envoy, and gives the replicas that decided.
fn deciders(edge: &Edge, port: u16) -> Deciders {
    let before = DecisionCounts::of(edge);
    let body = samples(1);
    for index in 0..TENANTS {
        assert_eq!(send(port, &push_request(&format!("tenant-{index}"), &body.bytes)).status, 200);
    }
    DecisionCounts::of(edge).deciders_since(&before)
}

#[test]
fn the_order_of_endpoints_does_not_change_a_tenants_replica() {
    let edge = Edge::builder().replicas(3).start("overrides: {}");
    edge.envoy.wait_for_healthy_rls(3);
    let ports: Vec<u16> = edge.all_rls().map(MimirRls::grpc_port).collect();
    let expected = deciders(&edge, edge.port());
    assert_eq!(expected.len(), TENANTS);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let envoy = Envoy::start(folder.path(), &EnvoySettings::with_rls(order.map(|place| ports[place]).to_vec()));
        envoy.wait_for_healthy_rls(3);
        let found = deciders(&edge, envoy.port());
        let elsewhere = expected.iter().filter(|(tenant, replica)| found.get(*tenant) != Some(replica)).count();
        report(&format!("endpoints in the order {order:?}: {elsewhere} of {TENANTS} tenants elsewhere"));
        assert_eq!(elsewhere, 0, "{order:?}");
    }
}

/// Tenants that were decided by others than before, though their replica is there still.
fn moved(before: &Deciders, after: &Deciders, changed: usize) -> usize {
    let moved = |(tenant, at): &(&String, &BTreeSet<usize>)| {
        !at.contains(&changed) && after.get(*tenant).is_none_or(|now| now != *at && !now.contains(&changed))
    };
    before.iter().filter(moved).count()
}

#[test]
fn few_other_tenants_move_when_a_replica_dies() {
    let mut edge = Edge::builder().replicas(4).start("overrides: {}");
    for replicas in [4, 3] {
        edge.envoy.wait_for_healthy_rls(replicas);
        let before = deciders(&edge, edge.port());
        let changed = usize::from(replicas) - 1;
        edge.replicas[changed - 1].process.kill();
        edge.envoy.wait_for_healthy_rls(replicas - 1);
        let after = deciders(&edge, edge.port());
        let (had, moved) =
            (before.values().filter(|at| at.contains(&changed)).count(), moved(&before, &after, changed));
        report(&format!(
            "of {replicas} replicas one went: {had} of {TENANTS} tenants had to move, {moved} others moved"
        ));
        // Each has about its share, and a table that is made anew gives few of the others away.
        let share = TENANTS / usize::from(replicas);
        assert!((share / 2..share * 2).contains(&had), "{had}");
        assert!(moved <= TENANTS / 20, "{moved}");
        assert!(!after.values().any(|at| at.contains(&changed)));
    }
}
