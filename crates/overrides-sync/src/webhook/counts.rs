//! How many questions got which answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::admission::Kindness;

/// Counters of the webhook, for metrics.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounts {
    allowed: AtomicU64,
    warned: AtomicU64,
    denied: AtomicU64,
    passed: AtomicU64,
    unjudged: AtomicU64,
    refused: AtomicU64,
    bad_certificates: AtomicU64,
}

impl WebhookCounts {
    pub(super) fn answered(&self, kindness: Kindness) {
        let counter = match kindness {
            Kindness::Allowed => &self.allowed,
            Kindness::Warned => &self.warned,
            Kindness::Denied => &self.denied,
            Kindness::Passed => &self.passed,
            Kindness::Unjudged => &self.unjudged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that got no answer that Kubernetes would take.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bad_certificate(&self) {
        self.bad_certificates.fetch_add(1, Ordering::Relaxed);
    }

    /// Each answer with its number since the start, every answer from the start on: the label of a metric and its value.
    pub(crate) fn by_answer(&self) -> [(&'static str, u64); 6] {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("allowed", now(&self.allowed)),
            ("warned", now(&self.warned)),
            ("denied", now(&self.denied)),
            ("passed", now(&self.passed)),
            ("unjudged", now(&self.unjudged)),
            ("refused", now(&self.refused)),
        ]
    }

    /// How many changes of the certificate's files could not be used.
    pub(crate) fn bad_certificates(&self) -> u64 {
        self.bad_certificates.load(Ordering::Relaxed)
    }
}
