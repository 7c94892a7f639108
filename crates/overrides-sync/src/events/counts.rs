//! How many Events became what.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Outcome;

/// Counters of what became of Events, for metrics.
#[derive(Debug, Default)]
pub(crate) struct EventCounts {
    created: AtomicU64,
    repeated: AtomicU64,
    invalid: AtomicU64,
    forbidden: AtomicU64,
    not_answered: AtomicU64,
}

impl EventCounts {
    pub(super) fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Created => &self.created,
            Outcome::Repeated { .. } => &self.repeated,
            Outcome::Invalid(_) => &self.invalid,
            Outcome::Forbidden(_) => &self.forbidden,
            Outcome::NotAnswered(_) => &self.not_answered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Each result with its number since the start, every result from the start on: the label of a metric and its value.
    pub(crate) fn by_result(&self) -> [(&'static str, u64); 5] {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("created", now(&self.created)),
            ("repeated", now(&self.repeated)),
            ("invalid", now(&self.invalid)),
            ("forbidden", now(&self.forbidden)),
            ("not_answered", now(&self.not_answered)),
        ]
    }
}
