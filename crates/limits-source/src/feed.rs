//! What a source hands to a server: the state now, a wake-up on each change, and how long ago the source last confirmed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limits::ControlState;
use tokio::sync::watch;

/// One source's output.
#[derive(Clone, Debug)]
pub struct LimitsFeed {
    /// The state now; wakes on each change of limits or problems.
    pub states: watch::Receiver<ControlState>,
    /// When the source last found that the limits in force are the ones it serves.
    pub freshness: Freshness,
}

/// The age of the limits: how long ago their source last confirmed them. A source that is quiet confirms nothing.
#[derive(Clone, Debug)]
pub struct Freshness {
    start: Instant,
    confirmed_after_millis: Arc<AtomicU64>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { start: Instant::now(), confirmed_after_millis: Arc::default() }
    }
}

impl Freshness {
    /// Notes that the limits in force are, at this moment, the ones that the source has.
    pub fn confirm(&self) {
        let since_start = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.confirmed_after_millis.store(since_start, Ordering::Relaxed);
    }

    /// Time since the last [`Freshness::confirm`], or since the source was made when nothing was confirmed yet.
    #[must_use]
    pub fn age(&self) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed_after_millis.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(confirmed)
    }
}
