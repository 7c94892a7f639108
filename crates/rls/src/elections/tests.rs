//! What Mimir's word, its absence and its age make of a push.

use super::*;

const NOW: i64 = 1_790_000_000_000;

/// Says what becomes of a push of a replica of cluster `c` at `now`.
fn push(elections: &HaElections, replica: &str, now: i64) -> (Dedupe, HaOutcome) {
    let limits = TenantLimits::default();
    let election = elections.of_push(&limits, &limits, (now, 0.5), true);
    let mut outcome = HaOutcome::default();
    let replica = Replica { cluster: b"c", replica: replica.as_bytes(), earliest_sample: None };
    (election.judge("team", replica, &mut outcome, &mut Vec::new()), outcome)
}

fn list(elections: &HaElections, replica: Option<&str>, asked_at: i64) {
    let named = replica.map(|replica| ElectedReplica {
        tenant: "team".into(),
        cluster: "c".into(),
        replica: replica.into(),
        received_at: asked_at,
        elected_at: asked_at,
    });
    elections.take_word(&HaTrackerState { elected: Some(named.into_iter().collect()), asked_at });
}

const CHARGED: HaOutcome =
    HaOutcome { dropped: false, too_many_clusters: false, untracked: false, unknown: false, forwarded: false };
const UNKNOWN: HaOutcome = HaOutcome { unknown: true, forwarded: true, ..CHARGED };
const FORWARDED: HaOutcome = HaOutcome { forwarded: true, ..CHARGED };
const DROPPED: HaOutcome = HaOutcome { dropped: true, ..CHARGED };

#[test]
fn without_a_tracker_the_election_here_decides() {
    let elections = HaElections::new(false);
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Elected, CHARGED));
    assert_eq!(push(&elections, "b", NOW), (Dedupe::Dropped, DROPPED));
    assert_eq!(push(&elections, "", NOW), (Dedupe::NoPair, CHARGED));
}

#[test]
fn without_a_tracker_a_replica_whose_pushes_are_refused_is_elected_nowhere() {
    let elections = HaElections::new(false);
    let limits = TenantLimits::default();
    let refused = |replica: &str, now| {
        let election = elections.of_push(&limits, &limits, (now, 0.5), true);
        let (mut outcome, mut due) = (HaOutcome::default(), Vec::new());
        let replica = Replica { cluster: b"c", replica: replica.as_bytes(), earliest_sample: None };
        let verdict = election.judge("team", replica, &mut outcome, &mut due);
        elections.withhold(&Tenant::parse(Some(b"team")).unwrap(), &due);
        verdict
    };
    assert_eq!([refused("a", NOW), refused("b", NOW + 1)], [Dedupe::Elected; 2]);
    assert_eq!(push(&elections, "a", NOW + 2), (Dedupe::Elected, CHARGED));
    assert_eq!(push(&elections, "b", NOW + 3), (Dedupe::Dropped, DROPPED), "a has reached Mimir");
}

#[test]
fn until_mimir_was_heard_nobody_is_charged_and_then_a_pair_that_it_has_not_named_is_not_refused() {
    let elections = HaElections::new(true);
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Elected, UNKNOWN));
    list(&elections, None, NOW);
    assert_eq!(push(&elections, "a", NOW + 1), (Dedupe::Elected, FORWARDED));
    list(&elections, Some("a"), NOW + 2);
    assert_eq!(push(&elections, "a", NOW + 3), (Dedupe::Elected, CHARGED));
    list(&elections, Some("b"), NOW + 4);
    assert_eq!(push(&elections, "a", NOW + 5), (Dedupe::Dropped, DROPPED));
    // Mimir has to see b, which it has not through this edge.
    assert_eq!([5, 6].map(|later| push(&elections, "b", NOW + later).1), [FORWARDED, CHARGED]);
}

#[test]
fn a_distributor_that_has_just_started_takes_nothing_back() {
    let elections = HaElections::new(true);
    list(&elections, Some("b"), NOW);
    list(&elections, None, NOW + WORD_HOLDS_MILLIS - 1);
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Dropped, DROPPED));
    list(&elections, None, NOW + WORD_HOLDS_MILLIS);
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Elected, FORWARDED));
}

#[test]
fn a_tracker_that_is_silent_for_long_is_as_one_that_was_never_heard() {
    let elections = HaElections::new(true);
    list(&elections, Some("b"), NOW);
    elections.take_back_word(NOW);
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Dropped, DROPPED), "the election goes on from Mimir's word");
    assert_eq!(push(&elections, "b", NOW), (Dedupe::Elected, UNKNOWN));
}

#[test]
fn a_name_that_is_no_text_or_longer_than_any_is_not_tracked() {
    let elections = HaElections::new(false);
    let limits = TenantLimits::default();
    let election = elections.of_push(&limits, &limits, (NOW, 0.5), true);
    for (cluster, replica) in [(&b"\xff"[..], &b"a"[..]), (&[b'x'; 1025], b"a"), (b"c", &[b'x'; 1025]), (b"c", b"\xff")]
    {
        let mut outcome = HaOutcome::default();
        let verdict =
            election.judge("team", Replica { cluster, replica, earliest_sample: None }, &mut outcome, &mut Vec::new());
        assert_eq!((verdict, outcome.untracked), (Dedupe::Dropped, true));
    }
    assert_eq!(elections.held().len(), 0);
}
