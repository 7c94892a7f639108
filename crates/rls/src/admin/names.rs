//! The names of all tenants that have a bucket, in byte order, for the pages of `GET /api/v1/tenants`.
//!
//! With some hundred thousand tenants the list takes 100 ms to make. A list that takes long is used again, for [`KEPT_FACTOR`] times the time that it
//! took: pages then cost what they return, and a flood of requests takes a twentieth of one core.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;

const KEPT_FACTOR: u32 = 20;
/// A list that takes less is made anew for each page.
const WORTH_KEEPING: Duration = Duration::from_millis(1);
const KEPT_AT_MOST: Duration = Duration::from_secs(10);

/// Names in byte order.
pub(super) type Names = Arc<Vec<Box<str>>>;

/// The last list, while it is kept.
#[derive(Default)]
pub(crate) struct KeptNames {
    kept: Mutex<Weak<Vec<Box<str>>>>,
}

impl KeptNames {
    /// The kept list, or a new one of these names. To be called on a thread of the runtime.
    pub(super) fn get(&self, names: impl FnOnce() -> Vec<Box<str>>) -> Names {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = kept.upgrade() {
            return names;
        }
        let started = Instant::now();
        let mut names = names();
        names.sort_unstable();
        let (names, took) = (Arc::new(names), started.elapsed());
        if took >= WORTH_KEEPING {
            *kept = Arc::downgrade(&names);
            let names = Arc::clone(&names);
            Handle::current().spawn(async move {
                sleep(took.saturating_mul(KEPT_FACTOR).min(KEPT_AT_MOST)).await;
                drop(names);
            });
        }
        names
    }
}

/// The first `count` names after `after`.
pub(super) fn names_after<'n>(
    names: &'n [Box<str>],
    after: Option<&str>,
    count: usize,
) -> impl Iterator<Item = &'n str> {
    let begin = after.map_or(0, |after| names.partition_point(|name| **name <= *after));
    names.iter().skip(begin).take(count).map(AsRef::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[track_caller]
    fn check(after: Option<&str>, count: usize, expected: &[&str]) {
        let names = names(&["t1", "t10", "t2", "t3", "t4", "t5", "t6", "t9"]);
        assert_eq!(names_after(&names, after, count).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn pages_continue_after_any_name() {
        check(None, 3, &["t1", "t10", "t2"]);
        check(Some("t2"), 3, &["t3", "t4", "t5"]);
        check(Some("t5"), 3, &["t6", "t9"]);
        check(Some("t55"), 100, &["t6", "t9"]);
        check(Some("t9"), 3, &[]);
        check(None, 0, &[]);
    }

    #[tokio::test]
    async fn a_list_that_takes_long_is_used_again() {
        let kept = KeptNames::default();
        let slow = || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            names(&["b", "a"])
        };
        let first = kept.get(slow);
        assert_eq!(**first, *names(&["a", "b"]));
        for _ in 0..50 {
            assert!(Arc::ptr_eq(&first, &kept.get(|| unreachable!("it is kept"))));
        }
        drop(first);
        let deadline = Instant::now() + Duration::from_secs(20);
        while kept.kept.lock().unwrap().strong_count() > 0 {
            assert!(Instant::now() < deadline, "it is kept for ever");
            tokio::task::yield_now().await;
        }
        assert_eq!(**kept.get(|| names(&["c"])), *names(&["c"]));
    }

    #[tokio::test]
    async fn a_list_that_takes_no_time_is_always_new() {
        let kept = KeptNames::default();
        drop(kept.get(|| names(&["a"])));
        assert_eq!(kept.kept.lock().unwrap().strong_count(), 0);
    }
}
