//! Elections on virtual time: what Mimir's tracker does step by step, in tables; properties and recorded cases below.

use std::time::Duration;

use limits::TenantLimits;

use super::*;

mod not_forwarded;
mod properties;
mod recorded;

/// A wall clock's time, in the autumn of 2026.
const START: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600;

fn at(seconds: i64) -> UnixMillis {
    UnixMillis::new(START + seconds * 1_000)
}

fn rules_of(limits: &TenantLimits) -> ElectionRules {
    ElectionRules::new(limits, &TenantLimits::default(), 0.5)
}

fn rules() -> ElectionRules {
    rules_of(&TenantLimits::default())
}

fn clusters(max: i64) -> ElectionRules {
    rules_of(&TenantLimits { ha_max_clusters: max, ..TenantLimits::default() })
}

fn pair<'l>(cluster: &'l str, replica: &'l str) -> HaPair<'l> {
    HaPair::new(cluster.as_bytes(), replica.as_bytes(), &rules()).unwrap()
}

fn entry<'w>(cluster: &'w str, replica: &'w str, received: i64, elected: i64) -> TrackerEntry<'w> {
    let (cluster, replica) = (cluster.as_bytes(), replica.as_bytes());
    TrackerEntry { cluster, replica, received_at: at(received), elected_at: at(elected) }
}

/// Elections of one tenant under one set of rules.
struct Play {
    elections: Elections,
    rules: ElectionRules,
}

impl Play {
    fn new(rules: ElectionRules) -> Self {
        Play { elections: Elections::new(), rules }
    }

    fn push(&self, seconds: i64, cluster: &str, replica: &str) -> Election {
        let preview = self.elections.preview("t", pair(cluster, replica), &self.rules, at(seconds));
        let election = self.elections.elect("t", pair(cluster, replica), &self.rules, None, at(seconds));
        assert_eq!(preview, election, "the preview of {cluster}/{replica} after {seconds} s");
        election
    }

    /// Pushes of the replicas of cluster `c`, in turn, each with whether it is elected.
    #[track_caller]
    fn check(&self, pushes: &[(i64, &str, bool)]) {
        for &(seconds, replica, elected) in pushes {
            let expected = if elected { ReplicaStatus::Elected } else { ReplicaStatus::NotElected };
            assert_eq!(self.push(seconds, "c", replica).status, expected, "{replica} after {seconds} s");
        }
    }
}

#[test]
fn the_first_replica_stays_elected_while_it_pushes() {
    Play::new(rules()).check(&[(0, "a", true), (1, "b", false), (14, "a", true), (29, "b", false), (30, "a", true)]);
    let steady = Play::new(rules());
    for seconds in (0..HOUR).step_by(14) {
        steady.check(&[(seconds, "a", true), (seconds + 1, "b", false)]);
    }
}

#[test]
fn electing_pushes_reach_mimir_twice_per_update_timeout() {
    let play = Play::new(rules());
    let due = |seconds, replica| play.push(seconds, "c", replica).due;
    let pushes = [
        (0, "a", true),
        (1, "a", false),
        (7, "a", false),
        (8, "a", true),
        (9, "b", false),
        (15, "a", false),
        (16, "a", true),
    ];
    for (seconds, replica, expected) in pushes {
        assert_eq!(due(seconds, replica), expected, "{replica} after {seconds} s");
    }
    // Pushes of the replica that takes over were forwarded all the time.
    assert_eq!(
        [(46, "b"), (60, "b"), (61, "b"), (68, "b")].map(|(seconds, replica)| due(seconds, replica)),
        [false, true, false, true]
    );
}

#[test]
fn a_replica_known_only_from_mimir_is_due_immediately() {
    let play = Play::new(rules());
    assert!(play.push(0, "c", "a").due);
    play.elections.confirm("t", &entry("c", "b", 1, 1), at(2));
    assert_eq!([2, 3].map(|seconds| play.push(seconds, "c", "b").due), [true, false]);
}

#[test]
fn tenants_and_clusters_have_elections_of_their_own() {
    let play = Play::new(rules());
    assert_eq!(play.push(0, "one", "a").status, ReplicaStatus::Elected);
    assert_eq!(play.push(0, "two", "b").status, ReplicaStatus::Elected);
    assert_eq!(play.push(0, "one", "b").status, ReplicaStatus::NotElected);
    let other = play.elections.elect("other", pair("one", "b"), &play.rules, None, at(0));
    assert_eq!(other.status, ReplicaStatus::Elected);
    assert_eq!(play.elections.len(), 3);
}

#[test]
fn failover_happens_on_a_tick_not_on_a_push() {
    // Ticks are at 15, 30, 45 ... after the election: those at 30 and later find the stored 0 old enough.
    Play::new(rules()).check(&[(0, "a", true), (29, "b", false), (30, "b", true), (31, "a", false)]);
    // The tick at 30 has not seen b for long, so it waits for the one at 45.
    Play::new(rules()).check(&[(0, "a", true), (1, "b", false), (32, "b", false), (44, "b", false), (45, "b", true)]);
    // a comes back in time.
    Play::new(rules()).check(&[(0, "a", true), (29, "b", false), (29, "a", true), (46, "b", false), (46, "a", true)]);
}

#[test]
fn failover_counts_from_the_stored_time_after_silence() {
    // a was seen at 14, stored at the tick at 15: 44 is the first time at which b may take over, 45 the tick.
    Play::new(rules()).check(&[(0, "a", true), (14, "a", true), (30, "b", false), (44, "b", false), (45, "b", true)]);
    // a was seen at 16: the tick at 30 stores it, so that the one at 45 is 1 s too early.
    Play::new(rules()).check(&[(0, "a", true), (16, "a", true), (44, "b", false), (59, "b", false), (60, "b", true)]);
}

#[test]
fn the_last_of_several_replicas_seen_takes_over() {
    Play::new(rules()).check(&[(0, "a", true), (28, "b", false), (29, "c", false), (30, "b", false), (31, "c", true)]);
}

#[test]
fn jitter_decides_when_a_replica_counts_as_silent() {
    for (random, elected) in [(0.0, false), (0.5, false), (0.999, true)] {
        let rules = ElectionRules::new(&TenantLimits::default(), &TenantLimits::default(), random);
        // At the tick at 30, b was seen 17 s ago.
        Play::new(rules).check(&[(0, "a", true), (13, "b", false), (31, "b", elected)]);
    }
}

/// The earliest sample of a push counts.
#[test]
fn a_sample_time_timeout_delays_failover() {
    let limits =
        TenantLimits { ha_tracker_sample_failover_timeout: Duration::from_secs(20), ..TenantLimits::default() };
    for (sample, elected) in [(Some(at(19)), false), (Some(at(20)), true), (None, true), (Some(at(999)), true)] {
        let elections = Elections::new();
        let elect = |seconds, replica, sample| {
            elections.elect("t", pair("c", replica), &rules_of(&limits), sample, at(seconds)).status
        };
        assert_eq!(elect(0, "a", Some(at(-900))), ReplicaStatus::Elected, "a first election looks at no sample");
        assert_eq!(elect(29, "b", sample), ReplicaStatus::NotElected);
        let expected = if elected { ReplicaStatus::Elected } else { ReplicaStatus::NotElected };
        assert_eq!(elect(31, "b", None), expected, "earliest sample {sample:?}");
    }
}

#[test]
fn cluster_limit_stops_new_clusters_not_known_ones() {
    for unlimited in [0, -1] {
        let play = Play::new(clusters(unlimited));
        assert!((0..200).all(|index| play.push(0, &format!("c{index}"), "a").status == ReplicaStatus::Elected));
    }
    let play = Play::new(clusters(2));
    for (cluster, expected) in [
        ("c", ReplicaStatus::Elected),
        ("d", ReplicaStatus::Elected),
        ("e", ReplicaStatus::TooManyClusters),
        ("c", ReplicaStatus::Elected),
    ] {
        assert_eq!(play.push(0, cluster, "a").status, expected);
    }
    assert_eq!(play.elections.elect("other", pair("e", "a"), &play.rules, None, at(0)).status, ReplicaStatus::Elected);
}

#[test]
fn a_forgotten_pair_is_as_if_it_had_never_been() {
    let forgotten = 66 * 60;
    // 66 minutes after its last push, the first replica that pushes is elected; before, b has to wait for a tick.
    Play::new(rules()).check(&[(0, "a", true), (forgotten, "b", true), (forgotten, "a", false)]);
    Play::new(rules()).check(&[(0, "a", true), (forgotten - 1, "b", false), (2 * forgotten - 2, "c", false)]);
    // It gives its place to another cluster.
    let play = Play::new(clusters(1));
    play.check(&[(0, "a", true)]);
    assert_eq!(play.push(forgotten - 1, "d", "a").status, ReplicaStatus::TooManyClusters);
    assert_eq!(play.push(forgotten, "d", "a").status, ReplicaStatus::Elected);
    assert_eq!(play.push(forgotten, "c", "a").status, ReplicaStatus::TooManyClusters);
}

#[test]
fn idle_pairs_are_evicted_and_their_memory_given_back() {
    let play = Play::new(clusters(0));
    for index in 0..10_000 {
        let _: Election = play.push(index % 2, &format!("c{index}"), "a");
    }
    assert_eq!(play.elections.evict_idle(at(66 * 60 - 1)), 0);
    assert_eq!(play.elections.evict_idle(at(66 * 60)), 5_000);
    assert_eq!(play.elections.len(), 5_000);
    assert_eq!(play.elections.evict_idle(at(66 * 60 + 1)), 5_000);
    assert!(play.elections.is_empty() && play.elections.tenants.is_empty());
}

#[test]
fn mimirs_list_replaces_the_election_without_failover() {
    let play = Play::new(rules());
    play.check(&[(0, "b", true)]);
    assert!(!play.push(1, "c", "b").confirmed && !play.elections.is_confirmed("t", b"c"));
    assert!(play.elections.confirm("t", &entry("c", "a", -5, -500), at(2)));
    assert!(play.elections.is_confirmed("t", b"c"));
    assert_eq!(play.push(3, "c", "b"), Election::of(ReplicaStatus::NotElected, true));
    assert_eq!(play.push(3, "c", "a"), Election { status: ReplicaStatus::Elected, confirmed: true, due: true });
    // a is silent, b goes on: only Mimir fails over.
    for seconds in 4..200 {
        play.check(&[(seconds, "b", false)]);
    }
    assert!(play.elections.confirm("t", &entry("c", "b", 199, 195), at(200)));
    play.check(&[(200, "b", true), (200, "a", false)]);
    assert_eq!(play.elections.len(), 1);
}

#[test]
fn an_expired_list_leaves_its_election_in_force() {
    let play = Play::new(rules());
    assert!(play.elections.confirm("t", &entry("c", "a", 0, 0), at(1)));
    assert_eq!(play.elections.unconfirm(at(1)), 0);
    assert_eq!(play.elections.unconfirm(at(2)), 1);
    assert_eq!(play.push(20, "c", "b"), Election::of(ReplicaStatus::NotElected, false));
    // Ticks are counted from Mimir's election.
    play.check(&[(29, "b", false), (30, "b", true)]);
}

#[test]
fn pairs_leaving_mimirs_list_drop_and_unlisted_ones_stay() {
    let play = Play::new(clusters(0));
    for (cluster, confirmed_at) in [("gone", Some(5)), ("listed", Some(10)), ("unheard", None)] {
        assert_eq!(play.push(0, cluster, "a").status, ReplicaStatus::Elected);
        if let Some(seconds) = confirmed_at {
            assert!(play.elections.confirm("t", &entry(cluster, "a", 0, 0), at(seconds)));
        }
    }
    assert_eq!(play.elections.forget_unlisted(at(10)), 1);
    assert_eq!(play.push(11, "gone", "b"), Election { status: ReplicaStatus::Elected, confirmed: false, due: true });
    assert_eq!(play.push(11, "listed", "b"), Election::of(ReplicaStatus::NotElected, true));
    assert_eq!(play.push(11, "unheard", "b"), Election::of(ReplicaStatus::NotElected, false));
}

#[test]
fn mimirs_word_is_never_forgotten_and_counts_as_a_cluster() {
    let play = Play::new(clusters(1));
    assert!(play.elections.confirm("t", &entry("c", "a", 0, 0), at(0)));
    assert!(play.elections.confirm("t", &entry("d", "a", 0, 0), at(0)), "Mimir's list knows no limit");
    assert_eq!(play.elections.evict_idle(at(100 * HOUR)), 0);
    assert_eq!(play.push(100 * HOUR, "e", "a").status, ReplicaStatus::TooManyClusters);
    assert_eq!(play.push(100 * HOUR, "c", "b"), Election::of(ReplicaStatus::NotElected, true));
    // Taken back, d is long idle, and c still holds the one place.
    assert_eq!(play.elections.unconfirm(at(1)), 2);
    assert_eq!(play.push(100 * HOUR, "e", "a").status, ReplicaStatus::TooManyClusters);
    assert_eq!(play.elections.len(), 1);
    assert_eq!(play.push(102 * HOUR, "e", "a").status, ReplicaStatus::Elected);
}

#[test]
fn series_need_both_labels_and_a_short_replica() {
    let rules = rules_of(&TenantLimits { max_label_value_length: 3, ..TenantLimits::default() });
    for (cluster, replica, is_pair) in
        [("c", "abc", true), ("a longer cluster", "a", true), ("c", "abcd", false), ("", "a", false), ("c", "", false)]
    {
        assert_eq!(
            HaPair::new(cluster.as_bytes(), replica.as_bytes(), &rules).is_some(),
            is_pair,
            "{cluster}/{replica}"
        );
    }
}

#[test]
fn a_cluster_without_room_is_untracked_and_counted() {
    let play = Play::new(clusters(0));
    let name = "x".repeat(MAX_TENANT_BYTES / 2);
    assert_eq!(play.push(0, &name, "a").status, ReplicaStatus::Elected);
    assert_eq!(play.push(0, &format!("{name}y"), "a").status, ReplicaStatus::Untracked);
    assert_eq!(play.push(0, &format!("{name}y"), "b").status, ReplicaStatus::Untracked);
    assert_eq!(play.push(0, "c", "a").status, ReplicaStatus::Elected);
    assert!(!play.elections.confirm("t", &entry(&format!("{name}y"), "a", 0, 0), at(0)));
    assert!(!play.elections.confirm("t", &entry("c", &format!("{name}y"), 0, 0), at(0)));
    assert_eq!(play.elections.untracked(), 2);
    assert_eq!(play.push(66 * 60, &format!("{name}y"), "b").status, ReplicaStatus::Elected);
}

#[test]
fn only_an_elected_replica_is_charged() {
    let charged =
        [ReplicaStatus::Elected, ReplicaStatus::NotElected, ReplicaStatus::TooManyClusters, ReplicaStatus::Untracked]
            .map(ReplicaStatus::is_charged);
    assert_eq!(charged, [true, false, false, false]);
}

#[test]
fn threads_that_push_at_once_agree_on_one_replica() {
    let elections = Elections::new();
    std::thread::scope(|scope| {
        for replica in ["a", "b", "c", "d"] {
            let elections = &elections;
            scope.spawn(move || {
                for index in 0..1_000 {
                    let _: Election =
                        elections.elect("t", pair(&format!("c{index}"), replica), &clusters(0), None, at(0));
                }
            });
        }
    });
    for index in 0..1_000 {
        let cluster = format!("c{index}");
        let elected = ["a", "b", "c", "d"].into_iter().filter(|replica| {
            elections.preview("t", pair(&cluster, replica), &rules(), at(0)).status == ReplicaStatus::Elected
        });
        assert_eq!(elected.count(), 1);
    }
}

#[test]
fn room_for_pairs_is_shared_and_comes_back() {
    let elections = Elections::with_room(1);
    let elect =
        |tenant: &str, seconds: i64| elections.elect(tenant, pair("c", "a"), &rules(), None, at(seconds)).status;
    assert_eq!(
        [elect("one", 0), elect("two", 0), elect("one", 1)],
        [ReplicaStatus::Elected, ReplicaStatus::Untracked, ReplicaStatus::Elected]
    );
    assert_eq!(elections.preview("two", pair("c", "a"), &rules(), at(1)).status, ReplicaStatus::Untracked);
    assert!(elections.confirm("two", &entry("c", "b", 0, 0), at(1)), "Mimir's list is taken all the same");
    assert_eq!(elect("two", 2), ReplicaStatus::NotElected);
    assert_eq!(elections.unconfirm(at(2)), 1);
    assert_eq!(elections.evict_idle(at(100 * HOUR)), 2);
    assert_eq!(elections.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(elect("three", 100 * HOUR), ReplicaStatus::Elected);
}

/// How many pairs each of so many pushes, 66 minutes after the others, drops besides its own.
#[test]
fn pushes_drop_few_expired_pairs_but_ignore_all() {
    const PAIRS: usize = 10_000;
    let forgotten = 66 * 60;
    let play = Play::new(clusters(i64::try_from(PAIRS).unwrap()));
    for number in 0..PAIRS {
        let _: Election = play.elections.elect("t", pair(&format!("c{number}"), "a"), &play.rules, None, at(0));
    }
    assert_eq!(play.push(forgotten - 1, "new", "a").status, ReplicaStatus::TooManyClusters);
    for number in 1..100 {
        let held = play.elections.len();
        assert_eq!(play.push(forgotten, &format!("new{number}"), "a").status, ReplicaStatus::Elected);
        assert!((held - 10..held).contains(&play.elections.len()), "{} of {held}", play.elections.len());
    }
    // One that is forgotten and held still is as if it had never been.
    assert_eq!(play.push(forgotten, &format!("c{}", PAIRS - 1), "b").status, ReplicaStatus::Elected);
    let few = Play { elections: play.elections, rules: clusters(200) };
    assert_eq!(few.push(forgotten, "one more", "a").status, ReplicaStatus::Elected, "with a limit that is lowered too");
    assert!(few.elections.len() <= 200);
}

#[test]
fn all_of_many_pairs_are_gone_over_step_by_step() {
    const PAIRS: usize = 2_000;
    let elections = Elections::new();
    let names: Vec<_> = (0..PAIRS).map(|number| format!("c{number}")).collect();
    for name in &names {
        assert!(elections.confirm("t", &entry(name, "a", 0, 0), at(1)));
    }
    for name in names.iter().take(PAIRS / 2) {
        assert!(elections.confirm("t", &entry(name, "a", 0, 0), at(2)));
    }
    assert_eq!((elections.forget_unlisted(at(2)), elections.len()), (PAIRS / 2, PAIRS / 2));
    assert_eq!(elections.unconfirm(at(3)), PAIRS / 2);
    for flaps in 4..9 {
        for name in names.iter().take(PAIRS / 2) {
            assert!(elections.confirm("t", &entry(name, "a", flaps, 0), at(flaps)));
        }
        assert_eq!(elections.unconfirm(at(flaps + 1)), PAIRS / 2);
    }
    assert_eq!(elections.tenants.get("t").unwrap().queued(), PAIRS / 2, "each stands in the line once");
    assert_eq!((elections.evict_idle(at(100 * HOUR)), elections.tenants.len()), (PAIRS / 2, 0));
}
