//! A rolling restart with drain, under load.

use std::time::Duration;

use e2e::{Edge, MimirRls, Signal, report, until};

use super::decision_counts::DecisionCounts;
use super::load::{Push, Stream, push_during};
use super::moves::moves;
use super::tenants::{overrides, streams};

const LEAST: Duration = Duration::from_secs(30);

/// One after the other, as a Deployment with `maxUnavailable` does.
fn replicas(edge: &mut Edge) -> impl Iterator<Item = &mut MimirRls> {
    std::iter::once(&mut edge.rls).chain(&mut edge.replicas)
}

#[test]
fn a_rolling_restart_causes_no_error_and_no_wrong_denial() {
    let arguments = ["--drain-delay=4s"];
    let mut edge = Edge::builder().replicas(3).forgetting_bodies().rls_arguments(&arguments).start(&overrides());
    edge.envoy.wait_for_healthy_rls(3);
    let limited = streams(1);
    let load: Vec<Stream> = limited.iter().map(|limited| limited.stream.clone()).collect();
    let (answers, parts) = push_during(edge.port(), &load, LEAST, || {
        let mut parts = Vec::new();
        let mut before = DecisionCounts::default();
        for replica in 0..3 {
            let rls = replicas(&mut edge).nth(replica).expect("there are three");
            rls.process.signal(Signal::TERM);
            until("the replica is not ready", || rls.readiness() == Some(503));
            edge.envoy.wait_for_healthy_rls(2);
            let drained = DecisionCounts::of(&edge);
            parts.push(drained.deciders_since(&before));
            let rls = replicas(&mut edge).nth(replica).expect("there are three");
            assert!(rls.process.wait().success());
            rls.restart();
            let until_back =
                DecisionCounts::of_replicas(edge.all_rls().enumerate().filter(|(place, _)| *place != replica));
            edge.envoy.wait_for_healthy_rls(3);
            parts.push(until_back.deciders_since(&drained));
            before = until_back;
        }
        until("the last replica decides again", || {
            DecisionCounts::of(&edge).deciders_since(&before).values().any(|deciders| deciders.contains(&2))
        });
        (parts, before)
    });
    let (mut parts, before) = parts;
    parts.push(DecisionCounts::of(&edge).deciders_since(&before));

    let failed: Vec<&Push> = answers.iter().flatten().filter(|push| push.failed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let parts: Vec<_> = parts.iter().collect();
    for (limited, pushes) in limited.iter().zip(&answers) {
        limited.check(pushes, moves(&limited.tenant, &parts));
    }
    let passed = answers.iter().flatten().filter(|push| push.passed()).count();
    report(&format!("{} pushes, none failed", answers.iter().map(Vec::len).sum::<usize>()));
    assert_eq!(edge.upstream.requests().len(), passed);
}
