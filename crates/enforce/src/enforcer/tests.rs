//! The steps over many tenants, spellings and threads; the texts are tested in `message/tests.rs`.

use std::fmt::Write;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use limits::{Burst, Rate};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::MAX_SPELLINGS;

mod early;
mod refunds;
mod unmetered;

const START: MonotonicNanos = MonotonicNanos::from_nanos(0);

fn limit(per_second: f64, burst: i64) -> RateLimit {
    RateLimit::of_one(Rate::PerSecond(per_second), Burst::Items(burst))
}

const UNLIMITED: RateLimit = RateLimit::of_one(Rate::Unlimited, Burst::Unlimited);

fn tenant(header: &str) -> BucketOwner<'_> {
    BucketOwner { tenant: Tenant::parse(Some(header.as_bytes())).unwrap(), has_override: false }
}

fn seconds(count: u64) -> MonotonicNanos {
    START + Duration::from_secs(count)
}

#[track_caller]
fn check(decision: &Decision, expected: Option<DenyReason>) {
    let reason = match decision {
        Decision::Allow => None,
        Decision::Deny(denial) => Some(denial.reason()),
    };
    assert_eq!(reason, expected);
}

#[test]
fn requests_over_the_rate_are_denied_until_it_refills() {
    let enforcer = Enforcer::new();
    let once = limit(2.0, 1);
    check(&enforcer.admit_request(&tenant("a"), once, START), None);
    check(&enforcer.admit_request(&tenant("a"), once, START), Some(DenyReason::RequestRate));
    check(&enforcer.admit_request(&tenant("a"), once, START + Duration::from_millis(500)), None);
}

#[test]
fn items_are_taken_all_or_not_at_all() {
    let enforcer = Enforcer::new();
    let ten = limit(0.01, 10);
    check(&enforcer.charge_items(&tenant("a"), ten, 6, START), None);
    check(&enforcer.charge_items(&tenant("a"), ten, 5, START), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&tenant("a"), ten, 4, START), None);
}

/// Also while the bucket is empty.
#[test]
fn a_charge_above_the_burst_is_denied_as_burst() {
    let enforcer = Enforcer::new();
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 10), 10, START), None);
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 10), 11, START), Some(DenyReason::IngestionBurst));
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 0), 1, START), Some(DenyReason::IngestionBurst));
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, -3), 1, START), Some(DenyReason::IngestionBurst));
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 10), u64::MAX, START), Some(DenyReason::IngestionBurst));
}

#[test]
fn no_items_are_free_and_leave_no_trace() {
    let enforcer = Enforcer::new();
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 0), 0, START), None);
    assert_eq!(enforcer.tenants(), 0);
}

#[test]
fn a_tenant_without_limits_is_forgotten_once_it_is_idle() {
    let enforcer = Enforcer::new();
    check(&enforcer.admit_request(&tenant("a"), UNLIMITED, START), None);
    check(&enforcer.charge_items(&tenant("a:k=v"), UNLIMITED, u64::MAX, START), None);
    assert_eq!([enforcer.evict_idle(START), enforcer.evict_idle(START), enforcer.evict_idle(START)], [0, 1, 0]);
}

#[test]
fn a_tenant_that_pushes_is_not_forgotten() {
    let enforcer = Enforcer::new();
    for minute in 1..5 {
        check(&enforcer.charge_items(&tenant("a"), limit(1e6, 10), 10, seconds(60 * minute - 1)), None);
        assert_eq!(enforcer.evict_idle(seconds(60 * minute)), 0);
    }
    check(&enforcer.charge_items(&tenant("a"), limit(0.001, 1_000), 11, seconds(241)), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&tenant("a"), limit(0.001, 1_000), 10, seconds(241)), None);
}

#[test]
fn limit_changes_apply_from_the_next_call() {
    let enforcer = Enforcer::new();
    for header in ["a", "a:k=v"] {
        let tenant = tenant(header);
        check(&enforcer.charge_items(&tenant, limit(1.0, 5), 5, START), None);
        check(&enforcer.charge_items(&tenant, UNLIMITED, 1_000, START), None);
        check(&enforcer.charge_items(&tenant, limit(1.0, 5), 1, START), Some(DenyReason::IngestionRate));
        check(&enforcer.charge_items(&tenant, limit(1.0, 5), 3, seconds(3)), None);
        check(&enforcer.charge_items(&tenant, limit(1.0, 500), 1, seconds(3)), Some(DenyReason::IngestionRate));
    }
}

#[test]
fn spellings_share_the_request_bucket_and_not_the_ingestion_bucket() {
    let enforcer = Enforcer::new();
    let three = limit(0.01, 3);
    for header in ["a", "a:k=v", "a|a"] {
        check(&enforcer.admit_request(&tenant(header), three, START), None);
    }
    for header in ["a", "a:k=v", "a:k=w", "a|a"] {
        check(&enforcer.admit_request(&tenant(header), three, START), Some(DenyReason::RequestRate));
    }
    for header in ["a", "a:k=v", "a:k=w"] {
        check(&enforcer.charge_items(&tenant(header), three, 3, START), None);
    }
    for header in ["a", "a:k=v", "a:k=w", "a|a"] {
        check(&enforcer.charge_items(&tenant(header), three, 1, START), Some(DenyReason::IngestionRate));
    }
    assert_eq!(enforcer.tenants(), 1);
}

#[test]
fn requests_and_items_have_buckets_of_their_own() {
    let enforcer = Enforcer::new();
    let one = limit(0.01, 1);
    check(&enforcer.admit_request(&tenant("a"), one, START), None);
    check(&enforcer.charge_items(&tenant("a"), one, 1, START), None);
}

/// They are counted.
#[test]
fn spellings_beyond_the_bound_share_the_bare_bucket() {
    let enforcer = Enforcer::new();
    let four = limit(1.0, 4);
    for index in 0..MAX_SPELLINGS {
        check(&enforcer.charge_items(&tenant(&format!("a:k={index}")), four, 4, START), None);
    }
    assert_eq!(enforcer.spelling_overflows(), 0);
    check(&enforcer.charge_items(&tenant("a:k=x"), four, 3, START), None);
    check(&enforcer.charge_items(&tenant("a:k=y"), four, 2, START), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&tenant("a"), four, 2, START), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&tenant("a"), four, 1, START), None);
    check(&enforcer.charge_items(&tenant("a:k=0"), four, 1, START), Some(DenyReason::IngestionRate));
    assert_eq!(enforcer.spelling_overflows(), 2);
    check(&enforcer.charge_items(&tenant("b:k=x"), four, 4, START), None);
    assert_eq!(enforcer.spelling_overflows(), 2);
}

#[test]
fn idle_spellings_yield_their_places_while_the_tenant_stays() {
    let enforcer = Enforcer::new();
    for index in 0..MAX_SPELLINGS {
        check(&enforcer.charge_items(&tenant(&format!("a:k={index}")), limit(1.0, 4), 4, START), None);
    }
    check(&enforcer.charge_items(&tenant("a"), limit(1.0, 100), 100, START), None);
    assert_eq!(enforcer.evict_idle(seconds(4)), 0);
    assert_eq!(enforcer.tenants(), 1);
    check(&enforcer.charge_items(&tenant("a:k=x"), limit(1.0, 4), 4, seconds(4)), None);
    assert_eq!(enforcer.spelling_overflows(), 0);
}

#[test]
fn evicts_only_tenants_whose_every_bucket_is_full() {
    let enforcer = Enforcer::new();
    check(&enforcer.admit_request(&tenant("requests"), limit(1.0, 9), START), None);
    check(&enforcer.charge_items(&tenant("requests"), limit(1.0, 9), 5, START), None);
    check(&enforcer.charge_items(&tenant("spelling:k=v"), limit(1.0, 9), 6, START), None);
    check(&enforcer.charge_items(&tenant("never-refills"), limit(0.0, 9), 1, START), None);
    assert_eq!(enforcer.evict_idle(seconds(3)), 0);
    assert_eq!(enforcer.evict_idle(seconds(4)), 0);
    assert_eq!(enforcer.evict_idle(seconds(5)), 1);
    assert_eq!(enforcer.evict_idle(seconds(6)), 1);
    assert_eq!(enforcer.evict_idle(MonotonicNanos::from_nanos(i64::MAX)), 0);
    assert_eq!(enforcer.tenants(), 1);
}

#[test]
fn four_threads_together_get_exactly_the_burst() {
    const BURST: usize = 10_000;
    let enforcer = Enforcer::new();
    let (requests, items) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for header in ["a", "a|a", "a", "a|a|a"] {
            let (enforcer, requests, items) = (&enforcer, &requests, &items);
            scope.spawn(move || {
                let tenant = tenant(header);
                for _ in 0..BURST / 2 {
                    if enforcer.admit_request(&tenant, limit(0.0, BURST as i64), START) == Decision::Allow {
                        requests.fetch_add(1, Ordering::Relaxed);
                    }
                    if enforcer.charge_items(&tenant, limit(0.0, BURST as i64), 3, START) == Decision::Allow {
                        items.fetch_add(3, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(requests.into_inner(), BURST);
    assert_eq!(items.into_inner(), BURST / 3 * 3);
}

#[test]
fn holds_a_million_tenants_and_forgets_the_idle_ones() {
    const TENANTS: usize = 1_000_000;
    let enforcer = Enforcer::with_places(TENANTS);
    let mut header = String::new();
    for index in 0..TENANTS {
        header.clear();
        write!(header, "tenant-{index}").unwrap();
        let items = if index % 2 == 0 { 1 } else { 10 };
        assert_eq!(enforcer.charge_items(&tenant(&header), limit(1.0, 10), items, START), Decision::Allow);
    }
    assert_eq!(enforcer.tenants(), TENANTS);
    assert_eq!(enforcer.evict_idle(seconds(4)), 0);
    assert_eq!(enforcer.evict_idle(seconds(5)), TENANTS / 2);
    check(&enforcer.charge_items(&tenant("tenant-1"), limit(1.0, 10), 6, seconds(5)), Some(DenyReason::IngestionRate));
    assert_eq!(enforcer.evict_idle(seconds(10)), TENANTS / 2 - 1);
    assert_eq!(enforcer.evict_idle(seconds(10)), 1);
    assert_eq!(enforcer.tenants(), 0);
    assert!(enforcer.tenants.capacity() < TENANTS / 100, "memory is given back");
}

const HEADERS: [&str; 5] = ["a", "b", "a:k=v", "a:k=w", "b:k=v"];

#[derive(Debug, Clone)]
enum Step {
    Request(usize),
    Items(usize, u64),
    Evict,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        2 => (0..HEADERS.len()).prop_map(Step::Request),
        4 => (0..HEADERS.len(), 0_u64..30).prop_map(|(header, items)| Step::Items(header, items)),
        1 => Just(Step::Evict),
    ];
    vec((0_u64..4_000_000_000, step), 1..80)
}

fn some_limit() -> impl Strategy<Value = RateLimit> {
    let rate = prop_oneof![
        4 => (0.0..20.0).prop_map(Rate::PerSecond),
        1 => prop::sample::select(vec![0.0, -1.0, 1e21, f64::NAN, f64::INFINITY]).prop_map(Rate::PerSecond),
        1 => Just(Rate::Unlimited),
    ];
    let burst = prop_oneof![6 => (-1_i64..30).prop_map(Burst::Items), 1 => Just(Burst::Unlimited)];
    (rate, burst).prop_map(|(rate, burst)| RateLimit::of_one(rate, burst))
}

fn decide(enforcer: &Enforcer, step: &Step, limits: &[RateLimit], now: MonotonicNanos) -> Option<Decision> {
    match *step {
        // The request limit is the bare tenant's, as `limits` gives it.
        Step::Request(header) => {
            let bare = usize::from(HEADERS[header].starts_with('b'));
            Some(enforcer.admit_request(&tenant(HEADERS[header]), limits[HEADERS.len() + bare], now))
        }
        Step::Items(header, items) => Some(enforcer.charge_items(&tenant(HEADERS[header]), limits[header], items, now)),
        Step::Evict => None,
    }
}

proptest! {
    #[test]
    fn eviction_at_any_moment_changes_no_decision(
        limits in vec(some_limit(), HEADERS.len() + 2),
        steps in steps(),
    ) {
        let (kept, evicted) = (Enforcer::new(), Enforcer::new());
        let mut now = START;
        for (pause, step) in steps {
            now = now + Duration::from_nanos(pause);
            if matches!(step, Step::Evict) {
                // Once more than a tenant that was just used is spared.
                evicted.evict_idle(now);
                evicted.evict_idle(now);
            }
            prop_assert_eq!(decide(&kept, &step, &limits, now), decide(&evicted, &step, &limits, now));
        }
    }

    #[test]
    fn tenants_and_their_spellings_never_spend_each_others_items(
        limits in vec(some_limit(), HEADERS.len() + 2),
        steps in steps(),
    ) {
        let together = Enforcer::new();
        let alone: Vec<_> = HEADERS.iter().map(|_| Enforcer::new()).collect();
        let mut now = START;
        for (pause, step) in steps {
            now = now + Duration::from_nanos(pause);
            if let Step::Items(header, _) = step {
                let expected = decide(&alone[header], &step, &limits, now);
                prop_assert_eq!(decide(&together, &step, &limits, now), expected);
            }
        }
    }
}

#[test]
fn lists_the_names_of_known_tenants() {
    let enforcer = Enforcer::new();
    assert!(enforcer.names().is_empty());
    for number in [3, 1, 4, 10, 5, 9, 2, 6] {
        let name = format!("t{number}:k=v");
        assert!(enforcer.admit_request(&tenant(&name), limit(1.0, 5), MonotonicNanos::default()) == Decision::Allow);
    }
    let mut names = enforcer.names();
    names.sort_unstable();
    assert_eq!(
        names.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["t1", "t10", "t2", "t3", "t4", "t5", "t6", "t9"]
    );
}

#[test]
fn invented_names_fill_bounded_places_and_cost_no_tenant() {
    let enforcer = Enforcer::with_places(10);
    let ten = limit(0.01, 10);
    let overridden = |header| BucketOwner { has_override: true, ..tenant(header) };
    check(&enforcer.charge_items(&tenant("known"), ten, 6, START), None);
    for name in 0..SHARED * 3 {
        // Tenants that share a bucket may find it empty: either decision is right.
        let _: Decision = enforcer.charge_items(&tenant(&format!("t{name}")), ten, 1, START);
    }
    assert_eq!(enforcer.tenants(), 10);
    assert!(enforcer.shared.len() as u64 <= SHARED && enforcer.tenant_overflows() == SHARED * 3 - 9);
    check(&enforcer.charge_items(&tenant("known"), ten, 4, START), None);
    check(&enforcer.charge_items(&tenant("known"), ten, 1, START), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&overridden("named"), ten, 10, START), None);
    check(&enforcer.charge_items(&overridden("named:k=v"), ten, 10, START), None);
    assert_eq!((enforcer.tenants(), enforcer.places.load(Ordering::Relaxed)), (11, 12));
    // All of it is forgotten, and counted.
    let later = seconds(10_000);
    assert_eq!([enforcer.evict_idle(later), enforcer.evict_idle(later)], [0, 11]);
    assert_eq!((enforcer.places.load(Ordering::Relaxed), enforcer.shared.len()), (0, 0));
    assert!(!enforcer.is_full());
}

#[test]
fn a_tenant_gaining_a_place_gains_no_tokens() {
    let enforcer = Enforcer::with_places(1);
    let ten = limit(1.0, 10);
    check(&enforcer.charge_items(&tenant("first"), ten, 1, START), None);
    assert!(enforcer.is_full());
    assert_eq!(enforcer.ingestion_level(&tenant("late"), ten, START).preview_items(10), Decision::Allow);
    check(&enforcer.charge_items(&tenant("late"), ten, 10, START), None);
    assert_ne!(enforcer.ingestion_level(&tenant("late"), ten, START).preview_items(1), Decision::Allow);
    check(&enforcer.charge_items(&tenant("late"), ten, 1, START), Some(DenyReason::IngestionRate));
    // The place is free, and the tokens are spent.
    assert_eq!([enforcer.evict_idle(seconds(2)), enforcer.evict_idle(seconds(3))], [0, 1]);
    assert!(!enforcer.is_full());
    check(&enforcer.charge_items(&tenant("late"), ten, 4, seconds(3)), Some(DenyReason::IngestionRate));
    check(&enforcer.charge_items(&tenant("late"), ten, 3, seconds(3)), None);
    assert_eq!((enforcer.tenants(), enforcer.shared.len()), (0, 1));
    assert_eq!([enforcer.evict_idle(seconds(60)), enforcer.evict_idle(seconds(60))], [0, 0]);
    check(&enforcer.charge_items(&tenant("late"), ten, 10, seconds(60)), None);
    assert_eq!((enforcer.tenants(), enforcer.shared.len()), (1, 0));
}

#[test]
fn spellings_take_places_too() {
    let enforcer = Enforcer::with_places(4);
    let ten = limit(0.01, 10);
    for spelling in 0..20 {
        check(
            &enforcer.charge_items(&tenant(&format!("a:k={spelling}")), ten, 1, START),
            (spelling >= 13).then_some(DenyReason::IngestionRate),
        );
    }
    assert_eq!((enforcer.places.load(Ordering::Relaxed), enforcer.spelling_overflows()), (4, 17));
    assert_eq!([enforcer.evict_idle(seconds(2_000)), enforcer.evict_idle(seconds(2_000))], [0, 1]);
    assert_eq!(enforcer.places.load(Ordering::Relaxed), 0);
}
