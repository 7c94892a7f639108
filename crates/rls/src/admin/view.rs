//! Limits and buckets as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use edge::BucketView;
use enforce::Decision;
use limits::{Burst, EdgeLimits, Rate, RateLimit};
use serde::Serialize;
use serde_json::Value;

/// Fields of limits by their names in Mimir, with the JSON types that they have in a document; NaN and infinite rates are strings.
pub(super) type Fields = BTreeMap<&'static str, Value>;

pub(super) fn fields(named: impl Iterator<Item = (&'static str, String)>) -> Fields {
    named.map(|(name, value)| (name, serde_json::from_str(&value).unwrap_or(Value::String(value)))).collect()
}

/// Limits of the edge config; null means no limit.
#[derive(Serialize)]
pub(super) struct EdgeLimitsJson {
    max_body_bytes: Option<u64>,
    max_series_per_request: Option<u64>,
}

impl From<EdgeLimits> for EdgeLimitsJson {
    fn from(limits: EdgeLimits) -> Self {
        Self { max_body_bytes: limits.max_body_bytes, max_series_per_request: limits.max_series_per_request }
    }
}

/// A bucket, and what a push takes from it.
#[derive(Serialize)]
pub(super) struct BucketJson {
    limit: LimitJson,
    /// The most tokens that it holds, the bursts of all distributors; null without a limit.
    capacity: Option<i64>,
    /// Tokens left; null without a limit.
    tokens: Option<f64>,
    /// What the push costs here.
    cost: u64,
    passes: bool,
    /// Seconds until it passes if nothing else is charged; null if it never does.
    passes_in_seconds: Option<f64>,
}

#[derive(Serialize)]
struct LimitJson {
    /// Tokens a second; null means no limit.
    rate: Option<f64>,
    /// The largest push; null means no bound.
    burst: Option<i64>,
}

impl BucketJson {
    pub(super) fn request(view: &BucketView) -> Self {
        Self::new(view, &view.level.preview_requests(view.cost))
    }

    pub(super) fn ingestion(view: &BucketView) -> Self {
        Self::new(view, &view.level.preview_items(view.cost))
    }

    fn new(view: &BucketView, decision: &Decision) -> Self {
        Self {
            limit: view.level.limit().into(),
            capacity: bounded(view.level.limit(), view.level.limit().capacity),
            tokens: view.level.tokens(),
            cost: view.cost,
            passes: *decision == Decision::Allow,
            passes_in_seconds: view.level.wait_for(view.cost).as_ref().map(Duration::as_secs_f64),
        }
    }
}

impl From<RateLimit> for LimitJson {
    fn from(limit: RateLimit) -> Self {
        Self {
            rate: match limit.rate {
                Rate::PerSecond(rate) => Some(rate),
                Rate::Unlimited => None,
            },
            burst: bounded(limit, limit.burst),
        }
    }
}

/// The part of a bucket's capacity that is left, from 0 to 1; nothing without a limit, or where nothing fits.
pub(super) fn tokens_left(view: &BucketView) -> Option<f64> {
    let capacity = bounded(view.level.limit(), view.level.limit().capacity).filter(|most| *most > 0)?;
    Some((view.level.tokens()? / capacity as f64).clamp(0.0, 1.0))
}

/// A burst or a capacity, which without a rate are no bounds.
fn bounded(limit: RateLimit, most: Burst) -> Option<i64> {
    match (limit.rate, most) {
        (Rate::Unlimited, _) | (_, Burst::Unlimited) => None,
        (Rate::PerSecond(_), Burst::Items(items)) => Some(items),
    }
}
