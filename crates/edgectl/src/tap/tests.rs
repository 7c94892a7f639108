//! Which denials are new, and which are missed.

use super::*;

/// A denial with this number, in the process that started at `start`.
fn denial(start: &str, sequence: u64) -> Denial {
    serde_json::from_value(serde_json::json!({
        "time": format!("{start}-{sequence:05}"), "sequence": sequence, "tenant": "a:k=v", "decision": "deny", "mode": "enforce",
        "reason": "ingestion_rate", "status": 429, "api": "check", "samples": 1, "histograms": 0, "exemplars": 0, "metadata": 0,
        "body_bytes": null, "retry_attempt": 2, "message": "",
    }))
    .unwrap()
}

/// The denials that a replica lists, newest first.
fn listed(start: &str, sequences: &[u64]) -> Vec<Denial> {
    sequences.iter().rev().map(|sequence| denial(start, *sequence)).collect()
}

fn at(start: &str, last: u64) -> Position {
    Position::behind(Some(&denial(start, last)))
}

#[track_caller]
fn check(position: &Position, listed: Vec<Denial>, new: &[u64], missed: u64, has_restarted: bool) -> Position {
    let found = found(listed, position);
    let sequences: Vec<_> = found.denials.iter().map(|denial| denial.sequence).collect();
    assert_eq!((&sequences[..], found.missed, found.has_restarted), (new, missed, has_restarted));
    found.position
}

#[test]
fn each_denial_is_new_once() {
    let position = check(&Position::default(), listed("x", &[1, 2]), &[1, 2], 0, false);
    assert_eq!(position, at("x", 2));
    let position = check(&position, listed("x", &[1, 2]), &[], 0, false);
    assert_eq!(position, at("x", 2));
    let position = check(&position, listed("x", &[1, 2, 3, 4]), &[3, 4], 0, false);
    assert_eq!(position, at("x", 4));
    check(&Position::default(), Vec::new(), &[], 0, false);
}

#[test]
fn denials_that_are_no_longer_listed_are_missed() {
    check(&at("x", 5), listed("x", &[8, 9]), &[8, 9], 2, false);
    // Tenants with fewer rows keep theirs.
    check(&at("x", 5), listed("x", &[2, 6, 9]), &[6, 9], 2, false);
}

#[test]
fn a_restart_begins_again() {
    assert_eq!(check(&at("x", 5), listed("y", &[1, 2]), &[1, 2], 0, true), at("y", 2));
    assert_eq!(check(&at("x", 5), listed("y", &[4, 5, 6]), &[4, 5, 6], 3, true), at("y", 6));
    let position = check(&at("x", 5), Vec::new(), &[], 0, true);
    assert_eq!(position.last, 0);
    check(&position, listed("y", &[1]), &[1], 0, false);
}

#[test]
fn a_line_has_what_matters() {
    let denial = Answer { replica: "http://edge:9090".to_owned(), value: denial("x", 7) };
    assert_eq!(
        line(&denial),
        "x-00007  http://edge:9090  a:k=v  deny  enforce  ingestion_rate  429  1 sample  retry 2"
    );
}
