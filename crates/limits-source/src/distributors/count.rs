//! Which count of distributors is published, from the observed counts and their times.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How long a count has to stay low before it is published: a rollout replaces distributors one by one, and Mimir's ring takes as long to forget one.
pub(crate) const HELD: Duration = Duration::from_secs(120);

/// The highest count of the last two minutes.
#[derive(Debug, Default)]
pub(crate) struct ReadyCount {
    now: Option<NonZeroU32>,
    /// Higher counts and when each ended, the highest and oldest first.
    ended: VecDeque<(NonZeroU32, Instant)>,
}

impl ReadyCount {
    /// Continues with the count before a restart, as if it held until now.
    pub(crate) fn continued(last: Option<NonZeroU32>) -> Self {
        Self { now: last, ended: VecDeque::new() }
    }

    /// Records that this many are ready from `now` on. 0 is ignored: a Mimir without distributors takes no push.
    pub(crate) fn observe(&mut self, count: u32, now: Instant) {
        let Some(count) = NonZeroU32::new(count) else { return };
        if let Some(before) = self.now.filter(|before| *before > count) {
            self.ended.push_back((before, now));
        }
        while self.ended.back().is_some_and(|(ended, _)| *ended <= count) {
            self.ended.pop_back();
        }
        self.now = Some(count);
    }

    /// The count at `now`, which never goes back.
    pub(crate) fn published(&mut self, now: Instant) -> Option<NonZeroU32> {
        while self.falls_at().is_some_and(|falls_at| falls_at <= now) {
            self.ended.pop_front();
        }
        self.ended.front().map(|(count, _)| *count).or(self.now)
    }

    /// When the published count falls, if no other count is observed.
    pub(crate) fn falls_at(&self) -> Option<Instant> {
        self.ended.front().map(|(_, ended)| *ended + HELD)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts seen at seconds, and what is published at seconds.
    #[track_caller]
    fn check(seen: &[(u64, u32)], published: &[(u64, Option<u32>)]) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (seconds, expected) in published {
            let mut count = ReadyCount::default();
            for (when, ready) in seen.iter().filter(|(when, _)| when <= seconds) {
                count.observe(*ready, at(*when));
                count.published(at(*when));
            }
            assert_eq!(count.published(at(*seconds)).map(NonZeroU32::get), *expected, "{seen:?} at {seconds}");
        }
    }

    #[test]
    fn a_rise_applies_at_once_a_fall_after_two_minutes() {
        check(&[], &[(0, None), (999, None)]);
        check(&[(0, 3), (10, 5)], &[(0, Some(3)), (9, Some(3)), (10, Some(5))]);
        check(&[(0, 5), (10, 3)], &[(10, Some(5)), (129, Some(5)), (130, Some(3))]);
    }

    #[test]
    fn the_highest_count_of_two_minutes_holds() {
        check(&[(0, 5), (10, 3), (70, 4)], &[(129, Some(5)), (130, Some(4))]);
        check(&[(0, 5), (10, 4), (20, 3)], &[(129, Some(5)), (130, Some(4)), (139, Some(4)), (140, Some(3))]);
        check(&[(0, 5), (10, 3), (20, 5), (30, 3)], &[(149, Some(5)), (150, Some(3))]);
        check(&[(0, 5), (10, 3), (20, 9)], &[(20, Some(9)), (9_999, Some(9))]);
    }

    #[test]
    fn none_at_all_is_no_count() {
        check(&[(0, 0)], &[(0, None), (999, None)]);
        check(&[(0, 5), (10, 0)], &[(10, Some(5)), (99_999, Some(5))]);
        check(&[(0, 5), (10, 0), (1_000, 3)], &[(1_119, Some(5)), (1_120, Some(3))]);
    }

    #[test]
    fn a_lower_count_after_a_restart_waits_like_any_other() {
        let start = Instant::now();
        let mut count = ReadyCount::continued(NonZeroU32::new(5));
        assert_eq!(count.published(start), NonZeroU32::new(5));
        let restarted = start + Duration::from_secs(1_000);
        count.observe(3, restarted);
        assert_eq!(count.published(restarted + HELD - Duration::from_secs(1)), NonZeroU32::new(5));
        assert_eq!(count.published(restarted + HELD), NonZeroU32::new(3));
    }

    proptest! {
        /// Against the rule said plainly: of all counts that held at some moment of the last two minutes, the highest.
        #[test]
        fn it_is_the_highest_of_the_window(
            last in 0u32..9,
            steps in prop::collection::vec((0u64..200, 0u32..9), 1..40),
            after in 0u64..300,
        ) {
            let start = Instant::now();
            let last = NonZeroU32::new(last);
            let mut count = ReadyCount::continued(last);
            let (mut seconds, mut spans) = (0, Vec::from_iter(last.map(|last| (0_u64, last.get()))));
            for (wait, ready) in steps {
                seconds += wait;
                count.observe(ready, start + Duration::from_secs(seconds));
                if ready > 0 {
                    spans.push((seconds, ready));
                }
            }
            let now = seconds + after;
            let ends = spans.iter().skip(1).map(|(begin, _)| *begin).chain([u64::MAX]);
            let held = spans.iter().zip(ends).filter(|(_, end)| end.saturating_add(HELD.as_secs()) > now);
            let expected = held.map(|((_, ready), _)| *ready).max();
            let published = count.published(start + Duration::from_secs(now)).map(NonZeroU32::get);
            prop_assert_eq!(published, expected);
            prop_assert!(count.ended.len() < 9);
        }
    }
}
