//! Wall-clock time as Mimir's HA tracker keeps it: whole milliseconds since 1970, which are never read from a clock here.

use std::time::Duration;

/// Milliseconds since 1970-01-01 UTC. Arithmetic saturates.
///
/// Not a [`MonotonicNanos`](crate::MonotonicNanos): an election compares times with those of samples and with Mimir's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// So many milliseconds after 1970 began; before, if negative.
    #[must_use]
    pub const fn new(millis: i64) -> Self {
        UnixMillis(millis)
    }

    /// The milliseconds since 1970 began.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to this; negative if `earlier` is the later one.
    pub(crate) const fn since(self, earlier: UnixMillis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved by so many milliseconds.
    pub(crate) const fn plus(self, millis: i64) -> UnixMillis {
        UnixMillis(self.0.saturating_add(millis))
    }
}

/// Whole milliseconds of a duration, the most there can be if it is longer.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
