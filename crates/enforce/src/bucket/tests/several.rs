//! One bucket in front of several distributors that each have one of their own.

use std::num::NonZeroU32;

use limits::TenantLimits;

use super::*;

/// What distributor number `of` of so many has: the rate divided, the burst whole (Mimir `pkg/distributor/rate_strategy.go`).
fn of_one_distributor(several: RateLimit, distributors: u32) -> Bucket {
    let Rate::PerSecond(per_second) = several.rate else { unreachable!("the limits of these tests have a rate") };
    Bucket::new(RateLimit::of_one(Rate::PerSecond(per_second / f64::from(distributors)), several.burst))
}

#[derive(Debug, Clone)]
struct Push {
    pause_ticks: i64,
    items: i64,
    distributor: usize,
}

fn pushes() -> impl Strategy<Value = Vec<Push>> {
    let push = (0_i64..600, 0_i64..400, any::<usize>());
    vec(push.prop_map(|(pause_ticks, items, distributor)| Push { pause_ticks, items, distributor }), 1..150)
}

/// Limits of whole tokens a second for each distributor, so that every number below is exact: a burst, or a factor that
/// gives one.
fn limits() -> impl Strategy<Value = (RateLimit, u32)> {
    (1_u32..=50, 0_i64..50, 0_i64..1_000, prop_oneof![Just(0.0), 1.0..40.0]).prop_map(
        |(distributors, each, burst, factor)| {
            let limits = TenantLimits {
                ingestion_rate: each as f64 * f64::from(distributors),
                ingestion_burst_size: burst,
                ingestion_burst_factor: factor,
                ..TenantLimits::default()
            };
            let count = NonZeroU32::new(distributors).unwrap();
            (limits.ingestion_limit(count), distributors)
        },
    )
}

proptest! {
    /// Charged with what the distributors accept, whatever the routing, the edge's bucket has what they have in sum, or more.
    #[test]
    fn what_any_of_the_distributors_accepts_the_edge_allows(
        (limit, distributors) in limits(),
        pushes in pushes(),
    ) {
        let mut edge = Bucket::new(limit);
        let mut each = vec![of_one_distributor(limit, distributors); distributors as usize];
        let mut tick = 0;
        for Push { pause_ticks, items, distributor } in pushes {
            tick += pause_ticks;
            let now = MonotonicNanos::from_nanos(tick * NANOS_PER_TICK);
            let mut accepted = edge.clone();
            let allowed = accepted.take(items, now);
            if each[distributor % distributors as usize].take(items, now) {
                prop_assert!(allowed, "{} items at tick {}: {:?}", items, tick, edge);
                edge = accepted;
            }
            let sum: f64 = each.iter().map(|bucket| bucket.tokens(now)).sum();
            prop_assert!(edge.tokens(now) >= sum, "{} < {} at tick {}", edge.tokens(now), sum, tick);
        }
    }

    /// Of pushes of one size that go to the distributors in turn, the edge's bucket lets through no fewer than they accept alone,
    /// although it is charged for those that they would refuse.
    #[test]
    fn an_overloaded_edge_allows_what_the_distributors_accept_alone(
        (limit, distributors) in limits(),
        items in 1_i64..200,
        count in 1_usize..2_000,
    ) {
        let mut edge = Bucket::new(limit);
        let mut each = vec![of_one_distributor(limit, distributors); distributors as usize];
        let (mut allowed, mut accepted) = (0, 0);
        for turn in 0..count {
            let now = MonotonicNanos::from_nanos(turn as i64 * NANOS_PER_TICK);
            allowed += i64::from(edge.take(items, now)) * items;
            accepted += i64::from(each[turn % distributors as usize].take(items, now)) * items;
        }
        prop_assert!(allowed >= accepted, "{} of {}", allowed, accepted);
    }

    /// The number of distributors does not matter: one distributor takes one push.
    #[test]
    fn a_charge_above_one_burst_is_always_denied(
        (limit, _) in limits(),
        more in 1_i64..1_000_000,
        at in 0_i64..i64::MAX,
    ) {
        let mut bucket = Bucket::new(limit);
        let untouched = bucket.clone();
        prop_assert!(!bucket.take(bucket.burst() + more, MonotonicNanos::from_nanos(at)));
        prop_assert_eq!(bucket, untouched);
    }

    /// One distributor's bucket is the plain one, also under limits that change.
    #[test]
    fn with_one_distributor_nothing_differs(
        steps in vec((0_i64..3_000_000_000, any::<f64>(), any::<i64>(), 0..=i64::MAX), 1..60),
    ) {
        let start = RateLimit::of_one(Rate::PerSecond(1.0), Burst::Items(10));
        let (mut one, mut plain) = (Bucket::new(start), Bucket::new(start));
        let mut nanos = 0;
        for (pause, per_second, burst, items) in steps {
            nanos += pause;
            let (rate, burst, now) = (Rate::PerSecond(per_second), Burst::Items(burst), MonotonicNanos::from_nanos(nanos));
            one.set_limit(RateLimit::of_several(rate, burst, NonZeroU32::MIN), now);
            plain.set_limit(RateLimit::of_one(rate, burst), now);
            prop_assert_eq!(one.take(items, now), plain.take(items, now));
            prop_assert!(same_float(one.tokens(now), plain.tokens(now)));
        }
    }
}

proptest! {
    /// What several distributors take together: their bursts at once, the rate from then on, and never more than one
    /// burst in one charge.
    #[test]
    fn several_distributors_together_take_their_bursts_and_the_rate(
        per_second in 1.0..1e6_f64,
        burst in 1..10_000_i64,
        distributors in 1..=50_u32,
        steps in vec((0..500_u64, 1..12_000_i64), 1..200),
    ) {
        let (rate, burst_of_one) = (Rate::PerSecond(per_second), Burst::Items(burst));
        let several = RateLimit::of_several(rate, burst_of_one, distributors.try_into().unwrap());
        let (mut bucket, mut one) = (Bucket::new(several), Bucket::new(RateLimit::of_one(rate, burst_of_one)));
        let (mut elapsed, mut granted) = (0, 0);
        for (pause, items) in steps {
            elapsed += pause;
            let taken = bucket.take(items, after(elapsed));
            prop_assert!(!taken || items <= burst);
            granted += if taken { items } else { 0 };
            let most = f64::from(distributors) * burst as f64 + per_second * elapsed as f64 / 1000.0;
            prop_assert!(granted as f64 <= most * (1.0 + 1e-9) + 1.0, "{granted} of {most}");
            if distributors == 1 {
                prop_assert_eq!(taken, one.take(items, after(elapsed)));
            }
        }
        prop_assert!(bucket.take(0, after(elapsed)));
    }
}

#[test]
fn three_distributors_give_three_bursts_but_no_larger_one() {
    let limit = RateLimit::of_several(Rate::PerSecond(3.0), Burst::Items(10), 3.try_into().unwrap());
    let mut bucket = Bucket::new(limit);
    assert!(!bucket.take(11, START));
    assert_eq!([(); 4].map(|()| bucket.take(10, START)), [true, true, true, false]);
    assert!(bucket.take(3, after(1_000)) && !bucket.take(1, after(1_000)));
    assert_eq!(bucket.wait_until_full(after(1_000)), Some(Duration::from_secs(10)));
    bucket.set_limit(RateLimit::of_one(limit.rate, limit.burst), after(11_000));
    assert_eq!(bucket.tokens(after(11_000)), 10.0, "two distributors less hold two bursts less");
}
