//! Waiting for something to become true, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

const POLL_EVERY: Duration = Duration::from_millis(20);
/// Long enough for a program to start or to notice a change on a machine that also compiles.
const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `condition` holds.
///
/// # Panics
/// When it did not within 30 s; `what` says for what the test waited.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Polls until `condition` holds, for so long.
///
/// # Panics
/// When it did not; `what` says for what the test waited.
#[track_caller]
pub fn until_within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    poll(deadline, || condition().then_some(())).unwrap_or_else(|| panic!("waited {deadline:?} in vain: {what}"));
}

/// Polls until `attempt` gives a value.
///
/// # Panics
/// When it did not within 30 s; `what` says for what the test waited.
#[track_caller]
pub fn until_some<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    poll(DEADLINE, attempt).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// Polls until `attempt` gives a value, or the time is over.
pub(crate) fn poll<T>(deadline: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if started.elapsed() > deadline {
            return None;
        }
        // There is no event to wait for when another process is to change.
        wait_until(Instant::now() + POLL_EVERY);
    }
}

/// Repeats `check` for this long. It is for what must not happen: only time shows that it does not.
pub fn throughout(time: Duration, mut check: impl FnMut()) {
    let started = Instant::now();
    while started.elapsed() < time {
        check();
        wait_until(Instant::now() + POLL_EVERY);
    }
}

/// Lets this much time pass. It is for tests of time itself, and each caller says what the time is for; what can be seen is waited for with
/// [`until`].
pub fn let_time_pass(time: Duration) {
    wait_until(Instant::now() + time);
}

/// Returns at this moment, or at once where it is over.
///
/// A thread that ends in a scope unparks the thread that waits for it, and the next park then returns too early. So this looks at the time, and
/// parks again.
#[expect(clippy::disallowed_methods, reason = "the one place that parks, and looks at the time")]
pub fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unparked_thread_still_waits() {
        let started = Instant::now();
        thread::current().unpark();
        wait_until(started + POLL_EVERY);
        assert!(started.elapsed() >= POLL_EVERY);
    }
}
