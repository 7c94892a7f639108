//! What a tenant sent within some time.

use serde::{Deserialize, Serialize};

/// Counts of a tenant's pushes. They saturate: 4 billion items fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Pushes.
    pub requests: u32,
    /// Of those, pushes whose items are known: one that is denied for its request rate or its size is not decoded.
    pub counted: u32,
    /// Items of these pushes, in Mimir's unit: samples, histograms, exemplars and metadata.
    pub items: u32,
    /// The most items of one push.
    pub largest: u32,
    /// Pushes that were denied, or would be in mode shadow.
    pub denied: u32,
    /// Of those, pushes whose client got the denial.
    pub refused: u32,
    /// Pushes that a client sent again, by their header Retry-Attempt.
    pub retries: u32,
}

impl Usage {
    /// Adds what was sent in another time.
    pub fn add(&mut self, other: &Self) {
        let Self { requests, counted, items, largest, denied, refused, retries } = other;
        self.requests = self.requests.saturating_add(*requests);
        self.counted = self.counted.saturating_add(*counted);
        self.items = self.items.saturating_add(*items);
        self.largest = self.largest.max(*largest);
        self.denied = self.denied.saturating_add(*denied);
        self.refused = self.refused.saturating_add(*refused);
        self.retries = self.retries.saturating_add(*retries);
    }
}

/// What a tenant sent within some whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// How many seconds.
    pub seconds: u32,
    /// All of it.
    #[serde(flatten)]
    pub total: Usage,
    /// The most pushes of one of these seconds.
    pub peak_requests: u32,
    /// The most items of one of these seconds.
    pub peak_items: u32,
}

impl Interval {
    /// One second.
    #[must_use]
    pub fn second(usage: Usage) -> Self {
        Self { seconds: 1, total: usage, peak_requests: usage.requests, peak_items: usage.items }
    }

    /// Adds the interval that follows.
    pub fn add(&mut self, next: &Self) {
        self.seconds = self.seconds.saturating_add(next.seconds);
        self.total.add(&next.total);
        self.peak_requests = self.peak_requests.max(next.peak_requests);
        self.peak_items = self.peak_items.max(next.peak_items);
    }

    /// Pushes a second, on average; 0 for no time.
    #[must_use]
    pub fn requests_per_second(&self) -> f64 {
        self.per_second(self.total.requests)
    }

    /// Items a second, on average; 0 for no time.
    #[must_use]
    pub fn items_per_second(&self) -> f64 {
        self.per_second(self.total.items)
    }

    fn per_second(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.seconds.max(1))
    }
}
