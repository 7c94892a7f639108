//! Places of which there are only so many.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A counter with an upper bound.
pub(super) struct Bounded {
    taken: AtomicUsize,
    most: usize,
}

impl Bounded {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }

    /// Takes a place, if there is one.
    pub(super) fn reserve(&self) -> bool {
        let one_more = |taken: usize| Some(taken.saturating_add(1)).filter(|&taken| taken <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Gives a place back.
    pub(super) fn release(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}
