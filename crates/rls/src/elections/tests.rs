//! What Mimir's word, its absence and its age make of a push.

use limits_source::Freshness;
use tokio::sync::watch;

use super::*;

const NOW: i64 = 1_790_000_000_000;

/// Says what becomes of a push of a replica of cluster `c` at `now`.
fn push(elections: &HaElections, replica: &str, now: i64) -> (Dedupe, HaOutcome) {
    let limits = TenantLimits::default();
    let election = elections.of_push(&limits, &limits, (now, 0.5), true);
    let mut outcome = HaOutcome::default();
    let replica = Replica { cluster: b"c", replica: replica.as_bytes(), earliest_sample: None };
    {
        let mut due = DueReplicas::default();
        let verdict = election.judge("team", replica, &mut outcome, &mut due);
        due.reach_mimir();
        (verdict, outcome)
    }
}

fn list(elections: &HaElections, replica: Option<&str>, asked_at: i64) {
    elections.take_word(&state(replica, asked_at, Some(Instant::now())));
}

fn state(replica: Option<&str>, asked_at: i64, asked: Option<Instant>) -> HaTrackerState {
    let named = replica.map(|replica| ElectedReplica {
        tenant: "team".into(),
        cluster: "c".into(),
        replica: replica.into(),
        received_at: asked_at,
        elected_at: asked_at,
    });
    HaTrackerState { elected: Some(named.into_iter().collect()), asked_at, asked }
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
        let (mut outcome, mut due) = (HaOutcome::default(), DueReplicas::default());
        let replica = Replica { cluster: b"c", replica: replica.as_bytes(), earliest_sample: None };
        // What is due is dropped, as with a call that ends before it is decided.
        election.judge("team", replica, &mut outcome, &mut due)
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
    // Also where the clock is set back meanwhile.
    for step in [0, -3_600_000] {
        let elections = HaElections::new(true);
        let said = Instant::now().checked_sub(WORD_HOLDS / 2).unwrap();
        elections.take_word(&state(Some("b"), NOW, Some(said)));
        elections.take_word(&state(None, NOW + step + 19_999, Some(said + WORD_HOLDS - Duration::from_millis(1))));
        assert_eq!(push(&elections, "a", NOW), (Dedupe::Dropped, DROPPED));
        elections.take_word(&state(None, NOW + step + 20_000, Some(said + WORD_HOLDS)));
        assert!(!push(&elections, "a", NOW).1.unknown && !elections.held().is_confirmed("team", b"c"));
    }
}

#[test]
fn a_tracker_that_is_silent_for_long_is_as_one_that_was_never_heard() {
    let elections = HaElections::new(true);
    list(&elections, Some("b"), NOW);
    elections.take_back_word();
    assert_eq!(push(&elections, "a", NOW), (Dedupe::Dropped, DROPPED), "the election goes on from Mimir's word");
    assert_eq!(push(&elections, "b", NOW), (Dedupe::Elected, UNKNOWN));
}

#[test]
fn a_clock_that_is_set_back_leaves_no_word_of_before() {
    let elections = HaElections::new(true);
    list(&elections, Some("a"), NOW);
    let mut of_another = state(Some("b"), NOW - 3_600_000, Some(Instant::now()));
    let moved = of_another.elected.iter().flat_map(|list| list.iter().cloned());
    of_another.elected = Some(moved.map(|one| ElectedReplica { cluster: "d".into(), ..one }).collect());
    elections.take_word(&of_another);
    assert_eq!(["c", "d"].map(|cluster| elections.held().is_confirmed("team", cluster.as_bytes())), [false, true]);
}

/// Follows a source, which says one list that is `age` old; for how long it is believed.
async fn believed_for(age: Duration) -> Duration {
    let (sender, states) = watch::channel(HaTrackerState::default());
    let feed = HaTrackerFeed { states, freshness: Freshness::default(), polls: Arc::default() };
    let elections = HaElections::new(true);
    let following = tokio::spawn(elections.clone().follow(feed, CancellationToken::new()));
    let heard = Instant::now();
    sender.send_replace(state(Some("b"), NOW, heard.checked_sub(age)));
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let mut last = Duration::ZERO;
    while heard.elapsed() < last + Duration::from_millis(800) {
        ticks.tick().await;
        if elections.held().is_confirmed("team", b"c") {
            last = heard.elapsed();
        }
    }
    following.abort();
    last
}

#[tokio::test]
async fn a_list_is_believed_until_twenty_seconds_after_mimir_was_asked() {
    for age in [WORD_HOLDS, 3 * WORD_HOLDS] {
        assert_eq!(believed_for(age).await, Duration::ZERO, "a list that is {age:?} old");
    }
    let believed = believed_for(WORD_HOLDS - Duration::from_secs(1)).await;
    assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&believed), "{believed:?}");
}

#[test]
fn a_name_that_is_no_text_or_longer_than_any_is_not_tracked() {
    let elections = HaElections::new(false);
    let limits = TenantLimits::default();
    let election = elections.of_push(&limits, &limits, (NOW, 0.5), true);
    for (cluster, replica) in [(&b"\xff"[..], &b"a"[..]), (&[b'x'; 1025], b"a"), (b"c", &[b'x'; 1025]), (b"c", b"\xff")]
    {
        let mut outcome = HaOutcome::default();
        let verdict = election.judge(
            "team",
            Replica { cluster, replica, earliest_sample: None },
            &mut outcome,
            &mut DueReplicas::default(),
        );
        assert_eq!((verdict, outcome.untracked), (Dedupe::Dropped, true));
    }
    assert_eq!(elections.held().len(), 0);
}
