//! What a bucket holds and would decide, without a charge: why a push is denied, and when one would pass.
//!
//! Not here: charging. A [`Level`] is a copy, so the bucket may have changed when it is read.

use std::time::Duration;

use limits::RateLimit;

use crate::bucket::{Bucket, is_unlimited};
use crate::decision::Decision;
use crate::enforcer::{ingestion_denial, request_denial, to_items};
use crate::time::MonotonicNanos;

/// A bucket at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    bucket: Bucket,
    limit: RateLimit,
    now: MonotonicNanos,
}

impl Level {
    pub(crate) fn new(bucket: Bucket, limit: RateLimit, now: MonotonicNanos) -> Self {
        Level { bucket, limit, now }
    }

    /// The limit of the bucket.
    #[must_use]
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// The tokens left; `None` without a limit. A little below 0 after a debt worth less than a nanosecond, NaN where the rate is NaN.
    #[must_use]
    pub fn tokens(&self) -> Option<f64> {
        (!is_unlimited(self.limit)).then(|| self.bucket.tokens(self.now))
    }

    /// The tokens that there will be after this time, if nothing is charged; `None` without a limit.
    #[must_use]
    pub fn tokens_in(&self, time: Duration) -> Option<f64> {
        (!is_unlimited(self.limit)).then(|| self.bucket.tokens(self.now + time))
    }

    /// How long until `items` would pass if nothing else is charged; `None` if they never do.
    #[must_use]
    pub fn wait_for(&self, items: u64) -> Option<Duration> {
        self.bucket.wait_for(to_items(items), self.now)
    }

    /// How long until the bucket is full if nothing is charged; `None` if it never is.
    #[must_use]
    pub fn wait_until_full(&self) -> Option<Duration> {
        self.bucket.wait_until_full(self.now)
    }

    /// What [`Enforcer::admit_requests`](crate::Enforcer::admit_requests) would decide.
    pub fn preview_requests(&self, requests: u64) -> Decision {
        if requests == 0 || self.bucket.clone().take(to_items(requests), self.now) {
            return Decision::Allow;
        }
        Decision::Deny(request_denial(self.limit))
    }

    /// What [`Enforcer::charge_items`](crate::Enforcer::charge_items) would decide.
    pub fn preview_items(&self, items: u64) -> Decision {
        let items = to_items(items);
        if items == 0 || self.bucket.clone().take(items, self.now) {
            return Decision::Allow;
        }
        Decision::Deny(ingestion_denial(self.limit, self.bucket.burst(), items))
    }
}

#[cfg(test)]
mod tests;
