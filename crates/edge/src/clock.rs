//! The clocks that decisions use.

#[cfg(any(test, feature = "testing"))]
use std::sync::Arc;
#[cfg(any(test, feature = "testing"))]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use enforce::MonotonicNanos;

/// The wall clock, and the monotonic time since the server was built.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System {
        start: Instant,
    },
    /// Shows these Unix milliseconds.
    #[cfg(any(test, feature = "testing"))]
    Test(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn start() -> Self {
        Self { source: Source::System { start: Instant::now() } }
    }

    /// A clock that shows what is in `millis`.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn standing(millis: Arc<AtomicI64>) -> Self {
        Self { source: Source::Test(millis) }
    }

    /// The wall clock, in Unix milliseconds.
    #[must_use]
    pub fn unix_millis(&self) -> i64 {
        match &self.source {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            #[cfg(any(test, feature = "testing"))]
            Source::Test(millis) => millis.load(Ordering::Relaxed),
        }
    }

    /// The monotonic clock, from its start.
    #[must_use]
    pub fn now(&self) -> MonotonicNanos {
        match &self.source {
            Source::System { start } => {
                MonotonicNanos::from_nanos(i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX))
            }
            #[cfg(any(test, feature = "testing"))]
            Source::Test(millis) => MonotonicNanos::from_nanos(millis.load(Ordering::Relaxed) * 1_000_000),
        }
    }
}
