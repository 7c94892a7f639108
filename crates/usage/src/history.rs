//! The last seconds of a tenant one by one, and the last hours in steps of ten seconds.

use std::collections::VecDeque;

use crate::interval::{Interval, Usage};

/// The seconds that are kept one by one: 5 minutes.
pub const FINE_SECONDS: u32 = 300;
/// All seconds that are kept: 2 hours.
pub const KEPT_SECONDS: u32 = 7_200;
/// The seconds of one coarse step.
const STEP: u32 = 10;
const STEPS: u32 = KEPT_SECONDS / STEP;

/// How many more there is room for at once in a queue that grows: doubling would leave half of it empty.
const ROOM: usize = 60;

/// What one tenant sent. It takes 40 bytes for each of 300 seconds and 52 for each of 720 steps: at most 50 KB.
#[derive(Clone, Debug, Default)]
pub struct History {
    fine: VecDeque<Usage>,
    steps: VecDeque<Interval>,
    /// The step that is not over.
    open: Interval,
}

/// A time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last 60 seconds.
    Minute,
    /// The last 15 minutes, to within 10 seconds.
    QuarterHour,
}

impl History {
    /// Appends the second that has just ended.
    pub fn push(&mut self, second: Usage) {
        keep(&mut self.fine, second, FINE_SECONDS);
        self.open.add(&Interval::second(second));
        if self.open.seconds >= STEP {
            keep(&mut self.steps, std::mem::take(&mut self.open), STEPS);
        }
    }

    /// All of a window, as far as it is known: its [`Interval::seconds`] are fewer for a new tenant.
    #[must_use]
    pub fn over(&self, window: Window) -> Interval {
        match window {
            Window::Minute => sum(self.fine.iter().rev().take(60).rev().map(|second| Interval::second(*second))),
            Window::QuarterHour => {
                let closed = (15 * 60 / STEP).saturating_sub(u32::from(self.open.seconds > 0));
                sum(self.steps.iter().rev().take(closed as usize).rev().copied().chain([self.open]))
            }
        }
    }

    /// Everything that is kept, from the oldest on: steps of ten seconds, and then seconds. No second is in two of them.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        let known = self.known_steps();
        // Whole steps as far as the seconds reach back.
        let of_seconds = (self.fine.len() as u32).saturating_sub(self.open.seconds) / STEP;
        let steps = self.steps.iter().take(known.saturating_sub(of_seconds) as usize).copied();
        let seconds = of_seconds.min(known) * STEP + self.open.seconds;
        let skipped = self.fine.len().saturating_sub(seconds as usize);
        steps.chain(self.fine.iter().skip(skipped).map(|second| Interval::second(*second)))
    }

    /// Whether nothing was sent in all the time that is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.total.requests == 0
            && self.fine.iter().all(|second| second.requests == 0)
            && self.steps.iter().all(|step| step.total.requests == 0)
    }

    fn known_steps(&self) -> u32 {
        self.steps.len() as u32
    }
}

fn keep<T>(queue: &mut VecDeque<T>, last: T, most: u32) {
    if queue.len() >= most as usize {
        queue.pop_front();
    } else if queue.len() == queue.capacity() {
        queue.reserve_exact(ROOM.min(most as usize - queue.len()));
    }
    queue.push_back(last);
}

fn sum(intervals: impl Iterator<Item = Interval>) -> Interval {
    intervals.fold(Interval::default(), |mut all, next| {
        all.add(&next);
        all
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(requests: u32, items: u32) -> Usage {
        Usage { requests, counted: requests, items, largest: items, ..Usage::default() }
    }

    /// The history after these seconds.
    fn after(seconds: impl IntoIterator<Item = Usage>) -> History {
        let mut history = History::default();
        seconds.into_iter().for_each(|second| history.push(second));
        history
    }

    #[test]
    fn a_new_tenant_has_the_seconds_it_sent_in() {
        let history = after([second(1, 100), second(0, 0), second(3, 50)]);
        let minute = history.over(Window::Minute);
        assert_eq!(minute.seconds, 3);
        assert_eq!(minute.items_per_second(), 50.0);
        assert_eq!((minute.peak_items, minute.peak_requests), (100, 3));
        assert_eq!(history.over(Window::QuarterHour), minute);
        assert!(!history.is_empty());
        assert!(History::default().is_empty());
        assert_eq!(History::default().over(Window::Minute).items_per_second(), 0.0);
    }

    #[test]
    fn windows_end_now_and_forget_what_is_older() {
        let history = after((0..2_000).map(|number| second(1, if number < 1_000 { 500 } else { 10 })));
        assert_eq!(history.over(Window::Minute).total.items, 600);
        let quarter = history.over(Window::QuarterHour);
        assert_eq!((quarter.seconds, quarter.peak_items), (900, 10));
    }

    #[test]
    fn memory_is_bounded_by_two_hours() {
        let history = after((0..30_000).map(|_| second(1, 1)));
        assert_eq!((history.fine.len(), history.steps.len()), (300, 720));
        assert_eq!(history.intervals().map(|it| it.seconds).sum::<u32>(), KEPT_SECONDS);
        let bytes = history.fine.capacity() * size_of::<Usage>() + history.steps.capacity() * size_of::<Interval>();
        assert!(bytes <= 50_000, "{bytes}");
    }

    proptest! {
        /// Each second that is kept is there once, whatever the age.
        #[test]
        fn intervals_hold_each_second_once(count in 0u32..9_000, items in 0u32..50) {
            let history = after((0..count).map(|number| second(1, items + number % 7)));
            let all: Vec<Interval> = history.intervals().collect();
            let seconds: u32 = all.iter().map(|it| it.seconds).sum();
            prop_assert!(seconds == count || (KEPT_SECONDS..KEPT_SECONDS + STEP).contains(&seconds), "{seconds} of {count}");
            let sent: u32 = all.iter().map(|it| it.total.items).sum();
            let expected: u32 = (count - seconds..count).map(|number| items + number % 7).sum();
            prop_assert_eq!(sent, expected);
            prop_assert!(all.iter().rev().take(290).all(|it| it.seconds == 1) || count < 290);
        }
    }
}
