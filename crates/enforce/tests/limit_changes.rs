//! Limits that change while a tenant pushes: what Mimir's limiter leaves of the tokens.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU32;
use std::time::Duration;

use enforce::{BucketOwner, Decision, Enforcer, MonotonicNanos};
use limits::{Tenant, TenantLimits};

const START: MonotonicNanos = MonotonicNanos::from_nanos(0);

fn tenant() -> BucketOwner<'static> {
    BucketOwner { tenant: Tenant::parse(Some(b"team")).unwrap(), has_override: false }
}

/// A tenant of one distributor whose limits a test changes.
#[derive(Default)]
struct Running {
    enforcer: Enforcer,
    limits: TenantLimits,
}

impl Running {
    fn requests(&self, count: u64, now: MonotonicNanos) -> bool {
        let limit = self.limits.request_limit(NonZeroU32::MIN);
        self.enforcer.admit_requests(&tenant(), limit, count, now) == Decision::Allow
    }

    fn items(&self, count: u64, now: MonotonicNanos) -> bool {
        let limit = self.limits.ingestion_limit(NonZeroU32::MIN);
        self.enforcer.charge_items(&tenant(), limit, count, now) == Decision::Allow
    }
}

fn float(bits: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(bits, 16).unwrap())
}

#[test]
fn replays_a_recording_of_mimirs_limiter_under_changing_limits() {
    let (mut running, mut requests, mut steps) = (Running::default(), false, 0);
    for (index, line) in include_str!("../testdata/limit_changes.csv").lines().enumerate() {
        let fields: Vec<_> = line.split(',').collect();
        match fields[..] {
            ["new", kind, ..] => (running, requests) = (Running::default(), kind == "request"),
            ["limits", rate, burst, factor] => {
                let (rate, burst, factor) = (float(rate), burst.parse().unwrap(), factor.parse().unwrap());
                let limits = &mut running.limits;
                (limits.request_rate, limits.request_burst_size) = (rate, burst);
                (limits.ingestion_rate, limits.ingestion_burst_size, limits.ingestion_burst_factor) =
                    (rate, burst, factor);
            }
            ["take", at, items, granted] => {
                let (at, items) = (MonotonicNanos::from_nanos(at.parse().unwrap()), items.parse().unwrap());
                let taken = if requests { running.requests(items, at) } else { running.items(items, at) };
                assert_eq!(taken, granted == "1", "line {}: {line}", index + 1);
                steps += 1;
            }
            _ => assert!(line.starts_with('#'), "line {}: {line}", index + 1),
        }
    }
    assert_eq!(steps, 1_800);
}

/// A rate at which nothing comes back within a test.
const SLOW: f64 = 0.001;

fn ingestion(ingestion_rate: f64, ingestion_burst_size: i64, ingestion_burst_factor: f64) -> TenantLimits {
    TenantLimits { ingestion_rate, ingestion_burst_size, ingestion_burst_factor, ..TenantLimits::default() }
}

fn request(request_rate: f64, request_burst_size: i64) -> TenantLimits {
    TenantLimits { request_rate, request_burst_size, ..TenantLimits::default() }
}

/// Pushes `spent` items under one limit, changes it, and finds `left` items a second later.
#[track_caller]
fn check_items(before: &TenantLimits, spent: u64, after: &TenantLimits, left: u64) {
    let mut running = Running { limits: before.clone(), ..Running::default() };
    assert!(running.items(spent, START), "the tenant is running");
    running.limits = after.clone();
    let now = START + Duration::from_secs(1);
    assert_eq!([left + 1, left, 1].map(|count| running.items(count, now)), [false, true, false]);
}

/// The same with requests.
#[track_caller]
fn check_requests(before: &TenantLimits, spent: u64, after: &TenantLimits, left: u64) {
    let mut running = Running { limits: before.clone(), ..Running::default() };
    assert!(running.requests(spent, START), "the tenant is running");
    running.limits = after.clone();
    let now = START + Duration::from_secs(1);
    assert_eq!([left + 1, left, 1].map(|count| running.requests(count, now)), [false, true, false]);
}

#[test]
fn raising_a_burst_adds_no_tokens_lowering_it_truncates() {
    check_items(&ingestion(SLOW, 10, 0.0), 4, &ingestion(SLOW, 100, 0.0), 6);
    check_items(&ingestion(SLOW, 100, 0.0), 30, &ingestion(SLOW, 50, 0.0), 50);
    check_items(&ingestion(SLOW, 100, 0.0), 60, &ingestion(SLOW, 50, 0.0), 40);
    check_items(&ingestion(SLOW, 100, 0.0), 60, &ingestion(SLOW, 0, 0.0), 0);
    check_requests(&request(SLOW, 10), 4, &request(SLOW, 100), 6);
    check_requests(&request(SLOW, 100), 60, &request(SLOW, 5), 5);
}

#[test]
fn time_before_a_rate_change_refills_at_the_old_rate() {
    check_items(&ingestion(7.0, 100, 0.0), 100, &ingestion(SLOW, 100, 0.0), 7);
    check_items(&ingestion(SLOW, 100, 0.0), 100, &ingestion(1e6, 100, 0.0), 0);
    check_requests(&request(7.0, 100), 100, &request(SLOW, 100), 7);
}

#[test]
fn a_running_tenants_first_override_finds_what_the_defaults_left() {
    let defaults = TenantLimits::default();
    check_items(&defaults, 199_990, &ingestion(SLOW, 50, 0.0), 50);
    check_items(&ingestion(SLOW, 200_000, 0.0), 199_990, &ingestion(SLOW, 300_000, 0.0), 10);
    check_items(&ingestion(f64::MAX, 10, 0.0), 1_000, &ingestion(SLOW, 50, 0.0), 10);
}

#[test]
fn a_running_tenants_first_request_rate_finds_no_tokens() {
    check_requests(&TenantLimits::default(), 5, &request(SLOW, 100), 0);
    check_requests(&request(-1.0, 100), 5, &request(SLOW, 100), 0);
}

#[test]
fn a_new_tenant_starts_full_whatever_its_limits() {
    let running = Running { limits: request(SLOW, 100), ..Running::default() };
    assert!(running.requests(100, START));
}

#[test]
fn a_removed_override_leaves_the_tokens_to_the_defaults() {
    let mut running = Running { limits: ingestion(SLOW, 10, 0.0), ..Running::default() };
    assert!(running.items(10, START));
    running.limits = TenantLimits::default();
    assert!(!running.items(1, START));
    // 10,000/s from now on, and the old burst no longer in the way.
    assert_eq!([20_001, 20_000].map(|count| running.items(count, START + Duration::from_secs(2))), [false, true]);

    let mut running = Running { limits: request(SLOW, 3), ..Running::default() };
    assert!(running.requests(3, START));
    running.limits = TenantLimits::default();
    assert!(running.requests(1_000, START));
    running.limits = request(SLOW, 3);
    assert!(!running.requests(1, START + Duration::from_secs(1)), "a limit that comes back finds no tokens");
}

#[test]
fn a_changed_burst_factor_is_a_changed_burst() {
    check_items(&ingestion(0.01, 10, 0.0), 4, &ingestion(0.01, 10, 5_000.0), 6);
    check_items(&ingestion(0.01, 10, 5_000.0), 4, &ingestion(0.01, 10, 0.0), 10);
    check_items(&ingestion(0.01, 10, 5_000.0), 4, &ingestion(0.01, 10, 2_000.0), 20);
    // The factor's burst follows the rate.
    check_items(&ingestion(0.01, 10, 5_000.0), 4, &ingestion(0.001, 10, 5_000.0), 5);
}

#[test]
fn a_request_burst_of_zero_refills_no_empty_bucket() {
    check_requests(&request(SLOW, 10), 10, &request(SLOW, 0), 0);
    check_requests(&request(SLOW, 0), 1_000_000, &request(SLOW, 10), 10);
    let running = Running { limits: request(SLOW, 0), ..Running::default() };
    assert!(running.requests(i64::MAX as u64, START));
}
