//! A replica that joins and one that dies, under load.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::{Edge, let_time_pass, report};

use super::decision_counts::{Deciders, DecisionCounts};
use super::load::{Push, Stream, push_during};
use super::tenants::{Limited, overrides, streams};

/// Long enough for a bucket of five seconds to be empty before something happens, and for a full one to empty again afterwards.
const WHILE: Duration = Duration::from_secs(11);
const LEAST: Duration = Duration::from_secs(28);
/// The replica that comes or goes.
const MOVING: usize = 2;

fn edge(distributors: u32) -> Edge {
    let flag = format!("--distributors={distributors}");
    let edge = Edge::builder().replicas(3).forgetting_bodies().rls_arguments(&[&flag]).start(&overrides());
    edge.envoy.wait_for_healthy_rls(3);
    edge
}

fn load(limited: &[Limited]) -> Vec<Stream> {
    limited.iter().map(|limited| limited.stream.clone()).collect()
}

/// Lets the load go on. What a bucket gives in a time is what is tested, so the time has to pass.
fn go_on() {
    let_time_pass(WHILE);
}

/// How often a tenant changed its replica over the parts of a test.
pub(crate) fn moves(tenant: &str, parts: &[&Deciders]) -> usize {
    let mut moves = 0;
    let mut at: BTreeSet<usize> = BTreeSet::new();
    for deciders in parts.iter().filter_map(|deciders| deciders.get(tenant)) {
        let new: BTreeSet<usize> = deciders.difference(&at).copied().collect();
        moves += new.len() - usize::from(at.is_empty());
        if !new.is_empty() {
            at = new;
        }
    }
    moves
}

fn check_all(limited: &[Limited], answers: &[Vec<Push>], parts: &[&Deciders]) -> usize {
    let mut moved = 0;
    for (limited, pushes) in limited.iter().zip(answers) {
        let moves = moves(&limited.tenant, parts);
        moved += usize::from(moves > 0);
        limited.check(pushes, moves);
    }
    moved
}

#[test]
fn a_new_replica_gives_each_moved_tenant_one_more_burst() {
    let mut edge = edge(1);
    // To Envoy it is an endpoint that does not answer yet.
    edge.replicas[MOVING - 1].process.kill();
    edge.envoy.wait_for_healthy_rls(2);
    let limited = streams(1);
    let (answers, parts) = push_during(edge.port(), &load(&limited), LEAST, || {
        let start = DecisionCounts::of(&edge);
        go_on();
        let before = DecisionCounts::of(&edge);
        edge.replicas[MOVING - 1].restart();
        edge.envoy.wait_for_healthy_rls(3);
        go_on();
        [before.deciders_since(&start), DecisionCounts::of(&edge).deciders_since(&before)]
    });
    let failed: Vec<&Push> = answers.iter().flatten().filter(|push| push.failed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let moved = check_all(&limited, &answers, &parts.each_ref());
    report(&format!("{moved} of {} streams moved", limited.len()));
    assert!(moved > 0, "no tenant moved");
    assert!(parts[1].values().any(|deciders| deciders.contains(&MOVING)));
}

#[test]
fn a_dead_replica_gives_moved_tenants_one_burst_per_distributor() {
    const DISTRIBUTORS: u32 = 2;
    let mut edge = edge(DISTRIBUTORS);
    let limited = streams(DISTRIBUTORS);
    let (answers, parts) = push_during(edge.port(), &load(&limited), LEAST, || {
        go_on();
        let before = DecisionCounts::of(&edge);
        let killed = Instant::now();
        edge.replicas[MOVING - 1].process.kill();
        edge.envoy.wait_for_healthy_rls(2);
        report(&format!("Envoy knew after {:.2?}", killed.elapsed()));
        go_on();
        [before.deciders_since(&DecisionCounts::default()), DecisionCounts::of(&edge).deciders_since(&before)]
    });
    let failed: Vec<&Push> = answers.iter().flatten().filter(|push| push.failed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let moved = check_all(&limited, &answers, &parts.each_ref());
    report(&format!("{moved} of {} streams moved", limited.len()));
    assert!(moved > 0, "no tenant moved");
}
