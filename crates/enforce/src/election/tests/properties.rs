//! What holds for any pushes, words and pauses; and the same tracker written naively, tick by tick.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::election::pair::EXPIRES_AFTER_MILLIS;
use crate::election::tenant_elections::PAIR_BYTES;

const CLUSTERS: [&str; 3] = ["c", "d", "e"];
const REPLICAS: [&str; 3] = ["a", "b", "x"];

#[derive(Debug, Clone)]
enum Step {
    Push { cluster: usize, replica: usize, sample: Option<i64> },
    Confirm { cluster: usize, replica: usize, age: i64 },
    Unconfirm,
    EndOfList,
    Evict,
}

fn push() -> impl Strategy<Value = Step> {
    (0..CLUSTERS.len(), 0..REPLICAS.len(), prop::option::of(0_i64..90_000))
        .prop_map(|(cluster, replica, sample)| Step::Push { cluster, replica, sample })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => push(),
        2 => (0..CLUSTERS.len(), 0..REPLICAS.len(), 0_i64..40_000)
            .prop_map(|(cluster, replica, age)| Step::Confirm { cluster, replica, age }),
        1 => Just(Step::Unconfirm),
        1 => Just(Step::EndOfList),
        1 => Just(Step::Evict),
    ]
}

/// Mostly as pushes come, at times as long as it takes to forget a pair; rarely the clock is set back.
fn pauses() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => 0_i64..20_000,
        3 => 20_000_i64..100_000,
        1 => EXPIRES_AFTER_MILLIS - 60_000..EXPIRES_AFTER_MILLIS + 60_000,
        1 => -5_000_i64..0,
    ]
}

fn some_rules() -> impl Strategy<Value = ElectionRules> {
    let limits =
        (1_u64..40, 0_u64..60, 0_u64..2, 0_i64..4).prop_map(|(update, more, sample, max_clusters)| TenantLimits {
            ha_tracker_update_timeout: Duration::from_secs(update),
            ha_tracker_failover_timeout: Duration::from_secs(update + 6 + more),
            ha_tracker_sample_failover_timeout: Duration::from_secs(sample * 20),
            ha_max_clusters: max_clusters,
            ..TenantLimits::default()
        });
    (limits, 0.0..1.0).prop_map(|(limits, random)| ElectionRules::new(&limits, &TenantLimits::default(), random))
}

fn play(elections: &Elections, rules: &ElectionRules, step: &Step, now: UnixMillis) -> Option<Election> {
    match *step {
        Step::Push { cluster, replica, sample } => {
            let sample = sample.map(|age| now.plus(-age));
            return Some(elections.elect("t", pair(CLUSTERS[cluster], REPLICAS[replica]), rules, sample, now));
        }
        Step::Confirm { cluster, replica, age } => {
            let (received_at, elected_at) = (now.plus(-age / 2), now.plus(-age));
            let (cluster, replica) = (CLUSTERS[cluster].as_bytes(), REPLICAS[replica].as_bytes());
            assert!(elections.confirm("t", &TrackerEntry { cluster, replica, received_at, elected_at }, now));
        }
        Step::Unconfirm => _ = elections.unconfirm(now),
        Step::EndOfList => _ = elections.forget_unlisted(now.plus(-30_000)),
        Step::Evict => {}
    }
    None
}

/// One cluster as Mimir's source has it, with every tick made one by one.
struct Naive {
    elected: usize,
    received_at: UnixMillis,
    seen_at: UnixMillis,
    other: Option<(usize, UnixMillis, UnixMillis)>,
    anchor: UnixMillis,
    active_at: UnixMillis,
}

impl Naive {
    fn tick(&mut self, rules: &ElectionRules, now: UnixMillis) {
        if now.since(self.received_at) < rules.update {
            return;
        }
        if now.since(self.seen_at) < rules.update {
            self.received_at = self.seen_at;
        } else if let Some((replica, seen_at, sample)) = self.other
            && now.since(seen_at) < rules.update
            && now.since(self.received_at) >= rules.failover
            && (rules.sample_failover == 0 || sample.since(self.received_at) >= rules.sample_failover)
        {
            (self.elected, self.received_at, self.seen_at, self.anchor) = (replica, seen_at, seen_at, now);
        }
    }

    /// Every tick from the one after `from` to `now`.
    fn ticks(&mut self, rules: &ElectionRules, from: UnixMillis, now: UnixMillis) {
        let beats = now.since(self.anchor) / rules.tick;
        let anchor = self.anchor;
        for beat in 1..=beats {
            let tick = anchor.plus(beat * rules.tick);
            if tick > from {
                self.tick(rules, tick);
            }
        }
    }
}

/// The naive tracker's answer to a push after the ticks from `from` to `now`.
fn naive_push(
    known: &mut HashMap<usize, Naive>,
    rules: &ElectionRules,
    (cluster, replica, sample): (usize, usize, UnixMillis),
    from: UnixMillis,
    now: UnixMillis,
) -> ReplicaStatus {
    for naive in known.values_mut() {
        naive.ticks(rules, from, now);
    }
    known.retain(|_, naive| now.since(naive.active_at) < EXPIRES_AFTER_MILLIS);
    if !known.contains_key(&cluster) && rules.max_clusters > 0 && known.len() as i64 >= rules.max_clusters {
        return ReplicaStatus::TooManyClusters;
    }
    let new = Naive { elected: replica, received_at: now, seen_at: now, other: None, anchor: now, active_at: now };
    let naive = known.entry(cluster).or_insert(new);
    naive.active_at = now;
    if naive.elected == replica {
        naive.seen_at = now;
        return ReplicaStatus::Elected;
    }
    naive.other = Some((replica, now, sample));
    ReplicaStatus::NotElected
}

/// Who is elected in a cluster at `now`, of the replicas that are used here.
fn elected(elections: &Elections, rules: &ElectionRules, cluster: usize, now: UnixMillis) -> Vec<usize> {
    let status = |replica: &usize| elections.preview("t", pair(CLUSTERS[cluster], REPLICAS[*replica]), rules, now);
    (0..REPLICAS.len()).filter(|replica| status(replica).status == ReplicaStatus::Elected).collect()
}

proptest! {
    #[test]
    fn decides_as_the_tracker_that_makes_every_tick(
        rules in some_rules(),
        steps in vec((pauses().prop_map(i64::abs), push()), 1..120),
    ) {
        let elections = Elections::new();
        let mut naive = HashMap::new();
        let mut now = at(0);
        for (pause, step) in steps {
            let from = now;
            now = now.plus(pause);
            let Step::Push { cluster, replica, sample } = step else { unreachable!() };
            let sample = sample.map_or(now, |age| now.plus(-age));
            let expected = naive_push(&mut naive, &rules, (cluster, replica, sample), from, now);
            prop_assert_eq!(play(&elections, &rules, &step, now).map(|election| election.status), Some(expected));
        }
    }

    #[test]
    fn exactly_one_replica_is_elected_as_the_preview_says(
        rules in some_rules(),
        steps in vec((pauses(), any_step()), 1..80),
    ) {
        let elections = Elections::new();
        let mut now = at(0);
        for (pause, step) in steps {
            now = now.plus(pause);
            if let Step::Push { cluster, replica, .. } = step {
                let preview = elections.preview("t", pair(CLUSTERS[cluster], REPLICAS[replica]), &rules, now);
                let election = play(&elections, &rules, &step, now).unwrap();
                prop_assert_eq!(preview, election);
                let expected = usize::from(election.status != ReplicaStatus::TooManyClusters);
                prop_assert_eq!(elected(&elections, &rules, cluster, now).len(), expected);
            } else {
                play(&elections, &rules, &step, now);
            }
        }
    }

    #[test]
    fn no_replica_takes_over_before_the_timeouts(
        rules in some_rules(),
        steps in vec((0_i64..30_000, push()), 1..120),
    ) {
        let rules = ElectionRules { max_clusters: 0, ..rules };
        let elections = Elections::new();
        // The elected replica of each cluster, the time of its election if it was the first, and the time of its last push.
        let mut held: HashMap<usize, (usize, Option<UnixMillis>, UnixMillis)> = HashMap::new();
        let mut now = at(0);
        for (pause, step) in steps {
            now = now.plus(pause);
            let Step::Push { cluster, replica, .. } = step else { unreachable!() };
            let status = play(&elections, &rules, &step, now).unwrap().status;
            if status != ReplicaStatus::Elected {
                continue;
            }
            match held.get_mut(&cluster) {
                Some((holder, _, seen_at)) if *holder == replica => *seen_at = now,
                Some((_, since, seen_at)) => {
                    prop_assert!(now.since(*seen_at) >= rules.update, "silent for {} ms", now.since(*seen_at));
                    prop_assert!(since.is_none_or(|since| now.since(since) >= rules.failover));
                    held.insert(cluster, (replica, None, now));
                }
                None => _ = held.insert(cluster, (replica, Some(now), now)),
            }
        }
    }

    #[test]
    fn mimirs_word_wins_until_it_is_taken_back(
        rules in some_rules(),
        before in vec((pauses(), any_step()), 0..40),
        after in vec((pauses(), push()), 1..40),
        elected in 0..REPLICAS.len(),
    ) {
        let elections = Elections::new();
        let mut now = at(0);
        for (pause, step) in before {
            now = now.plus(pause);
            play(&elections, &rules, &step, now);
        }
        play(&elections, &rules, &Step::Confirm { cluster: 0, replica: elected, age: 1_000 }, now);
        for (pause, step) in after {
            now = now.plus(pause);
            let Step::Push { replica, sample, .. } = step else { unreachable!() };
            let election = play(&elections, &rules, &Step::Push { cluster: 0, replica, sample }, now).unwrap();
            let status = if replica == elected { ReplicaStatus::Elected } else { ReplicaStatus::NotElected };
            prop_assert_eq!((election.status, election.confirmed), (status, true));
        }
    }

    #[test]
    fn eviction_at_any_time_changes_no_decision(
        rules in some_rules(),
        steps in vec((pauses().prop_map(i64::abs), any_step()), 1..100),
    ) {
        let (kept, evicted) = (Elections::new(), Elections::new());
        let mut now = at(0);
        for (pause, step) in steps {
            now = now.plus(pause);
            if matches!(step, Step::Evict) {
                evicted.evict_idle(now);
            }
            prop_assert_eq!(play(&kept, &rules, &step, now), play(&evicted, &rules, &step, now));
        }
    }

    #[test]
    fn names_of_any_length_keep_within_the_bound(
        steps in vec((0_usize..40, 1_usize..600_000, 1_usize..600_000, any::<bool>()), 1..80),
    ) {
        let elections = Elections::new();
        let rules = ElectionRules { max_replica_bytes: i64::MAX, ..clusters(0) };
        let (mut cluster, mut replica) = (vec![b'c'; 600_000], vec![b'r'; 600_000]);
        for (step, &(number, cluster_bytes, replica_bytes, is_confirmed)) in steps.iter().enumerate() {
            (cluster[0], replica[0]) = (number as u8, step as u8);
            let (cluster, replica) = (&cluster[..cluster_bytes], &replica[..replica_bytes]);
            if is_confirmed {
                elections.confirm("t", &TrackerEntry { cluster, replica, received_at: at(0), elected_at: at(0) }, at(0));
            } else {
                let pair = HaPair::new(cluster, replica, &rules).unwrap();
                let _: Election = elections.elect("t", pair, &rules, None, at(step as i64));
            }
            let (bytes, counted) = elections.tenants.get("t").unwrap().measured();
            prop_assert!(bytes <= MAX_TENANT_BYTES);
            prop_assert_eq!(bytes, counted);
            prop_assert!(bytes >= elections.len() * PAIR_BYTES);
        }
    }
}

#[test]
fn no_time_or_length_overflows() {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX].map(UnixMillis::new);
    let limits =
        TenantLimits { ha_tracker_update_timeout: Duration::MAX, ha_max_clusters: 1, ..TenantLimits::default() };
    for rules in [rules(), ElectionRules::new(&limits, &limits, 0.0), ElectionRules::new(&limits, &limits, 1.0)] {
        for first in extremes {
            for second in extremes {
                let elections = Elections::new();
                let (cluster, replica) = (b"c", b"a");
                elections.confirm(
                    "t",
                    &TrackerEntry { cluster, replica, received_at: first, elected_at: second },
                    first,
                );
                elections.unconfirm(UnixMillis::new(i64::MAX));
                for (replica, now) in [("b", second), ("a", first), ("b", first), ("a", second)] {
                    let _: Election = elections.preview("t", pair("c", replica), &rules, now);
                    let _: Election = elections.elect("t", pair("c", replica), &rules, Some(first), now);
                    let _: Election = elections.elect("t", pair("d", replica), &rules, Some(second), now);
                }
                elections.evict_idle(second);
            }
        }
    }
}
