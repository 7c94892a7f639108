//! Random choices, all from one seed.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A random generator. The same seed gives the same choices.
pub(crate) struct Random(StdRng);

impl Random {
    /// The generator of one tenant: its choices do not depend on the number of another tenant's pushes.
    pub(crate) fn of(seed: u64, tenant: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(tenant)))
    }

    /// True with this probability, in percent.
    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.0.random_range(0..100) < chance
    }

    /// A number from `low` up to `high`, both included.
    pub(crate) fn number(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// How many of something, `low` to `high`.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.random_range(0..=u8::MAX)
    }

    /// One of these.
    pub(crate) fn one<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.0.random_range(0..choices.len())]
    }

    /// The same for values.
    pub(crate) fn of_values<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.random_range(0..choices.len())]
    }

    /// A number at a limit: one below it, on it, or one above it, and never below 0.
    pub(crate) fn around(&mut self, limit: i64) -> usize {
        usize::try_from(limit + self.number(-1, 1)).unwrap_or(0)
    }
}
