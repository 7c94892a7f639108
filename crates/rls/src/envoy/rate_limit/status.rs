//! A bucket in Envoy's rate limit protocol: a whole number of hits in a unit of time.

use std::time::Duration;

use edge::{Hits, HitsVerdict};
use enforce::Level;
use limits::{Mode, Rate};
use proto::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus, RateLimit};

/// The units from the finest on: the first in which the rate is at least 1 rounds it the least.
const UNITS: [(Unit, f64); 4] =
    [(Unit::Second, 1.0), (Unit::Minute, 60.0), (Unit::Hour, 3_600.0), (Unit::Day, 86_400.0)];

/// The status of a descriptor that was charged, or of an unlimited one.
///
/// Over the limit, the reset is when these hits would pass; otherwise, when the bucket is full again. It is absent if that never happens.
pub(super) fn status_of(charged: Option<(&HitsVerdict, Hits)>) -> DescriptorStatus {
    let mut status = DescriptorStatus { limit_remaining: u32::MAX, ..DescriptorStatus::default() };
    status.set_code(Code::Ok);
    let Some((verdict, hits)) = charged else { return status };
    let denied = matches!((&verdict.decision, verdict.mode), (Err(_), Mode::Enforce));
    if denied {
        status.set_code(Code::OverLimit);
    }
    if let Some(level) = &verdict.level {
        status.current_limit = limit_of(level, hits);
        // The cast drops the fraction, is 0 for a debt and for NaN, and saturates.
        status.limit_remaining = level.tokens().map_or(u32::MAX, |tokens| tokens as u32);
        status.duration_until_reset = reset_after(level, hits, denied).and_then(|wait| wait.try_into().ok());
    }
    status
}

fn reset_after(level: &Level, hits: Hits, denied: bool) -> Option<Duration> {
    let (Hits::Requests(count) | Hits::Items(count)) = hits;
    if denied { level.wait_for(count) } else { level.wait_until_full() }
}

fn limit_of(level: &Level, hits: Hits) -> Option<RateLimit> {
    let Rate::PerSecond(per_second) = level.limit().rate else { return None };
    let name = match hits {
        Hits::Requests(_) => "request_rate",
        Hits::Items(_) => "ingestion_rate",
    };
    let coarsest = (Unit::Day, 86_400.0);
    let (unit, seconds) = UNITS.into_iter().find(|(_, seconds)| per_second * seconds >= 1.0).unwrap_or(coarsest);
    let mut limit = RateLimit { requests_per_unit: (per_second * seconds) as u32, name: name.to_owned(), unit: 0 };
    limit.set_unit(unit);
    Some(limit)
}

#[cfg(test)]
mod tests {
    use edge::AllowReason;
    use enforce::{BucketOwner, Decision, Enforcer, MonotonicNanos};
    use limits::{Burst, Tenant};

    use super::*;

    fn status(per_second: f64, burst: i64, spent: u64, hits: u64) -> DescriptorStatus {
        let (enforcer, now) = (Enforcer::new(), MonotonicNanos::from_nanos(0));
        let limit = limits::RateLimit::of_one(Rate::PerSecond(per_second), Burst::Items(burst));
        let owner = BucketOwner { tenant: Tenant::parse(Some(b"t")).unwrap(), has_override: false };
        assert_eq!(enforcer.charge_items(&owner, limit, spent, now), Decision::Allow);
        let decision = enforcer.charge_items(&owner, limit, hits, now).into_result();
        let level = Some(enforcer.ingestion_level(&owner, limit, now));
        let decision = decision.map(|()| AllowReason::WithinLimits);
        let verdict = HitsVerdict { decision, mode: Mode::Enforce, has_override: false, level };
        status_of(Some((&verdict, Hits::Items(hits))))
    }

    #[track_caller]
    fn check_limit(per_second: f64, expected: (u32, Unit)) {
        let limit = status(per_second, 1, 0, 0).current_limit.unwrap();
        assert_eq!((limit.requests_per_unit, limit.unit()), expected);
    }

    #[test]
    fn rates_use_the_finest_unit_giving_at_least_one() {
        check_limit(10_000.0, (10_000, Unit::Second));
        check_limit(0.5, (30, Unit::Minute));
        check_limit(0.001, (3, Unit::Hour));
        check_limit(0.0001, (8, Unit::Day));
        check_limit(0.0, (0, Unit::Day));
        check_limit(f64::NAN, (0, Unit::Day));
        check_limit(1e300, (u32::MAX, Unit::Second));
    }

    #[test]
    fn says_what_is_left_and_when_the_bucket_is_full() {
        let status = status(10.0, 100, 0, 60);
        assert_eq!((status.code(), status.limit_remaining), (Code::Ok, 40));
        assert_eq!(status.duration_until_reset.map(|reset| reset.seconds), Some(6));
    }

    #[test]
    fn says_when_denied_hits_would_pass() {
        let denied = status(10.0, 100, 80, 40);
        assert_eq!((denied.code(), denied.limit_remaining), (Code::OverLimit, 20));
        assert_eq!(denied.duration_until_reset.map(|reset| reset.seconds), Some(2));
        let never = status(10.0, 100, 80, 101);
        assert_eq!((never.code(), never.duration_until_reset), (Code::OverLimit, None));
    }

    #[test]
    fn what_nothing_limits_is_ok_and_has_no_limit() {
        let status = status_of(None);
        assert_eq!((status.code(), status.current_limit, status.limit_remaining), (Code::Ok, None, u32::MAX));
    }
}
