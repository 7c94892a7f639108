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
        // Nothing unparks this thread: there is no event to wait for when another process is to change.
        thread::park_timeout(POLL_EVERY);
    }
}
