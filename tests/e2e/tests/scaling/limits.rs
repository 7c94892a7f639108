//! A tenant's limits over three replicas that neither join nor leave.

use std::time::Duration;

use e2e::Edge;

use super::decision_counts::DecisionCounts;
use super::load::{Push, Stream, push_during};
use super::tenants::{overrides, streams};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn a_limit_is_exact_over_three_replicas(distributors: u32) {
    let flag = format!("--distributors={distributors}");
    let edge = Edge::builder().replicas(3).forgetting_bodies().rls_arguments(&[&flag]).start(&overrides());
    edge.envoy.wait_for_healthy_rls(3);
    let limited = streams(distributors);
    let load: Vec<Stream> = limited.iter().map(|limited| limited.stream.clone()).collect();
    let (answers, ()) = push_during(edge.port(), &load, HALF_A_MINUTE, || ());

    for (limited, pushes) in limited.iter().zip(&answers) {
        assert!(!pushes.iter().any(Push::failed), "{limited:?}");
        limited.check(pushes, 0);
    }
    let deciders = DecisionCounts::of(&edge).deciders_since(&DecisionCounts::default());
    for (tenant, deciders) in &deciders {
        assert_eq!(deciders.len(), 1, "{tenant} was decided by several");
    }
    for replica in 0..edge.all_rls().count() {
        assert!(deciders.values().any(|deciders| deciders.contains(&replica)), "replica {replica} was never asked");
    }
    let passed = answers.iter().flatten().filter(|push| push.passed()).count();
    assert_eq!(edge.upstream.requests().len(), passed);
}

#[test]
fn a_tenants_limit_is_exact_over_all_replicas() {
    a_limit_is_exact_over_three_replicas(1);
}

#[test]
fn a_limit_of_several_distributors_is_exact_over_all_replicas() {
    a_limit_is_exact_over_three_replicas(2);
}
