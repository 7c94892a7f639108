use limits::{Burst, Rate, Tenant};
use proptest::prelude::*;

use super::*;
use crate::{BucketOwner, Enforcer};

const START: MonotonicNanos = MonotonicNanos::from_nanos(0);

fn limit(per_second: f64, burst: i64) -> RateLimit {
    RateLimit::of_one(Rate::PerSecond(per_second), Burst::Items(burst))
}

fn tenant(header: &str) -> BucketOwner<'_> {
    BucketOwner { tenant: Tenant::parse(Some(header.as_bytes())).unwrap(), has_override: false }
}

#[test]
fn shows_tokens_and_waits_without_charging() {
    let enforcer = Enforcer::new();
    let limit = limit(10.0, 100);
    assert_eq!(enforcer.charge_items(&tenant("t"), limit, 60, START), Decision::Allow);
    for _ in 0..3 {
        let level = enforcer.ingestion_level(&tenant("t"), limit, START);
        assert_eq!(level.tokens(), Some(40.0));
        assert_eq!(level.wait_for(40), Some(Duration::ZERO));
        assert_eq!(level.wait_for(45), Some(Duration::from_millis(500)));
        assert_eq!(level.wait_for(101), None);
        assert_eq!(level.wait_until_full(), Some(Duration::from_secs(6)));
        assert_eq!(level.preview_items(40), Decision::Allow);
    }
}

#[test]
fn an_unseen_tenant_has_a_full_bucket_without_a_place() {
    let enforcer = Enforcer::new();
    let level = enforcer.request_level(&tenant("t"), limit(1.0, 5), START);
    assert_eq!((level.tokens(), level.wait_until_full()), (Some(5.0), Some(Duration::ZERO)));
    assert_eq!(enforcer.tenants(), 0);
}

#[test]
fn without_a_limit_there_are_no_tokens_and_no_waits() {
    let unlimited = RateLimit::of_one(Rate::Unlimited, Burst::Unlimited);
    let level = Enforcer::new().ingestion_level(&tenant("t"), unlimited, START);
    assert_eq!(level.tokens(), None);
    assert_eq!(level.wait_for(u64::MAX), Some(Duration::ZERO));
    assert_eq!(level.wait_until_full(), Some(Duration::ZERO));
    assert_eq!(level.preview_items(u64::MAX), Decision::Allow);
}

#[test]
fn a_bucket_that_never_refills_has_no_wait() {
    let enforcer = Enforcer::new();
    let limit = limit(0.0, 5);
    assert_eq!(enforcer.charge_items(&tenant("t"), limit, 5, START), Decision::Allow);
    let level = enforcer.ingestion_level(&tenant("t"), limit, START);
    assert_eq!((level.wait_for(1), level.wait_until_full()), (None, None));
}

#[test]
fn spellings_show_their_own_bucket_and_a_changed_limit() {
    let enforcer = Enforcer::new();
    assert_eq!(enforcer.charge_items(&tenant("t:k=v"), limit(1.0, 10), 4, START), Decision::Allow);
    assert_eq!(enforcer.ingestion_level(&tenant("t:k=v"), limit(1.0, 10), START).tokens(), Some(6.0));
    assert_eq!(enforcer.ingestion_level(&tenant("t"), limit(1.0, 10), START).tokens(), Some(10.0));
    assert_eq!(enforcer.ingestion_level(&tenant("t:k=v"), limit(1.0, 3), START).tokens(), Some(3.0));
}

proptest! {
    /// Whatever happened before: the preview is what the charge then decides, and the announced wait is enough.
    #[test]
    fn a_preview_is_what_the_charge_decides(
        rate in prop_oneof![Just(0.0), 0.1..1e6_f64],
        burst in 0..1000_i64,
        steps in prop::collection::vec((0..2_000_000_000_i64, 0..1200_u64), 1..40),
    ) {
        let (enforcer, limit, mut now) = (Enforcer::new(), limit(rate, burst), 0);
        for (pause, items) in steps {
            now += pause;
            let moment = MonotonicNanos::from_nanos(now);
            let level = enforcer.ingestion_level(&tenant("t"), limit, moment);
            let request = enforcer.request_level(&tenant("t"), limit, moment);
            if let Some(wait) = level.wait_for(items) {
                let later = enforcer.ingestion_level(&tenant("t"), limit, moment + wait + Duration::from_nanos(2));
                prop_assert_eq!(later.preview_items(items), Decision::Allow);
            } else {
                prop_assert!(items > 0 && level.preview_items(items) != Decision::Allow);
            }
            prop_assert_eq!(level.preview_items(items), enforcer.charge_items(&tenant("t"), limit, items, moment));
            prop_assert_eq!(request.preview_requests(items / 100), enforcer.admit_requests(&tenant("t"), limit, items / 100, moment));
        }
    }
}
