//! The bucket against a recording of Go's limiter, and against a model that keeps no tokens at all.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const START: MonotonicNanos = MonotonicNanos::from_nanos(0);

fn limit(per_second: f64, burst: i64) -> RateLimit {
    RateLimit::of_one(Rate::PerSecond(per_second), Burst::Items(burst))
}

fn after(milliseconds: u64) -> MonotonicNanos {
    START + Duration::from_millis(milliseconds)
}

fn float(bits: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(bits, 16).unwrap())
}

fn same_float(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
}

#[test]
fn replays_a_recording_of_gos_limiter_to_the_last_bit() {
    let mut bucket = Bucket::new(limit(0.0, 0));
    let mut current = limit(0.0, 0);
    let mut steps = 0;
    for (index, line) in include_str!("../../testdata/go_rate.csv").lines().enumerate() {
        let fields: Vec<_> = line.split(',').collect();
        let [operation, first, second, granted, tokens] = fields[..] else {
            assert!(line.starts_with('#'), "line {index}: {line}");
            continue;
        };
        if operation == "new" {
            current = limit(float(first), second.parse().unwrap());
            bucket = Bucket::new(current);
            continue;
        }
        let now = MonotonicNanos::from_nanos(first.parse().unwrap());
        match operation {
            "take" => assert_eq!(bucket.take(second.parse().unwrap(), now), granted == "1", "line {index}: {line}"),
            "limit" => current.rate = Rate::PerSecond(float(second)),
            "burst" => current = RateLimit::of_one(current.rate, Burst::Items(second.parse().unwrap())),
            other => panic!("line {index}: {other}"),
        }
        bucket.set_limit(current, now);
        assert!(same_float(bucket.tokens(now), float(tokens)), "line {index}: {line}: {bucket:?}");
        steps += 1;
    }
    assert_eq!(steps, 512);
}

/// Rows printed by Go with `time.Duration(n).Seconds()`; one division would give another last bit for each.
#[test]
fn converts_nanoseconds_to_seconds_as_go_does() {
    for (nanos, bits) in [
        (15_917_781_615, 0x402f_d5e7_78ca_9712),
        (200_571_286_680, 0x4069_1247_fb00_e7b2),
        (549_465_010_436, 0x4081_2bb8_5764_375a),
        (1_026_897_492_702_455_952, 0x41ce_9a9b_2a59_ea14),
    ] {
        assert_eq!(go_seconds(nanos).to_bits(), bits, "{nanos}");
    }
}

#[test]
fn denies_when_cost_exceeds_burst_even_if_full() {
    let mut bucket = Bucket::new(limit(1e21, 5));
    assert!(!bucket.take(6, START));
    assert!(bucket.take(5, START));
}

#[test]
fn a_rate_of_zero_spends_the_burst_and_regains_nothing() {
    for per_second in [0.0, -1.0, f64::NEG_INFINITY] {
        let mut bucket = Bucket::new(limit(per_second, 2));
        assert!(bucket.take(2, START));
        assert!(!bucket.take(1, after(u64::from(u32::MAX))), "{per_second}");
        assert!(!bucket.is_full(after(u64::from(u32::MAX))), "{per_second}");
    }
}

#[test]
fn a_burst_of_zero_or_less_denies_everything() {
    for burst in [0, -1, i64::MIN] {
        assert!(!Bucket::new(limit(1e9, burst)).take(1, after(1_000)), "{burst}");
    }
}

#[test]
fn an_unlimited_rate_ignores_the_burst() {
    for rate in [Rate::Unlimited, Rate::PerSecond(f64::MAX)] {
        let mut bucket = Bucket::new(RateLimit::of_one(rate, Burst::Items(0)));
        let untouched = bucket.clone();
        assert!(bucket.take(i64::MAX, START));
        assert_eq!(bucket, untouched);
    }
}

#[test]
fn a_rate_that_is_no_number_limits_only_by_burst() {
    let mut bucket = Bucket::new(limit(f64::NAN, 3));
    for _ in 0..10 {
        assert!(bucket.take(3, START));
    }
    assert!(!bucket.take(4, START));
    assert!(!bucket.is_full(START));
}

#[test]
fn a_debt_worth_less_than_a_nanosecond_is_granted() {
    let mut bucket = Bucket::new(limit(1e10, 1));
    assert!(bucket.take(1, START));
    assert!(!bucket.take(10, START), "10 items are worth exactly one nanosecond");
    bucket.set_limit(limit(1e10, 10), START);
    assert!(!bucket.take(10, START));
    assert!(bucket.take(9, START));
}

#[test]
fn a_changed_limit_keeps_the_tokens() {
    let mut bucket = Bucket::new(limit(1.0, 10));
    assert!(bucket.take(10, START));
    bucket.set_limit(limit(1_000.0, 100), after(2_000));
    assert!(!bucket.take(3, after(2_000)), "2 s at the old rate earned 2");
    assert!(bucket.take(2, after(2_000)));
    bucket.set_limit(limit(1_000.0, 5), after(3_000));
    assert!(!bucket.take(6, after(3_000)));
    assert!(bucket.take(5, after(3_000)));
    assert!(!bucket.take(1, after(3_000)));
}

#[test]
fn is_full_from_the_moment_the_last_token_is_back() {
    let mut bucket = Bucket::new(limit(4.0, 8));
    assert!(bucket.is_full(START));
    assert!(bucket.take(6, START));
    assert!(!bucket.is_full(after(1_499)));
    assert!(bucket.is_full(after(1_500)));
}

/// Times in ticks of 1/512 s and whole rates keep every number below exactly representable as a float, so the model
/// and the bucket must agree to the last token.
const TICKS_PER_SECOND: i128 = 512;
const NANOS_PER_TICK: i64 = 1_953_125;

/// Says what a push may take from the list of granted ones alone: for every earlier push, what was granted since then
/// may not exceed the burst and what came in since.
#[derive(Debug, Default)]
struct History {
    granted: Vec<(i64, i64)>,
}

impl History {
    fn grants(&self, per_second: i64, burst: i64, tick: i64, items: i64) -> bool {
        let scaled = |tokens: i64| i128::from(tokens) * TICKS_PER_SECOND;
        let mut available = scaled(burst);
        for (index, &(since, _)) in self.granted.iter().enumerate() {
            let spent: i64 = self.granted[index..].iter().map(|&(_, items)| items).sum();
            let earned = i128::from(per_second) * i128::from(tick - since);
            available = available.min(scaled(burst) + earned - scaled(spent));
        }
        scaled(items) <= available
    }
}

proptest! {
    #[test]
    fn grants_what_the_history_of_grants_leaves(
        per_second in 0_i64..2_000,
        burst in 0_i64..1_000,
        pushes in vec((0_i64..400, 0_i64..600), 1..60),
    ) {
        let mut bucket = Bucket::new(limit(per_second as f64, burst));
        let mut history = History::default();
        let mut tick = 0;
        for (pause, items) in pushes {
            tick += pause;
            let expected = history.grants(per_second, burst, tick, items);
            let now = MonotonicNanos::from_nanos(tick * NANOS_PER_TICK);
            prop_assert_eq!(bucket.take(items, now), expected, "{} items at tick {}", items, tick);
            if expected {
                history.granted.push((tick, items));
            }
        }
    }

    #[test]
    fn no_window_grants_more_than_burst_and_rate_times_time(
        per_second in prop_oneof![0.0..1_000.0, 0.0..1e7, Just(1e-9)],
        burst in 0_i64..10_000,
        pushes in vec((0_i64..3_000_000_000, 1_i64..2_000), 1..100),
    ) {
        let mut bucket = Bucket::new(limit(per_second, burst));
        let mut nanos = 0;
        let mut granted: Vec<(i64, i64)> = Vec::new();
        for (pause, items) in pushes {
            nanos += pause;
            if bucket.take(items, MonotonicNanos::from_nanos(nanos)) {
                granted.push((nanos, items));
            }
        }
        for from in 0..granted.len() {
            let mut sum = 0;
            for &(at, items) in &granted[from..] {
                sum += items;
                let bound = burst as f64 + per_second * (at - granted[from].0) as f64 / 1e9;
                let rounding = per_second * 1e-9 + bound * 1e-12;
                prop_assert!(sum as f64 <= bound + rounding, "{} granted, bound {}", sum, bound);
            }
        }
    }

    #[test]
    fn a_denied_charge_changes_nothing(
        per_second in any::<f64>(),
        burst in any::<i64>(),
        pushes in vec((any::<i64>(), 0..=i64::MAX), 1..40),
    ) {
        let mut bucket = Bucket::new(limit(per_second, burst));
        for (nanos, items) in pushes {
            let before = bucket.clone();
            if !bucket.take(items, MonotonicNanos::from_nanos(nanos)) {
                prop_assert_eq!(&bucket, &before);
            }
        }
    }
}

mod several;
