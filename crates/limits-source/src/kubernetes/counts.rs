//! What happened to a watch, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one source since its start.
#[derive(Debug, Default)]
pub struct WatchCounts {
    restarts: AtomicU64,
    deletions: AtomicU64,
    failed_checks: AtomicU64,
    refused_credentials: AtomicU64,
}

impl WatchCounts {
    /// How often the watch failed, or was given up because it had missed a change, and was made again. Attempts that fail count too.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// How often the ConfigMap was there and was deleted.
    #[must_use]
    pub fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Relaxed)
    }

    /// How often the API server did not say which revision there is.
    #[must_use]
    pub fn failed_checks(&self) -> u64 {
        self.failed_checks.load(Ordering::Relaxed)
    }

    /// How often the API server refused the credentials, and they were read again.
    #[must_use]
    pub fn refused_credentials(&self) -> u64 {
        self.refused_credentials.load(Ordering::Relaxed)
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn deleted(&self) {
        self.deletions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn check_failed(&self) {
        self.failed_checks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn credentials_refused(&self) {
        self.refused_credentials.fetch_add(1, Ordering::Relaxed);
    }
}
