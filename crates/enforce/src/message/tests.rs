//! Every text with which a recorded Mimir refused a push for its rate, made again from the numbers in it.

use limits::{Burst, Rate, RateLimit, Tenant};

use crate::{BucketOwner, Decision, Denial, DenyReason, Enforcer, MonotonicNanos};

const CASES: &str = include_str!("../../../../tests/golden/cases.jsonl");
const NOW: MonotonicNanos = MonotonicNanos::from_nanos(0);

/// The bodies of all recorded answers with status 429, without their newline.
fn refusals() -> Vec<String> {
    let mut bodies = Vec::new();
    for line in CASES.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        for step in case["steps"].as_array().unwrap() {
            if step["response"]["status"] == 429 {
                bodies.push(step["response"]["body"].as_str().unwrap().trim_end().to_owned());
            }
        }
    }
    bodies
}

/// The number that follows `prefix`.
fn number<T: std::str::FromStr>(text: &str, prefix: &str) -> Option<T> {
    let (_, rest) = text.split_once(prefix)?;
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().ok()
}

fn limit(text: &str, rate: &str, burst: &str) -> RateLimit {
    RateLimit::of_one(Rate::PerSecond(number(text, rate).unwrap()), Burst::Items(number(text, burst).unwrap()))
}

fn team() -> BucketOwner<'static> {
    BucketOwner { tenant: Tenant::parse(Some(b"team")).unwrap(), has_override: false }
}

/// Brings a new tenant to the denial that the text is about.
fn deny(text: &str) -> Decision {
    let enforcer = Enforcer::new();
    let tenant = team();
    if text.contains("ingestion burst size limit") {
        let burst = Burst::Items(number(text, "set to ").unwrap());
        let items = number(text, "with ").unwrap();
        return enforcer.charge_items(&tenant, RateLimit::of_one(Rate::PerSecond(1.0), burst), items, NOW);
    }
    let limit = limit(text, "set to ", "burst of ");
    let Burst::Items(burst) = limit.burst else { unreachable!() };
    if text.contains("ingestion rate limit") {
        assert_eq!(enforcer.charge_items(&tenant, limit, burst.unsigned_abs(), NOW), Decision::Allow);
        return enforcer.charge_items(&tenant, limit, 1, NOW);
    }
    for _ in 0..burst {
        assert_eq!(enforcer.admit_request(&tenant, limit, NOW), Decision::Allow);
    }
    enforcer.admit_request(&tenant, limit, NOW)
}

fn denial(decision: Decision) -> Denial {
    match decision {
        Decision::Deny(denial) => denial,
        Decision::Allow => panic!("allowed"),
    }
}

#[test]
fn words_every_recorded_refusal_as_mimir_does() {
    let mut seen = Vec::new();
    for text in refusals() {
        let denial = denial(deny(&text));
        assert_eq!(denial.message(), text);
        assert_eq!(denial.status(), 429);
        assert!(denial.retryable());
        seen.push(denial.reason());
    }
    for reason in [DenyReason::RequestRate, DenyReason::IngestionRate, DenyReason::IngestionBurst] {
        assert!(seen.iter().filter(|&&other| other == reason).count() >= 5, "{reason} is hardly recorded");
    }
}

#[test]
fn prints_an_unlimited_request_burst_as_zero() {
    let enforcer = Enforcer::new();
    let tenant = team();
    let rate = Rate::PerSecond(1_000_000.0);
    let first = enforcer.admit_request(&tenant, RateLimit::of_one(rate, Burst::Items(1)), NOW);
    assert_eq!(first, Decision::Allow);
    let denied = enforcer.admit_request(&tenant, RateLimit::of_one(rate, Burst::Unlimited), NOW);
    assert!(
        denial(denied)
            .message()
            .contains("set to 1e+06 requests/s across all distributors with a maximum allowed burst of 0 (")
    );
}
