//! The open-loop schedule of a run.
//!
//! Push number k is due k × samples per push ÷ rate after the start, computed from k alone, so that no late push delays
//! another and nothing drifts; in bursts of n it is due with push k - k mod n. Without a rate every push is due at once. It reads
//! no clock: time is an argument.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of a push and when it is due, from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScheduledPush {
    pub(crate) number: u64,
    pub(crate) due: Duration,
}

/// The times of all pushes of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Seconds between two pushes on average; `None` for as fast as possible.
    interval: Option<f64>,
    /// Pushes that are due at once.
    burst: NonZeroU32,
    duration: Duration,
}

impl Schedule {
    /// `rate` is samples per second over all workers, above zero; `None` paces nothing. Of each `burst` pushes, all are due with the first one.
    pub(crate) fn new(rate: Option<f64>, samples_per_push: u64, burst: NonZeroU32, duration: Duration) -> Self {
        // Precise: the number of samples in a push stays far below 2^53.
        Self { interval: rate.map(|rate| samples_per_push as f64 / rate), burst, duration }
    }

    /// Whether pushes have times.
    pub(crate) fn is_paced(&self) -> bool {
        self.interval.is_some()
    }

    /// When push `number` (from 0) is due; `None` after the end of the run.
    pub(crate) fn due(&self, number: u64) -> Option<Duration> {
        self.burst_due(number / u64::from(self.burst.get()))
    }

    fn burst_due(&self, burst: u64) -> Option<Duration> {
        let due = match self.interval {
            None => Duration::ZERO,
            Some(interval) => {
                let seconds = burst as f64 * f64::from(self.burst.get()) * interval;
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
        };
        (due < self.duration).then_some(due)
    }

    /// The number of pushes of the whole run; `None` without a rate.
    pub(crate) fn planned(&self) -> Option<u64> {
        let period = self.interval? * f64::from(self.burst.get());
        // The quotient may be off by one at a boundary, where `due` decides.
        let about = (self.duration.as_secs_f64() / period) as u64;
        let bursts = match about.checked_sub(1) {
            Some(before) if self.burst_due(before).is_none() => before,
            _ if self.burst_due(about).is_some() => about.saturating_add(1),
            _ => about,
        };
        Some(bursts.saturating_mul(u64::from(self.burst.get())))
    }
}

/// Distributes the pushes of a schedule to the workers.
#[derive(Debug)]
pub(crate) struct Pacer {
    schedule: Schedule,
    next: AtomicU64,
}

impl Pacer {
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self { schedule, next: AtomicU64::new(0) }
    }

    /// The next push for a worker that is free `now` (time since the start); `None` after the end of the run. An overdue push is
    /// due at once, and one without a free worker before the end is never sent.
    pub(crate) fn claim(&self, now: Duration) -> Option<ScheduledPush> {
        if now >= self.schedule.duration {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.schedule.due(number).map(|due| ScheduledPush { number, due })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NonZeroU32, Pacer, Schedule, ScheduledPush};

    const SECOND: Duration = Duration::from_secs(1);

    fn steady(rate: Option<f64>, samples_per_push: u64, duration: Duration) -> Schedule {
        Schedule::new(rate, samples_per_push, NonZeroU32::MIN, duration)
    }

    fn due_times(pacer: &Pacer, now: Duration, count: usize) -> Vec<Option<u64>> {
        (0..count).map(|_| pacer.claim(now).map(|push| push.due.as_millis() as u64)).collect()
    }

    #[test]
    fn spaces_pushes_by_samples_over_rate() {
        let pacer = Pacer::new(steady(Some(1000.0), 100, SECOND));
        let expected: Vec<_> = (0..10).map(|k| Some(k * 100)).chain([None]).collect();
        assert_eq!(due_times(&pacer, Duration::ZERO, 11), expected);
    }

    #[test]
    fn never_drifts_over_a_day() {
        let day = Duration::from_secs(86_400);
        let schedule = steady(Some(30.0), 1, day + SECOND);
        let last = schedule.due(30 * 86_400).expect("within the run");
        assert!(last.abs_diff(day) < Duration::from_micros(1), "{last:?}");
    }

    #[test]
    fn a_late_worker_does_not_move_later_pushes() {
        let pacer = Pacer::new(steady(Some(10.0), 1, SECOND));
        assert_eq!(pacer.claim(Duration::ZERO).map(|push| push.due), Some(Duration::ZERO));
        let late = Duration::from_millis(350);
        assert_eq!(due_times(&pacer, late, 4), [Some(100), Some(200), Some(300), Some(400)]);
    }

    #[test]
    fn a_fraction_of_a_sample_per_second_is_a_rate() {
        let pacer = Pacer::new(steady(Some(0.5), 1, Duration::from_secs(5)));
        assert_eq!(due_times(&pacer, Duration::ZERO, 4), [Some(0), Some(2000), Some(4000), None]);
    }

    #[test]
    fn gives_nothing_after_the_end() {
        let pacer = Pacer::new(steady(Some(10.0), 1, SECOND));
        assert_eq!(pacer.claim(SECOND), None);
        assert_eq!(pacer.claim(Duration::ZERO), Some(ScheduledPush { number: 0, due: Duration::ZERO }));
    }

    #[test]
    fn without_a_rate_every_push_is_due_at_once() {
        let pacer = Pacer::new(steady(None, 100, SECOND));
        assert_eq!(due_times(&pacer, Duration::from_millis(999), 3), [Some(0), Some(0), Some(0)]);
        assert_eq!(pacer.claim(SECOND), None);
        assert_eq!(steady(None, 100, SECOND).planned(), None);
    }

    #[track_caller]
    fn planned(rate: f64, samples: u64, duration: Duration, expected: u64) {
        let schedule = steady(Some(rate), samples, duration);
        assert_eq!(schedule.planned(), Some(expected));
        let pacer = Pacer::new(schedule);
        let handed_out = std::iter::from_fn(|| pacer.claim(Duration::ZERO)).count() as u64;
        assert_eq!(handed_out, expected, "what is handed out is what is planned");
    }

    #[test]
    fn a_burst_is_due_at_once_and_keeps_the_rate() {
        let burst = NonZeroU32::new(5).unwrap();
        let pacer = Pacer::new(Schedule::new(Some(1000.0), 100, burst, SECOND));
        let expected = [0, 0, 0, 0, 0, 500, 500, 500, 500, 500].map(Some).into_iter().chain([None]);
        assert_eq!(due_times(&pacer, Duration::ZERO, 11), expected.collect::<Vec<_>>());
        assert_eq!(Schedule::new(Some(1000.0), 100, burst, SECOND).planned(), Some(10));
        assert_eq!(Schedule::new(Some(1001.0), 100, burst, SECOND).planned(), Some(15));
    }

    #[test]
    fn plans_the_pushes_that_are_due_before_the_end() {
        planned(1000.0, 100, SECOND, 10);
        planned(1000.0, 300, SECOND, 4);
        planned(0.1, 100, SECOND, 1);
        planned(3.0, 1, Duration::from_secs(7), 21);
        planned(1.0 / 3.0, 1, Duration::from_secs(30), 10);
        planned(f64::MIN_POSITIVE, 1, SECOND, 1);
    }
}
