//! A tenant's past against other limits, by the buckets that decide its pushes.

use std::num::NonZeroU32;
use std::time::Duration;

use enforce::{BucketOwner, Decision, DenyReason, Enforcer, MonotonicNanos};
use limits::{RateLimit, Tenant, TenantLimits};

use crate::charges::{Charge, charges};
use crate::interval::{Interval, with_all_items};

/// Any tenant: each simulation has buckets of its own.
const TENANT: &[u8] = b"simulated";

/// The limits to play against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Of pushes.
    pub request: RateLimit,
    /// Of items.
    pub ingestion: RateLimit,
}

impl Limits {
    /// Those of a tenant, with so many of Mimir's distributors.
    #[must_use]
    pub fn of(tenant: &TenantLimits, distributors: NonZeroU32) -> Self {
        Self { request: tenant.request_limit(distributors), ingestion: tenant.ingestion_limit(distributors) }
    }
}

/// What limits make of a tenant's past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All pushes.
    pub requests: u64,
    /// Pushes over the request rate or its burst.
    pub over_request_rate: u64,
    /// Pushes over the ingestion rate.
    pub over_ingestion_rate: u64,
    /// Pushes with more items than the burst.
    pub over_ingestion_burst: u64,
    /// Items of all denied pushes.
    pub denied_items: u64,
    /// How many seconds before now the first denial is.
    pub first_denial_seconds_ago: Option<u64>,
}

impl Outcome {
    /// All denied pushes.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.over_request_rate.saturating_add(self.over_ingestion_rate).saturating_add(self.over_ingestion_burst)
    }

    fn record(&mut self, reason: DenyReason, pushes: u64, items: u64, seconds_ago: u64) {
        let count = match reason {
            DenyReason::RequestRate => &mut self.over_request_rate,
            DenyReason::IngestionBurst => &mut self.over_ingestion_burst,
            _ => &mut self.over_ingestion_rate,
        };
        *count = count.saturating_add(pushes);
        self.denied_items = self.denied_items.saturating_add(items);
        self.first_denial_seconds_ago.get_or_insert(seconds_ago);
    }
}

/// Plays what a tenant sent, from the oldest interval on, against full buckets.
///
/// The pushes of an interval are spread evenly over it, the largest one first, and the others have equal sizes. Of an interval of several seconds the
/// highest second comes first, if it is higher than that. A push whose items are not known has those of an average one. Pushes that were denied are
/// played too: a client that retries them sends more than it would under limits that let them pass.
#[must_use]
pub fn simulate(past: &[Interval], limits: &Limits) -> Outcome {
    let Ok(tenant) = Tenant::parse(Some(TENANT)) else { return Outcome::default() };
    let owner = BucketOwner { tenant, has_override: true };
    let buckets = Enforcer::new();
    let past = &with_all_items(past);
    let whole: u64 = past.iter().map(|interval| u64::from(interval.seconds)).sum();
    let (mut outcome, mut elapsed) = (Outcome::default(), 0);
    for interval in past {
        for Charge { within, requests, items } in charges(interval) {
            let at = MonotonicNanos::from_nanos(0) + Duration::from_secs(elapsed) + Duration::from_secs_f64(within);
            outcome.requests = outcome.requests.saturating_add(requests);
            let admitted = buckets.admit_requests(&owner, limits.request, requests, at);
            let decision = match admitted {
                Decision::Allow => buckets.charge_items(&owner, limits.ingestion, items, at),
                denied @ Decision::Deny(_) => denied,
            };
            if let Decision::Deny(denial) = decision {
                outcome.record(denial.reason(), requests, items, whole.saturating_sub(elapsed));
            }
        }
        elapsed = elapsed.saturating_add(interval.seconds.into());
    }
    outcome
}

#[cfg(test)]
mod tests {
    use limits::{Burst, Rate};

    use super::*;
    use crate::interval::Usage;

    fn limit(rate: f64, burst: i64) -> RateLimit {
        RateLimit::of_one(Rate::PerSecond(rate), Burst::Items(burst))
    }

    fn ingestion(rate: f64, burst: i64) -> Limits {
        Limits { request: RateLimit::of_one(Rate::Unlimited, Burst::Items(0)), ingestion: limit(rate, burst) }
    }

    fn second(requests: u32, items: u32, largest: u32) -> Interval {
        Interval::second(Usage { requests, counted: requests, items, largest, ..Usage::default() })
    }

    #[test]
    fn a_steady_load_passes_at_its_rate() {
        let past = vec![second(10, 1_000, 100); 300];
        assert_eq!(simulate(&past, &ingestion(1_000.0, 1_000)).denied(), 0);
        let outcome = simulate(&past, &ingestion(500.0, 1_000));
        // 300,000 items, of which those of 299.9 seconds and the burst pass, in whole pushes.
        assert_eq!(outcome.denied_items, 149_100);
        assert_eq!((outcome.requests, outcome.over_ingestion_rate), (3_000, 1_491));
        assert_eq!(outcome.first_denial_seconds_ago, Some(299));
    }

    #[test]
    fn one_push_over_the_burst_is_denied_for_it() {
        let past = [second(5, 100, 20), second(3, 5_020, 5_000), second(5, 100, 20)];
        let outcome = simulate(&past, &ingestion(1e6, 4_999));
        assert_eq!((outcome.denied(), outcome.over_ingestion_burst), (1, 1));
        assert_eq!((outcome.denied_items, outcome.first_denial_seconds_ago), (5_000, Some(2)));
        assert_eq!(simulate(&past, &ingestion(1e6, 5_000)).denied(), 0);
    }

    #[test]
    fn the_request_rate_comes_first_and_saves_items() {
        let past = vec![second(10, 100, 10); 60];
        let limits = Limits { request: limit(5.0, 5), ..ingestion(50.0, 100) };
        let outcome = simulate(&past, &limits);
        // What passes the request rate, half of it, is within the ingestion rate and its burst.
        assert_eq!(outcome.over_ingestion_rate, 0);
        assert_eq!(outcome.over_request_rate, 600 - (60 * 5 + 5 - 1));
    }

    #[test]
    fn pushes_without_known_items_count_as_average_ones() {
        let known = second(10, 1_000, 100);
        let unknown = Interval::second(Usage { requests: 10, ..Usage::default() });
        let past: Vec<Interval> = [known, unknown].into_iter().cycle().take(300).collect();
        assert_eq!(simulate(&past, &ingestion(1_000.0, 1_000)).denied(), 0);
        assert!(simulate(&past, &ingestion(900.0, 1_000)).denied() > 0);
    }

    #[test]
    fn many_pushes_are_charged_one_by_one() {
        // 3,000 pushes of ten items in ten seconds, one of them with 5,000.
        let total = Usage { requests: 3_000, counted: 3_000, items: 35_000, largest: 5_000, ..Usage::default() };
        let past = [Interval { seconds: 10, total, peak_requests: 300, peak_items: 8_000 }; 6];
        let outcome = simulate(&past, &ingestion(1e6, 4_999));
        assert_eq!((outcome.denied(), outcome.over_ingestion_burst), (6, 6));
        let limits = Limits { request: limit(301.0, 2), ..ingestion(1e6, 5_000) };
        assert_eq!(simulate(&past, &limits).denied(), 0, "no push is larger than its burst");
    }

    #[test]
    fn a_peak_within_ten_seconds_is_denied_as_in_one() {
        // 50 pushes of 100 items, 40 of them in one second: 26 of these do not fit into 1,005 items and what comes in within the second.
        let total = Usage { requests: 50, counted: 50, items: 5_000, largest: 100, ..Usage::default() };
        let past = [Interval { seconds: 10, total, peak_requests: 40, peak_items: 4_000 }; 3];
        let outcome = simulate(&past, &ingestion(500.0, 1_005));
        assert_eq!((outcome.over_ingestion_rate, outcome.denied_items), (3 * 26, 3 * 2_600));
        assert_eq!(simulate(&past, &ingestion(500.0, 4_000)).denied(), 0);
        let limits = Limits { request: limit(5.0, 30), ..ingestion(1e6, 5_000) };
        assert!(simulate(&past, &limits).over_request_rate >= 3 * 5);
        assert_eq!(simulate(&past, &Limits { request: limit(5.0, 41), ..limits }).denied(), 0);
    }

    #[test]
    fn a_steady_load_passes_at_its_rate_in_steps_too() {
        let total = Usage { requests: 10, counted: 10, items: 1_000, largest: 100, ..Usage::default() };
        let past = [Interval { seconds: 10, total, peak_requests: 1, peak_items: 100 }; 60];
        let limits = Limits { request: limit(1.0, 1), ..ingestion(100.0, 100) };
        assert_eq!(simulate(&past, &limits).denied(), 0);
    }

    #[test]
    fn nothing_sent_is_nothing_denied() {
        let past = vec![Interval { seconds: 10, ..Interval::default() }; 5];
        assert_eq!(simulate(&past, &ingestion(0.0, 0)), Outcome::default());
        assert_eq!(simulate(&[], &ingestion(0.0, 0)), Outcome::default());
    }
}
