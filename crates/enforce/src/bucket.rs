//! One token bucket with the arithmetic of Go's `golang.org/x/time/rate`, bit for bit.
//!
//! Not here: who owns a bucket, and any lock. The invariant: a denied [`Bucket::take`] changes nothing.

use std::time::Duration;

use limits::{Burst, Rate, RateLimit};

use crate::time::MonotonicNanos;

/// Go's `rate.Inf`: not infinity, but the largest float (x/time/rate).
const UNLIMITED_RATE: f64 = f64::MAX;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A token bucket, full when new (x/time/rate `Limiter`).
///
/// Tokens are a float, as in Go. They may be above the capacity after it was lowered (the next use caps them), a
/// little below 0 (a debt worth less than a nanosecond is allowed), and NaN once the rate was NaN or infinite.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bucket {
    tokens: f64,
    /// When `tokens` was right. It may go back: Go keeps the time of the last granted charge, even an earlier one.
    last: MonotonicNanos,
    per_second: f64,
    /// The largest single charge.
    burst: i64,
    /// The most tokens; in Go the burst is both.
    capacity: i64,
}

impl Bucket {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let (burst, capacity) = (items_of(limit.burst), items_of(limit.capacity));
        Bucket {
            tokens: capacity as f64,
            last: MonotonicNanos::NEVER,
            per_second: per_second(limit.rate),
            burst,
            capacity,
        }
    }

    /// The largest charge that the bucket allows.
    pub(crate) fn burst(&self) -> i64 {
        self.burst
    }

    /// Sets a limit and keeps the tokens (x/time/rate `SetLimitAt`, then `SetBurstAt`, each only if it changed,
    /// as in dskit `limiter/rate_limiter.go`).
    pub(crate) fn set_limit(&mut self, limit: RateLimit, now: MonotonicNanos) {
        let per_second = per_second(limit.rate);
        if self.per_second != per_second {
            self.advance(now);
            self.per_second = per_second;
        }
        let (burst, capacity) = (items_of(limit.burst), items_of(limit.capacity));
        if self.capacity != capacity {
            self.advance(now);
            self.capacity = capacity;
        }
        self.burst = burst;
    }

    /// Takes all `items` or none; whether they were taken (x/time/rate `AllowN`).
    pub(crate) fn take(&mut self, items: i64, now: MonotonicNanos) -> bool {
        if self.per_second == UNLIMITED_RATE {
            return true;
        }
        let tokens = self.tokens(now) - items as f64;
        // Not `tokens >= 0.0`: NaN tokens are no debt in Go.
        let wait_nanos = if tokens < 0.0 { self.nanos_to_earn(-tokens) } else { 0 };
        let granted = items <= self.burst && wait_nanos <= 0;
        if granted {
            self.last = now;
            self.tokens = tokens;
        }
        granted
    }

    /// Takes all `items` if the bucket holds them or is full. What a full bucket does not hold becomes a debt, which has to be earned first.
    pub(crate) fn take_with_debt(&mut self, items: i64, now: MonotonicNanos) -> bool {
        if items <= self.burst {
            return self.take(items, now);
        }
        let full = self.take(self.burst, now);
        if full && self.per_second != UNLIMITED_RATE {
            self.tokens -= (items - self.burst) as f64;
        }
        full
    }

    /// Gives back what was taken, up to the capacity at `now`. NaN tokens stay NaN, and a bucket without a limit holds none.
    ///
    /// Mimir gives nothing back; the order is that of Go's `Reservation.CancelAt`: what was earned, what comes back, and then the cap. Time never
    /// goes back here, or a late refund would grant the time until then twice.
    pub(crate) fn refund(&mut self, items: i64, now: MonotonicNanos) {
        if self.per_second == UNLIMITED_RATE {
            return;
        }
        let (tokens, capacity) = (self.tokens(now) + items as f64, self.capacity as f64);
        // Not `f64::min`, as in `tokens`.
        self.tokens = if tokens > capacity { capacity } else { tokens };
        self.last = self.last.max(now);
    }

    /// How long after `now` the bucket would allow `items`; `None` if it never does.
    pub(crate) fn wait_for(&self, items: i64, now: MonotonicNanos) -> Option<Duration> {
        if items > self.burst && self.per_second != UNLIMITED_RATE { None } else { self.wait_to_hold(items, now) }
    }

    /// How long after `now` the bucket is full; `None` if it never is.
    pub(crate) fn wait_until_full(&self, now: MonotonicNanos) -> Option<Duration> {
        self.wait_to_hold(self.capacity, now)
    }

    fn wait_to_hold(&self, items: i64, now: MonotonicNanos) -> Option<Duration> {
        if self.per_second == UNLIMITED_RATE {
            return Some(Duration::ZERO);
        }
        let missing = items as f64 - self.tokens(now);
        if missing <= 0.0 {
            return Some(Duration::ZERO);
        }
        match self.nanos_to_earn(missing) {
            i64::MAX => None,
            nanos => u64::try_from(nanos).ok().map(Duration::from_nanos),
        }
    }

    /// Whether the bucket is at `now` what a new one with its limit would be.
    pub(crate) fn is_full(&self, now: MonotonicNanos) -> bool {
        self.tokens(now) >= self.capacity as f64
    }

    fn advance(&mut self, now: MonotonicNanos) {
        self.tokens = self.tokens(now);
        self.last = now;
    }

    /// The tokens at `now`; below 0 or NaN as [`Bucket`] says.
    pub(crate) fn tokens(&self, now: MonotonicNanos) -> f64 {
        let tokens = self.tokens + self.earned_in(now.nanos_since(self.last));
        let capacity = self.capacity as f64;
        // Not `f64::min`, which would turn NaN tokens into a full bucket.
        if tokens > capacity { capacity } else { tokens }
    }

    fn earned_in(&self, nanos: i64) -> f64 {
        if self.per_second <= 0.0 { 0.0 } else { go_seconds(nanos) * self.per_second }
    }

    /// How long the rate takes to earn `tokens`; the largest number if it never does.
    fn nanos_to_earn(&self, tokens: f64) -> i64 {
        if self.per_second <= 0.0 {
            return i64::MAX;
        }
        // The cast drops the fraction and saturates, which is Go's cap at the largest Duration. At exactly 2^63 Go
        // leaves it to the machine: arm64 saturates too, amd64 wraps and grants a debt of 292 years.
        (tokens / self.per_second * NANOS_PER_SECOND as f64) as i64
    }
}

/// Whether a limit allows everything, so that a bucket for it is never needed.
pub(crate) fn is_unlimited(limit: RateLimit) -> bool {
    per_second(limit.rate) == UNLIMITED_RATE
}

/// The rate as Mimir's limiter gets it.
pub(crate) fn per_second(rate: Rate) -> f64 {
    match rate {
        Rate::PerSecond(per_second) => per_second,
        Rate::Unlimited => UNLIMITED_RATE,
    }
}

/// A burst as Mimir's limiter gets it.
pub(crate) fn items_of(burst: Burst) -> i64 {
    match burst {
        Burst::Items(items) => items,
        Burst::Unlimited => i64::MAX,
    }
}

/// Go's `Duration.Seconds`: whole seconds and the rest are converted apart, which rounds differently from one division.
fn go_seconds(nanos: i64) -> f64 {
    (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / NANOS_PER_SECOND as f64
}

#[cfg(test)]
mod tests;
