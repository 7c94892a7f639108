//! The recorded HA cases on virtual time: whom a real Mimir accepted, 200, and whom it answered 202 or 400.
//!
//! The pushes' labels are written down here, since reading a body is no task of this crate; answers and pauses are the
//! recorded ones. What is charged for which answer is tested where bodies are read.

use super::*;

const CASES: &str = include_str!("../../../../../tests/golden/cases.jsonl");

/// Cluster and replica of the first series of each step; `None` where it lacks one of the labels.
type Pushes = &'static [Option<(&'static str, &'static str)>];

const PUSHES: [(&str, i64, Pushes); 7] = [
    ("ha_pair", 100, &[p("prom", "a"), p("prom", "b"), p("prom", "a"), p("prom", "b"), p("prom", "a")]),
    ("ha_two_clusters", 100, &[p("one", "a"), p("two", "b"), p("one", "b"), p("two", "a")]),
    ("ha_own_labels", 100, &[p("x", "a"), p("x", "b"), None]),
    ("ha_max_clusters", 1, &[p("one", "a"), p("two", "a")]),
    ("ha_rw2", 100, &[p("prom", "a"), p("prom", "b"), p("prom", "a")]),
    ("ha_failover", 100, &[p("prom", "a"), p("prom", "b"), p("prom", "b"), p("prom", "b"), p("prom", "a")]),
    ("ha_mixed_with_plain", 100, &[p("prom", "a"), None, p("prom", "b"), None]),
];

const fn p(cluster: &'static str, replica: &'static str) -> Option<(&'static str, &'static str)> {
    Some((cluster, replica))
}

fn case(name: &str) -> serde_json::Value {
    let is_it = |case: &serde_json::Value| {
        case["case"].as_str().and_then(|case| case.rsplit_once('-')).is_some_and(|(case, _)| case == name)
    };
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).find(is_it).unwrap()
}

/// A 429 comes after the election: the replica that gets it was accepted.
fn status(status: &serde_json::Value) -> ReplicaStatus {
    match status.as_u64().unwrap() {
        200 | 429 => ReplicaStatus::Elected,
        202 => ReplicaStatus::NotElected,
        400 => ReplicaStatus::TooManyClusters,
        other => panic!("status {other}"),
    }
}

#[test]
fn elects_whom_a_recorded_mimir_elected() {
    for (name, max_clusters, pushes) in PUSHES {
        let (case, rules) = (case(name), clusters(max_clusters));
        let steps = case["steps"].as_array().unwrap();
        assert_eq!(steps.len(), pushes.len(), "{name}");
        let elections = Elections::new();
        let mut now = at(0);
        for (index, (step, push)) in steps.iter().zip(pushes).enumerate() {
            now = now.plus(step["wait_ms"].as_i64().unwrap());
            if let &Some((cluster, replica)) = push {
                let election = elections.elect("t", pair(cluster, replica), &rules, None, now);
                assert_eq!(election.status, status(&step["response"]["status"]), "{name}, step {index}");
            }
        }
    }
}
