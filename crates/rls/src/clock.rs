//! The one place of the server that reads a clock for decisions.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use enforce::Moment;

/// The wall clock, and the monotonic time since the server was built.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System {
        start: Instant,
    },
    /// Stands at so many Unix milliseconds until the test moves it.
    #[cfg(test)]
    Test(Arc<AtomicI64>),
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { source: Source::System { start: Instant::now() } }
    }

    /// A clock that shows what is in `millis`.
    #[cfg(test)]
    pub(crate) fn standing(millis: Arc<AtomicI64>) -> Self {
        Self { source: Source::Test(millis) }
    }

    /// The wall clock, in Unix milliseconds: what times in pushes are compared with.
    pub(crate) fn unix_millis(&self) -> i64 {
        match &self.source {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            #[cfg(test)]
            Source::Test(millis) => millis.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        match &self.source {
            Source::System { start } => {
                Moment::from_nanos(i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX))
            }
            #[cfg(test)]
            Source::Test(millis) => Moment::from_nanos(millis.load(Ordering::Relaxed) * 1_000_000),
        }
    }
}
