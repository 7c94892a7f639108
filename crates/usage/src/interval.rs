//! What a tenant sent within some time.

use serde::{Deserialize, Serialize};

/// Counts of a tenant's pushes. They saturate: 4 billion items fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Of the denied pushes, those over the request rate or its burst.
    #[serde(default)]
    pub over_request_rate: u32,
    /// Of the denied pushes, those over the ingestion rate.
    #[serde(default)]
    pub over_ingestion_rate: u32,
    /// Of the denied pushes, those with more items than the ingestion burst. All others were denied for another reason.
    #[serde(default)]
    pub over_ingestion_burst: u32,
}

impl Usage {
    /// Adds what was sent in another time.
    pub fn add(&mut self, other: &Self) {
        let Self {
            requests,
            counted,
            items,
            largest,
            denied,
            refused,
            retries,
            over_request_rate,
            over_ingestion_rate,
            over_ingestion_burst,
        } = other;
        self.requests = self.requests.saturating_add(*requests);
        self.counted = self.counted.saturating_add(*counted);
        self.items = self.items.saturating_add(*items);
        self.largest = self.largest.max(*largest);
        self.denied = self.denied.saturating_add(*denied);
        self.refused = self.refused.saturating_add(*refused);
        self.retries = self.retries.saturating_add(*retries);
        self.over_request_rate = self.over_request_rate.saturating_add(*over_request_rate);
        self.over_ingestion_rate = self.over_ingestion_rate.saturating_add(*over_ingestion_rate);
        self.over_ingestion_burst = self.over_ingestion_burst.saturating_add(*over_ingestion_burst);
    }
}

/// What a tenant sent within some whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The past with the items of all pushes: a push whose items are not known has those of an average one. Without any known items, nothing is added.
#[must_use]
pub fn with_all_items(past: &[Interval]) -> Vec<Interval> {
    let total = |of: fn(&Interval) -> u32| past.iter().map(|interval| f64::from(of(interval))).sum::<f64>();
    let mean = total(|it| it.total.items) / total(|it| it.total.counted).max(1.0);
    let complete = |interval: &Interval| {
        let unknown = f64::from(interval.total.requests.saturating_sub(interval.total.counted));
        let mut complete = *interval;
        if unknown > 0.0 {
            // Casts of floats saturate.
            let added = (unknown * mean).round() as u32;
            complete.total.counted = complete.total.requests;
            complete.total.items = complete.total.items.saturating_add(added);
            complete.total.largest = complete.total.largest.max(mean.round() as u32).min(complete.total.items);
            let in_peak = f64::from(added) * f64::from(interval.peak_requests) / f64::from(interval.total.requests);
            complete.peak_items = complete.peak_items.saturating_add(in_peak.ceil() as u32);
        }
        complete
    };
    past.iter().map(complete).collect()
}
