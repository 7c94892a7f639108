//! What clients see of a replica that dies with their pushes in flight.

use std::ops::Range;

use e2e::{Body, Edge, Load, Request, noisy, push_request, report, samples};

const LIMITS: &str = "limits: { ingestion_rate: 1e300, ingestion_burst_size: 1000000000 }";
/// Envoy ejects a replica after this many failed calls.
const TO_EJECT: usize = 3;

/// One client's for each tenant, which pushes without a pause.
fn pushes(tenants: Range<usize>, bodies: &[Body]) -> Vec<Request> {
    let bodies = bodies.iter().cycle();
    tenants.zip(bodies).map(|(index, body)| push_request(&format!("tenant-{index}"), &body.bytes)).collect()
}

#[test]
fn another_replica_decides_pushes_in_flight_to_a_dead_one() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let defaults = folder.path().join("defaults.yaml");
    std::fs::write(&defaults, LIMITS).expect("a file can be written");
    let flag = format!("--default-limits={}", defaults.display());
    let mut edge = Edge::builder().replicas(3).forgetting_bodies().rls_arguments(&[&flag]).start("overrides: {}");
    edge.envoy.wait_for_healthy_rls(3);
    let small = Load::start(edge.port(), pushes(0..12, &[samples(1), noisy(30_000)]));
    let large = Load::start(edge.port(), pushes(12..24, &[noisy(100_000), noisy(1_000_000)]));
    small.wait_for_more_of(200, 200);
    large.wait_for_more_of(200, 50);
    edge.rls.process.kill();
    small.wait_for_more_of(200, 200);
    large.wait_for_more_of(200, 50);
    edge.envoy.wait_for_healthy_rls(2);
    large.wait_for_more_of(200, 50);
    let (small, large) = (small.stop(), large.stop());

    report(&format!("small pushes: {:?}, large ones: {:?}", small.statuses, large.statuses));
    assert_eq!((small.of(200), small.errors.len()), (small.answers(), 0), "{small:?}");
    // Envoy keeps 64 KiB of a request to send it again. A larger one that was on its way gets 503, as do those by which Envoy notices.
    assert_eq!((large.of(200) + large.of(503), large.errors.len()), (large.answers(), 0), "{large:?}");
    assert!(large.of(503) <= 12 + TO_EJECT, "{large:?}");
    assert_eq!(edge.upstream.requests().len(), small.of(200) + large.of(200));
}
