//! Places of which there are only so many, a part of them for preferred tenants alone.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for preferred tenants and for others, who may take only a part of them.
pub(super) struct Places {
    all: Bounded,
    others: Bounded,
}

impl Places {
    /// So many places, of which others may take so many.
    pub(super) fn new(all: usize, others: usize) -> Self {
        Self { all: Bounded::new(all), others: Bounded::new(others) }
    }

    /// Takes a place, if there is one for such a tenant.
    pub(super) fn reserve(&self, is_preferred: bool) -> bool {
        if !is_preferred && !self.others.reserve() {
            return false;
        }
        let reserved = self.all.reserve();
        if !reserved && !is_preferred {
            self.others.release();
        }
        reserved
    }

    /// Gives the place of such a tenant back.
    pub(super) fn release(&self, is_preferred: bool) {
        self.all.release();
        if !is_preferred {
            self.others.release();
        }
    }

    /// Another tenant with a place is preferred from now on.
    pub(super) fn prefer(&self) {
        self.others.release();
    }

    /// How many are taken, and how many of them by others.
    #[cfg(test)]
    pub(super) fn taken(&self) -> [usize; 2] {
        [&self.all, &self.others].map(|bounded| bounded.taken.load(Ordering::Relaxed))
    }
}

/// A counter with an upper bound.
struct Bounded {
    taken: AtomicUsize,
    most: usize,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }

    fn reserve(&self) -> bool {
        let one_more = |taken: usize| Some(taken.saturating_add(1)).filter(|&taken| taken <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn release(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
