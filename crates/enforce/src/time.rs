//! Times as values: the monotonic time of buckets, and the wall-clock time of elections. No clock is read here.

use std::ops::Add;
use std::time::Duration;

/// A point on the caller's monotonic clock, in nanoseconds.
///
/// The zero is the caller's, for instance the start of the process. Arithmetic saturates, as Go's `time.Time.Sub`
/// does, so no two moments are more than about 292 years apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicNanos(i64);

impl MonotonicNanos {
    /// Before every time of a caller's clock.
    pub(crate) const NEVER: MonotonicNanos = MonotonicNanos(i64::MIN);

    /// The moment `nanos` nanoseconds after the clock's zero.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        MonotonicNanos(nanos)
    }

    /// Nanoseconds since the clock's zero.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to this moment; 0 if `earlier` is the later one.
    pub(crate) fn nanos_since(self, earlier: MonotonicNanos) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

impl Add<Duration> for MonotonicNanos {
    type Output = MonotonicNanos;

    fn add(self, duration: Duration) -> MonotonicNanos {
        MonotonicNanos(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// Milliseconds since 1970-01-01 UTC. Arithmetic saturates.
///
/// Not a [`MonotonicNanos`]: an election compares times with those of samples and with Mimir's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// `millis` milliseconds after 1970 began; before, if negative.
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

    /// This time moved by `millis` milliseconds.
    pub(crate) const fn plus(self, millis: i64) -> UnixMillis {
        UnixMillis(self.0.saturating_add(millis))
    }
}

/// Whole milliseconds of a duration, saturating.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_durations_and_saturates() {
        assert_eq!(MonotonicNanos::from_nanos(5) + Duration::from_micros(2), MonotonicNanos::from_nanos(2_005));
        assert_eq!((MonotonicNanos::from_nanos(5) + Duration::MAX).as_nanos(), i64::MAX);
    }

    #[test]
    fn differences_saturate_and_are_never_negative() {
        let early = MonotonicNanos::from_nanos(-3);
        let late = MonotonicNanos::from_nanos(i64::MAX);
        assert_eq!(late.nanos_since(early), i64::MAX);
        assert_eq!(early.nanos_since(late), 0);
        assert_eq!(MonotonicNanos::default().nanos_since(MonotonicNanos::NEVER), i64::MAX);
    }
}
