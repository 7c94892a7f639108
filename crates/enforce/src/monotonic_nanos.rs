//! A point in time as the buckets see it: nanoseconds on a clock of the caller's choosing, which is never read here.

use std::ops::Add;
use std::time::Duration;

/// A point on the caller's monotonic clock, in nanoseconds.
///
/// The zero is the caller's, for instance the start of the process. Arithmetic saturates, as Go's `time.Time.Sub`
/// does, so no two moments are more than about 292 years apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicNanos(i64);

impl MonotonicNanos {
    /// Before every moment a caller's clock can show.
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
