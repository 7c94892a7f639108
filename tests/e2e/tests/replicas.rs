//! Two mimir-rls behind one Envoy.

use std::thread;

use e2e::{Edge, Load, MimirRls, Signal, push_request, samples, until};

const TENANTS: usize = 40;

fn tenant(index: usize) -> String {
    format!("tenant-{index}")
}

/// Pushes that a mimir-rls let through.
fn allowed(rls: &MimirRls) -> f64 {
    rls.metric(r#"rls_decisions_total{decision="allow",mode="enforce",reason="within_limits"}"#).unwrap_or_default()
}

#[test]
fn a_tenant_has_one_bucket_across_replicas() {
    let overrides: String = (0..TENANTS)
        .map(|index| format!("  {}: {{ request_rate: 0.001, request_burst_size: 5 }}\n", tenant(index)))
        .collect();
    let edge = Edge::builder().replicas(2).start(&format!("overrides:\n{overrides}"));
    edge.envoy.wait_for_healthy_rls(2);
    let body = samples(1);
    thread::scope(|scope| {
        for index in 0..TENANTS {
            let (edge, body) = (&edge, &body);
            scope.spawn(move || {
                let name = tenant(index);
                let spellings = [name.clone(), format!("{name}|{name}"), format!("{name}:k=v")];
                let statuses: Vec<u16> =
                    (0..8).zip(spellings.iter().cycle()).map(|(_, name)| edge.push(name, &body.bytes).status).collect();
                assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429], "{name}");
            });
        }
    });
    for rls in edge.all_rls() {
        assert!(allowed(rls) > 0.0, "a replica was never asked");
    }
    assert_eq!(edge.all_rls().map(allowed).sum::<f64>(), 5.0 * TENANTS as f64);
}

#[test]
fn another_replica_takes_over_a_drain_under_load() {
    let mut edge = Edge::builder().replicas(2).rls_arguments(&["--drain-delay=4s"]).start("overrides: { team: {} }");
    edge.envoy.wait_for_healthy_rls(2);
    let body = samples(1);
    // So many that not all of them are one replica's: that happens once in 32,768 runs.
    let load = Load::start(edge.port(), (0..16).map(|index| push_request(&tenant(index), &body.bytes)).collect());
    load.wait_for_more_of(200, 200);
    let [other] = edge.replicas.as_slice() else { unreachable!("two replicas were asked for") };
    until("both replicas are asked", || allowed(&edge.rls) > 0.0 && allowed(other) > 0.0);

    edge.rls.process.signal(Signal::TERM);
    until("the replica is not ready", || edge.rls.readiness() == Some(503));
    edge.envoy.wait_for_healthy_rls(1);
    assert!(edge.rls.process.ended().is_none(), "the replica went before Envoy turned away from it");
    assert!(edge.rls.process.wait().success());
    load.wait_for_more_of(200, 200);
    let taken_over = edge.replicas.iter().map(allowed).sum::<f64>();
    load.wait_for_more_of(200, 200);
    let tally = load.stop();

    assert_eq!(
        (tally.of(200), tally.errors.as_slice()),
        (tally.answers(), [""; 0].map(str::to_owned).as_slice()),
        "{tally:?}"
    );
    assert_eq!(edge.upstream.requests().len(), tally.of(200));
    assert!(edge.replicas.iter().map(allowed).sum::<f64>() >= taken_over + 200.0);
}
