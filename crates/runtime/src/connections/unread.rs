//! The deadline of answers that wait because the peer does not read them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A peer that reads so many bytes has one more second. Slower ones only hold memory: no scraper waits that long.
const READ_IN_A_SECOND: u32 = 64 << 10;

/// The answers of one connection.
pub(super) struct Unread {
    within: Duration,
    /// While an answer waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Unread {
    pub(super) fn new(within: Duration) -> Self {
        Self { within, deadline: None }
    }

    /// Whether an answer waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.deadline.is_some()
    }

    /// An answer waits; returns whether it is the first to.
    pub(super) fn begin(&mut self) -> bool {
        let begins = self.deadline.is_none();
        if begins {
            self.deadline = Some(Box::pin(sleep(self.within)));
        }
        begins
    }

    /// The peer read so many bytes.
    pub(super) fn extend(&mut self, bytes: usize) {
        let Some(deadline) = &mut self.deadline else { return };
        let extended = extended(deadline.deadline(), bytes, self.within, Instant::now());
        deadline.as_mut().reset(extended);
    }

    /// Nothing waits; returns whether something did.
    pub(super) fn end(&mut self) -> bool {
        self.deadline.take().is_some()
    }

    /// Ready when an answer has waited for too long.
    pub(super) fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.deadline.as_mut().map_or(Poll::Pending, |deadline| deadline.as_mut().poll(context))
    }
}

/// The deadline of a peer that has just read so many bytes. It reads nothing ahead: no pause is longer than `within`.
fn extended(deadline: Instant, bytes: usize, within: Duration, now: Instant) -> Instant {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let gained = Duration::from_secs(1).saturating_mul(bytes) / READ_IN_A_SECOND;
    (deadline + gained).min(now + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When the deadline of a peer that reads so much each second passes, within a minute.
    #[track_caller]
    fn check(read_in_a_second: usize, expected: Option<u32>) {
        let (start, within) = (Instant::now(), 10 * SECOND);
        let mut deadline = start + within;
        let passed = (1..=60).find(|seconds| {
            let now = start + *seconds * SECOND;
            let is_passed = now >= deadline;
            deadline = extended(deadline, read_in_a_second, within, now);
            is_passed
        });
        assert_eq!(passed, expected, "{read_in_a_second}");
    }

    #[test]
    fn only_a_peer_that_reads_steadily_has_all_its_time() {
        let steady = READ_IN_A_SECOND as usize;
        check(0, Some(10));
        check(1, Some(11));
        check(steady / 2, Some(19));
        check(steady, None);
        check(usize::MAX, None);
    }

    #[test]
    fn no_peer_reads_ahead() {
        let (start, within) = (Instant::now(), 10 * SECOND);
        assert_eq!(extended(start + within, usize::MAX, within, start + SECOND), start + 11 * SECOND);
        assert_eq!(extended(start + within, 64 << 10, within, start), start + within);
    }
}
