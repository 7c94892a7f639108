//! The bound of pushes that cannot be metered, and their denial.

use limits::{Burst, Rate, RateLimit};

use crate::decision::{Denial, DenyReason};
use crate::message;

/// How many times its ingestion limit a tenant may send in pushes that cannot be metered.
///
/// Relabelling rules that keep one series of ten are common; rules that keep fewer are rare.
pub const UNMETERED_FACTOR: u32 = 10;

/// The least of that, in items a second and at once, however low the limit is: so few cost Mimir next to nothing.
const MIN_UNMETERED: (f64, i64) = (100.0, 10_000);

/// The bound of pushes that pass unmetered beyond the ingestion limit.
pub(crate) fn unmetered_bound(limit: RateLimit) -> RateLimit {
    let (min_rate, min_burst) = MIN_UNMETERED;
    let rate = match limit.rate {
        // Of NaN the other number is the larger one.
        Rate::PerSecond(rate) => Rate::PerSecond((rate * f64::from(UNMETERED_FACTOR)).max(min_rate)),
        Rate::Unlimited => Rate::Unlimited,
    };
    let burst = match limit.burst {
        Burst::Items(items) => Burst::Items(items.saturating_mul(i64::from(UNMETERED_FACTOR)).max(min_burst)),
        Burst::Unlimited => Burst::Unlimited,
    };
    RateLimit::of_one(rate, burst)
}

/// The denial of a push that cannot be metered and is over the bound for this ingestion limit.
#[must_use]
pub fn unmetered_denial(limit: RateLimit) -> Denial {
    Denial::new(DenyReason::EdgeUnmetered, message::unmetered(unmetered_bound(limit)))
}
