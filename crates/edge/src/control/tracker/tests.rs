//! What Mimir's lists, their absence and their age make of a push.

use std::sync::Arc;
use std::time::Duration;

use limits::{EdgeConfig, ElectedReplica, TenantLimits};
use remote_write::{Dedupe, Replica};
use tokio::time::Instant;

use super::super::{Candidates, ControlWriter, ElectionOutcome, HaTracker, TrackerList};
use super::LIST_VALID_FOR;

const NOW: i64 = 1_790_000_000_000;

/// A writer with, or without, a tracker to ask.
fn writer(is_polled: bool) -> ControlWriter {
    ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker { is_polled, fresh_until: None }).0
}

/// Says what becomes of a push of a replica of cluster `c` at `now`.
fn push(writer: &ControlWriter, replica: &str, now: i64) -> (Dedupe, ElectionOutcome) {
    let (dedupe, outcome, mut candidates) = dedupe(writer, (b"c", replica.as_bytes()), now);
    candidates.forwarded();
    (dedupe, outcome)
}

fn dedupe(
    writer: &ControlWriter,
    (cluster, replica): (&[u8], &[u8]),
    now: i64,
) -> (Dedupe, ElectionOutcome, Candidates) {
    let election = writer.current().election_of(&TenantLimits::default(), (now, 0.5), true);
    let (mut outcome, mut candidates) = (ElectionOutcome::default(), Candidates::default());
    let replica = Replica { cluster, replica, earliest_sample: None };
    let dedupe = election.dedupe("team", replica, &mut outcome, &mut candidates);
    (dedupe, outcome, candidates)
}

fn is_confirmed(writer: &ControlWriter, cluster: &[u8]) -> bool {
    writer.current().elections.is_confirmed("team", cluster)
}

async fn put(writer: &mut ControlWriter, replica: Option<&str>, requested_at_unix_millis: i64) {
    writer.put_list(list(replica, requested_at_unix_millis, Some(Instant::now()))).await;
}

fn list(replica: Option<&str>, requested_at_unix_millis: i64, requested_at: Option<Instant>) -> TrackerList {
    let named = replica.map(|replica| ElectedReplica {
        tenant: "team".into(),
        cluster: "c".into(),
        replica: replica.into(),
        received_at: requested_at_unix_millis,
        elected_at: requested_at_unix_millis,
    });
    TrackerList { elected: named.into_iter().collect(), requested_at_unix_millis, requested_at }
}

const CHARGED: ElectionOutcome =
    ElectionOutcome { dropped: false, too_many_clusters: false, untracked: false, unknown: false, due: false };
const UNKNOWN: ElectionOutcome = ElectionOutcome { unknown: true, due: true, ..CHARGED };
const DUE: ElectionOutcome = ElectionOutcome { due: true, ..CHARGED };
const DROPPED: ElectionOutcome = ElectionOutcome { dropped: true, ..CHARGED };

#[test]
fn without_a_tracker_the_election_here_decides() {
    let writer = writer(false);
    assert_eq!(push(&writer, "a", NOW), (Dedupe::Elected, CHARGED));
    assert_eq!(push(&writer, "b", NOW), (Dedupe::Dropped, DROPPED));
    assert_eq!(push(&writer, "", NOW), (Dedupe::NoPair, CHARGED));
}

#[test]
fn without_a_tracker_a_denied_replica_is_elected_nowhere() {
    let writer = writer(false);
    // Candidates are dropped, as with a call that ends before it is decided.
    let denied = |replica: &str, now| dedupe(&writer, (b"c", replica.as_bytes()), now).0;
    assert_eq!([denied("a", NOW), denied("b", NOW + 1)], [Dedupe::Elected; 2]);
    assert_eq!(push(&writer, "a", NOW + 2), (Dedupe::Elected, CHARGED));
    assert_eq!(push(&writer, "b", NOW + 3), (Dedupe::Dropped, DROPPED), "a has reached Mimir");
}

#[tokio::test]
async fn a_pair_that_mimir_has_not_named_is_forwarded() {
    let mut writer = writer(true);
    assert_eq!(push(&writer, "a", NOW), (Dedupe::Elected, UNKNOWN), "before the first list the election is unknown");
    put(&mut writer, None, NOW).await;
    assert_eq!(push(&writer, "a", NOW + 1), (Dedupe::Elected, DUE));
    put(&mut writer, Some("a"), NOW + 2).await;
    assert_eq!(push(&writer, "a", NOW + 3), (Dedupe::Elected, CHARGED));
    put(&mut writer, Some("b"), NOW + 4).await;
    assert_eq!(push(&writer, "a", NOW + 5), (Dedupe::Dropped, DROPPED));
    // Mimir has to see b, which it has not through this edge.
    assert_eq!([5, 6].map(|later| push(&writer, "b", NOW + later).1), [DUE, CHARGED]);
}

#[tokio::test]
async fn a_distributor_that_has_just_started_takes_nothing_back() {
    // Also where the clock is set back meanwhile.
    for step in [0, -3_600_000] {
        let mut writer = writer(true);
        let requested_at = Instant::now().checked_sub(LIST_VALID_FOR / 2).unwrap();
        writer.put_list(list(Some("b"), NOW, Some(requested_at))).await;
        let soon = Some(requested_at + LIST_VALID_FOR - Duration::from_millis(1));
        writer.put_list(list(None, NOW + step + 19_999, soon)).await;
        assert_eq!(push(&writer, "a", NOW), (Dedupe::Dropped, DROPPED));
        writer.put_list(list(None, NOW + step + 20_000, Some(requested_at + LIST_VALID_FOR))).await;
        assert!(!push(&writer, "a", NOW).1.unknown && !is_confirmed(&writer, b"c"));
    }
}

#[tokio::test]
async fn an_ignored_empty_list_prolongs_no_other() {
    let mut writer = writer(true);
    let requested_at = Instant::now().checked_sub(LIST_VALID_FOR / 2).unwrap();
    writer.put_list(list(Some("b"), NOW, Some(requested_at))).await;
    let later = requested_at + LIST_VALID_FOR / 4;
    writer.put_list(list(None, NOW + 5_000, Some(later))).await;
    assert_eq!(writer.list_expires(), Some(requested_at + LIST_VALID_FOR));
}

#[tokio::test]
async fn a_stale_list_decides_nothing_though_the_task_is_busy() {
    let mut writer = writer(true);
    put(&mut writer, Some("b"), NOW).await;
    assert_eq!(push(&writer, "b", NOW), (Dedupe::Elected, DUE), "Mimir has not had it through this edge");
    assert_eq!(push(&writer, "b", NOW), (Dedupe::Elected, CHARGED));
    // Twenty seconds pass.
    writer.set_fresh_until(Some(Instant::now()));
    // Nothing has called `expire_list`, so the entry of the list is still there.
    assert!(is_confirmed(&writer, b"c"));
    assert_eq!(push(&writer, "b", NOW), (Dedupe::Elected, UNKNOWN));
}

#[tokio::test]
async fn a_tracker_that_is_silent_for_long_is_unknown() {
    let mut writer = writer(true);
    put(&mut writer, Some("b"), NOW).await;
    writer.expire_list().await;
    assert_eq!(push(&writer, "a", NOW), (Dedupe::Dropped, DROPPED), "the election goes on from Mimir's list");
    assert_eq!(push(&writer, "b", NOW), (Dedupe::Elected, UNKNOWN));
}

#[tokio::test]
async fn setting_the_clock_back_drops_older_lists() {
    let mut writer = writer(true);
    put(&mut writer, Some("a"), NOW).await;
    let mut of_another = list(Some("b"), NOW - 3_600_000, Some(Instant::now()));
    let moved = of_another.elected.iter().cloned();
    of_another.elected = moved.map(|one| ElectedReplica { cluster: "d".into(), ..one }).collect();
    writer.put_list(of_another).await;
    assert_eq!(["c", "d"].map(|cluster| is_confirmed(&writer, cluster.as_bytes())), [false, true]);
}

#[tokio::test]
async fn a_list_expires_twenty_seconds_after_mimir_was_asked() {
    for age in [LIST_VALID_FOR, 3 * LIST_VALID_FOR] {
        let mut writer = writer(true);
        writer.put_list(list(Some("b"), NOW, Instant::now().checked_sub(age))).await;
        assert!(!is_confirmed(&writer, b"c"), "a list that is {age:?} old");
    }
    let mut writer = writer(true);
    let requested_at = Instant::now().checked_sub(LIST_VALID_FOR - Duration::from_secs(1));
    writer.put_list(list(Some("b"), NOW, requested_at)).await;
    assert!(is_confirmed(&writer, b"c"));
    assert_eq!(writer.list_expires(), requested_at.map(|requested_at| requested_at + LIST_VALID_FOR));
    writer.put_list(list(Some("b"), NOW, None)).await;
    assert!(!is_confirmed(&writer, b"c"));
    assert_eq!(writer.list_expires(), None, "of a list of no known age there is nothing to wait for");
}

#[test]
fn names_that_are_not_utf8_or_too_long_are_untracked() {
    let writer = writer(false);
    for names in [(&b"\xff"[..], &b"a"[..]), (&[b'x'; 1025], b"a"), (b"c", &[b'x'; 1025]), (b"c", b"\xff")] {
        let (dedupe, outcome, _) = dedupe(&writer, names, NOW);
        assert_eq!((dedupe, outcome.untracked), (Dedupe::Dropped, true));
    }
    assert_eq!(writer.current().elections.len(), 0);
}
