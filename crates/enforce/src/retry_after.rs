//! `Retry-After` of a denial, as Mimir computes it.

/// Mimir's `distributor.retry_after_header.min_backoff`, in seconds.
const MIN_SECONDS: u64 = 6;
/// Mimir's `distributor.retry_after_header.max_backoff`, in seconds.
const MAX_SECONDS: u64 = 96;

/// Seconds for `Retry-After`, from 6 to 96 (Mimir `pkg/distributor/push.go`, default settings).
///
/// The delay doubles from 6 s with every attempt up to 96 s, then moves by up to half of it either way and is clamped,
/// so a first denial gets 6 to 9. It does not depend on the bucket, as in Mimir.
///
/// `attempt` is the request's `Retry-Attempt`; 0 counts as 1. `random` is uniform in `[0, 1)`; a number outside is
/// taken as the nearest end, NaN as 0.
#[must_use]
pub fn retry_after_seconds(attempt: u32, random: f64) -> u64 {
    let doublings = attempt.saturating_sub(1).min((MAX_SECONDS / MIN_SECONDS).ilog2());
    let delay = MIN_SECONDS << doublings;
    let jitter = delay / 2;
    let choices = 2 * jitter + 1;
    // The cast drops the fraction, is 0 for negative numbers and NaN, and saturates.
    let choice = ((random * choices as f64) as u64).min(choices - 1);
    (delay + choice).saturating_sub(jitter).clamp(MIN_SECONDS, MAX_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALMOST_ONE: f64 = 1.0 - f64::EPSILON;

    #[track_caller]
    fn check(attempt: u32, expected: std::ops::RangeInclusive<u64>) {
        assert_eq!(retry_after_seconds(attempt, 0.0), *expected.start(), "least of attempt {attempt}");
        assert_eq!(retry_after_seconds(attempt, ALMOST_ONE), *expected.end(), "most of attempt {attempt}");
    }

    #[test]
    fn doubles_with_each_attempt_and_stays_within_the_bounds() {
        check(0, 6..=9);
        check(1, 6..=9);
        check(2, 6..=18);
        check(3, 12..=36);
        check(4, 24..=72);
        check(5, 48..=96);
        check(6, 48..=96);
        check(u32::MAX, 48..=96);
    }

    #[test]
    fn every_whole_second_of_the_range_is_given() {
        let mut counts = [0_u32; 7];
        for step in 0..7_000 {
            let seconds = retry_after_seconds(1, f64::from(step) / 7_000.0);
            counts[usize::try_from(seconds - 3).unwrap()] += 1;
        }
        // 6 s plus -3 to +3, where everything below 6 is raised to it.
        assert_eq!(counts, [0, 0, 0, 4_000, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn odd_random_numbers_stay_within_the_range() {
        for random in [-1.0, f64::NAN, 1.0, 2.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert!((12..=36).contains(&retry_after_seconds(3, random)), "{random}");
        }
    }
}
