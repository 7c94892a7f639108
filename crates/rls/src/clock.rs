//! The one place of the server that reads a clock for decisions.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use enforce::Moment;

/// Monotonic time since the server was built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The wall clock, in Unix milliseconds: what times in pushes are compared with.
    pub(crate) fn unix_millis(self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn now(self) -> Moment {
        Moment::from_nanos(i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}
