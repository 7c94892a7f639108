//! A message while it arrives: what it has of the budget, and whether it stalls.
//!
//! A length that is only claimed reserves nothing. What is reserved is twice what has arrived and 4 KiB: a message of which half is there is
//! sure of the rest, and a caller has to send half of what it occupies. A message for which there is no room is denied at once: none waits for another,
//! so half-read messages cannot block each other. Invariant: what has arrived is reserved before the service gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::{Budget, BudgetExceeded, Reservation};

/// What a call occupies besides its headers before any of its message arrives, in bytes.
const CALL_BYTES: usize = 4 << 10;

/// A message stalls if it brings less than [`MIN_BYTES_PER_INTERVAL`] in two such intervals in a row. One is not enough: a process that was frozen finds
/// its timers expired before it has read what its sockets hold.
const INTERVAL: Duration = Duration::from_secs(1);
const MIN_BYTES_PER_INTERVAL: usize = 1 << 20;

/// A message that is being received, and the bytes that are reserved for it until this is dropped.
pub struct Arrival {
    reservation: Reservation,
    /// The most that may be reserved for the message: a share always holds the largest one, which must pass with its headers too.
    most: usize,
    reserved: AtomicUsize,
    arrived: AtomicUsize,
    is_complete: AtomicBool,
}

impl Arrival {
    /// Reserves `headers` bytes for the headers of a call, and 4 KiB.
    ///
    /// # Errors
    /// There is no room.
    pub fn begin(budget: &Arc<Budget>, tenant: Option<&str>, headers: usize) -> Result<Self, BudgetExceeded> {
        let reservation = budget.reserve(tenant, headers.saturating_add(CALL_BYTES))?;
        Ok(Self {
            reservation,
            most: budget.share().saturating_sub(headers),
            reserved: AtomicUsize::new(CALL_BYTES),
            arrived: AtomicUsize::new(0),
            is_complete: AtomicBool::new(false),
        })
    }

    /// Reserves room for `bytes` more of a message of `length` bytes.
    ///
    /// # Errors
    /// There is no room.
    pub fn add(&self, bytes: usize, length: usize) -> Result<(), BudgetExceeded> {
        let arrived = self.arrived.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let reserved = self.reserved.load(Ordering::Relaxed);
        let next = arrived.saturating_mul(2).saturating_add(CALL_BYTES).min(length).min(self.most);
        match self.reservation.grow(next.saturating_sub(reserved)) {
            Ok(()) => self.reserved.store(next.max(reserved), Ordering::Relaxed),
            Err(which) if arrived > reserved => return Err(which),
            // What arrived has its room; there is none ahead of it.
            Err(_) => {}
        }
        if arrived >= length {
            self.complete();
        }
        Ok(())
    }

    /// Nothing more is to come.
    pub fn complete(&self) {
        self.is_complete.store(true, Ordering::Relaxed);
    }

    /// Returns once the message stalls while others may miss what it holds: in two seconds in a row it brings less than 1 MiB each. Never returns once it is
    /// complete.
    pub async fn stalls(&self) {
        let mut pace = Pace::default();
        loop {
            sleep(INTERVAL).await;
            if self.is_complete.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            if pace.stalls(self.arrived.load(Ordering::Relaxed), self.reservation.is_wanted()) {
                return;
            }
        }
    }
}

/// How a message came in the last intervals.
#[derive(Default)]
struct Pace {
    arrived: usize,
    slow_before: bool,
}

impl Pace {
    /// Judges an interval, at whose end so many bytes have arrived.
    fn stalls(&mut self, arrived: usize, is_wanted: bool) -> bool {
        let is_slow = is_wanted && arrived.saturating_sub(self.arrived) < MIN_BYTES_PER_INTERVAL;
        let stalls = is_slow && self.slow_before;
        *self = Self { arrived, slow_before: is_slow };
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const HEADERS: usize = 100;

    fn begin(budget: &Arc<Budget>) -> Arrival {
        Arrival::begin(budget, Some("a"), HEADERS).unwrap()
    }

    #[test]
    fn only_what_arrived_is_reserved_and_as_much_again() {
        let budget = Budget::new(64 * MIB);
        let message = begin(&budget);
        let expect = |bytes: usize| assert_eq!(budget.reserved(), HEADERS + bytes);
        expect(CALL_BYTES);
        message.add(100, 16 * MIB).unwrap();
        expect(200 + CALL_BYTES);
        message.add(MIB, 16 * MIB).unwrap();
        expect(2 * (100 + MIB) + CALL_BYTES);
        message.add(7 * MIB, 16 * MIB).unwrap();
        expect(16 * MIB - HEADERS);
        message.add(8 * MIB - 100, 16 * MIB).unwrap();
        expect(16 * MIB - HEADERS);
        drop(message);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn claims_fill_nothing_and_half_a_message_is_safe() {
        let budget = Budget::new(64 * MIB);
        let claims: Vec<_> = (0..1_000).map(|_| begin(&budget)).collect();
        claims.iter().for_each(|claim| claim.add(5, 16 * MIB).unwrap());
        assert!(budget.reserved() < 5 * MIB, "{}", budget.reserved());

        let half = begin(&budget);
        half.add(4 * MIB, 8 * MIB).unwrap();
        let greedy = begin(&budget);
        let steps = (0..1_000).take_while(|_| greedy.add(16 << 10, 16 * MIB).is_ok()).count();
        assert!((64..512).contains(&steps), "{steps} times 16 KiB passed");
        half.add(4 * MIB, 8 * MIB).unwrap();
    }

    /// Whether a message stalls at the end of each interval, in which it brings so many bytes while others want its room or not.
    #[track_caller]
    fn check(intervals: &[(usize, bool)], expected: &[bool]) {
        let (mut pace, mut arrived) = (Pace::default(), 0);
        let judged = intervals.iter().map(|(bytes, is_wanted)| {
            arrived += bytes;
            pace.stalls(arrived, *is_wanted)
        });
        assert_eq!(judged.collect::<Vec<_>>(), expected, "{intervals:?}");
    }

    #[test]
    fn two_slow_intervals_in_a_row_are_a_stall() {
        check(&[(0, true), (0, true)], &[false, true]);
        check(&[(MIN_BYTES_PER_INTERVAL - 1, true), (MIN_BYTES_PER_INTERVAL - 1, true)], &[false, true]);
        check(
            &[(MIN_BYTES_PER_INTERVAL, true), (MIN_BYTES_PER_INTERVAL, true), (MIN_BYTES_PER_INTERVAL, true)],
            &[false; 3],
        );
        check(&[(0, true), (MIN_BYTES_PER_INTERVAL, true), (0, true), (0, true)], &[false, false, false, true]);
        check(
            &[(0, false), (0, false), (0, true), (0, false), (0, true), (0, true)],
            &[false, false, false, false, false, true],
        );
    }
}
