use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

fn request(request_rate: f64, request_burst_size: i64) -> RateLimit {
    TenantLimits { request_rate, request_burst_size, ..TenantLimits::default() }.request_limit(NonZeroU32::MIN)
}

fn ingestion(ingestion_rate: f64, ingestion_burst_size: i64, ingestion_burst_factor: f64) -> RateLimit {
    TenantLimits { ingestion_rate, ingestion_burst_size, ingestion_burst_factor, ..TenantLimits::default() }
        .ingestion_limit(NonZeroU32::MIN)
}

/// No limit, and what Mimir's limiter has for a burst meanwhile.
fn unlimited(burst: i64) -> RateLimit {
    RateLimit::of_one(Rate::Unlimited, Burst::Items(burst))
}

fn limit(rate: f64, burst: i64) -> RateLimit {
    RateLimit::of_one(Rate::PerSecond(rate), Burst::Items(burst))
}

#[test]
fn a_request_rate_of_zero_or_less_is_off() {
    for rate in [0.0, -0.0, -1.0, f64::NEG_INFINITY] {
        assert_eq!(request(rate, 5), unlimited(0), "{rate}");
    }
    for rate in [f64::NAN, f64::MAX] {
        assert_eq!(request(rate, 5), unlimited(5), "{rate}");
    }
    assert_eq!(request(0.001, 1), limit(0.001, 1));
}

#[test]
fn a_request_burst_of_zero_or_less_is_unbounded() {
    for burst in [0, -1, i64::MIN] {
        assert_eq!(request(10.0, burst), RateLimit::of_one(Rate::PerSecond(10.0), Burst::Unlimited), "{burst}");
    }
}

#[test]
fn an_ingestion_rate_of_zero_or_less_is_a_limit() {
    assert_eq!(ingestion(0.0, 5, 0.0), limit(0.0, 5));
    assert_eq!(ingestion(-2.0, -5, 0.0), limit(-2.0, -5));
    assert_eq!(ingestion(1e21, 5, 0.0), limit(1e21, 5));
}

#[test]
fn only_the_largest_float_is_an_unlimited_ingestion_rate() {
    assert_eq!(ingestion(f64::MAX, 7, 0.0), unlimited(7));
    assert_eq!(ingestion(f64::MAX, 7, 1.0), RateLimit::of_one(Rate::Unlimited, Burst::Unlimited));
    assert_eq!(ingestion(f64::INFINITY, 7, 0.0), limit(f64::INFINITY, 7));
}

#[test]
fn a_burst_factor_from_one_on_replaces_the_burst() {
    assert_eq!(ingestion(10.0, 3, 1.5), limit(10.0, 15));
    assert_eq!(ingestion(0.3, 3, 1.0), limit(0.3, 1));
    assert_eq!(ingestion(10.0, 3, 0.999), limit(10.0, 3));
    assert_eq!(ingestion(10.0, 3, f64::NAN), limit(10.0, 3));
    assert_eq!(ingestion(1e300, 3, 1e300), limit(1e300, i64::MAX));
}

#[test]
fn relabelling_and_dropped_labels_rewrite_series() {
    assert!(!TenantLimits::default().relabels_series());
    let drop = TenantLimits { drop_labels: [Arc::from("pod")].into(), ..TenantLimits::default() };
    let relabel = TenantLimits { metric_relabel_configs: [RelabelRule::default()].into(), ..TenantLimits::default() };
    assert!([drop, relabel].iter().all(TenantLimits::relabels_series));
}

#[test]
fn exemplars_are_charged_unless_their_limit_is_zero() {
    let stores = |max_global_exemplars_per_user| {
        TenantLimits { max_global_exemplars_per_user, ..TenantLimits::default() }.stores_exemplars()
    };
    assert_eq!([-1, 0, 1].map(stores), [true, false, true]);
}

#[test]
fn differences_name_only_what_differs() {
    let limits = TenantLimits { ingestion_rate: 5.0, ..TenantLimits::default() };
    assert_eq!(limits.differences(&TenantLimits::default()).collect::<Vec<_>>(), [("ingestion_rate", "5".to_owned())]);
    assert_ne!(limits, TenantLimits::default());
    assert_eq!(limits.fields().count(), FIELDS.len());
}

#[test]
fn limits_with_nan_equal_themselves() {
    let limits = TenantLimits { request_rate: f64::NAN, ..TenantLimits::default() };
    assert_eq!(limits, limits.clone());
}

#[test]
fn a_limit_reads_as_one_line() {
    assert_eq!(limit(10.5, 3).to_string(), "10.5/s, burst 3");
    assert_eq!(request(10.5, 0).to_string(), "10.5/s, burst unlimited");
    assert_eq!(unlimited(0).to_string(), "unlimited");
}

#[test]
fn several_distributors_add_bursts_and_divide_burst_factors() {
    let several = |factor, distributors| {
        let limits = TenantLimits { ingestion_burst_factor: factor, ..TenantLimits::default() };
        limits.ingestion_limit(NonZeroU32::new(distributors).unwrap())
    };
    let check = |limit: RateLimit, burst, capacity| {
        assert_eq!((limit.rate, limit.burst), (Rate::PerSecond(10_000.0), Burst::Items(burst)));
        assert_eq!(limit.capacity, Burst::Items(capacity));
    };
    check(several(0.0, 1), 200_000, 200_000);
    check(several(0.0, 3), 200_000, 600_000);
    check(several(2.0, 1), 20_000, 20_000);
    check(several(2.0, 3), 6_667, 20_001);
}

#[test]
fn the_capacity_of_several_distributors_saturates() {
    let capacity = |burst| {
        let limits = TenantLimits { request_rate: 1.0, request_burst_size: burst, ..TenantLimits::default() };
        limits.request_limit(NonZeroU32::MAX).capacity
    };
    assert_eq!(capacity(i64::MAX), Burst::Items(i64::MAX));
    assert_eq!(capacity(0), Burst::Unlimited);
    for burst in [0, -5, i64::MIN] {
        let limits = TenantLimits { ingestion_burst_size: burst, ..TenantLimits::default() };
        assert_eq!(limits.ingestion_limit(NonZeroU32::MAX).capacity, Burst::Items(burst));
    }
}

proptest! {
    #[test]
    fn so_many_distributors_hold_so_many_bursts_and_charge_one(
        distributors in 1_u32..=50,
        burst in prop_oneof![any::<i64>(), 1_i64..1_000_000],
    ) {
        let count = NonZeroU32::new(distributors).unwrap();
        let limits = TenantLimits { ingestion_burst_size: burst, ..TenantLimits::default() };
        let limit = limits.ingestion_limit(count);
        let exact = i128::from(burst) * if burst > 0 { i128::from(distributors) } else { 1 };
        prop_assert_eq!(limit.burst, Burst::Items(burst));
        prop_assert_eq!(limit.capacity, Burst::Items(i64::try_from(exact).unwrap_or(i64::MAX)));
    }

    /// Each distributor's burst is `ceil(factor * rate / distributors)`, whatever the size says, and never overflows.
    #[test]
    fn a_factors_burst_is_that_of_the_divided_rate(
        distributors in 1_u32..=50,
        rate in prop_oneof![0.0..1e7_f64, 0.0..f64::MAX],
        factor in prop_oneof![1.0..100.0_f64, 1.0..f64::MAX],
        size in any::<i64>(),
    ) {
        let limits = TenantLimits {
            ingestion_rate: rate,
            ingestion_burst_factor: factor,
            ingestion_burst_size: size,
            ..TenantLimits::default()
        };
        let limit = limits.ingestion_limit(NonZeroU32::new(distributors).unwrap());
        let Burst::Items(burst) = limit.burst else { unreachable!("a factor with a rate gives a burst") };
        let wanted = factor * (rate / f64::from(distributors));
        if wanted < 1e15 {
            prop_assert!(burst as f64 >= wanted && burst as f64 - 1.0 < wanted, "{} for {}", burst, wanted);
        } else {
            prop_assert!(burst > 999_999_999_999_999);
        }
        prop_assert_eq!(limit.capacity, Burst::Items(burst.saturating_mul(i64::from(distributors))));
        prop_assert_eq!(limit.rate, Rate::PerSecond(rate));
    }
}
