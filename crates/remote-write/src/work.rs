//! The bounds on the work and memory that one push causes.
//!
//! In 2.0 a byte refers to a whole symbol, so that copying, hashing, comparing or counting the text costs more than the bytes
//! sent. Such work comes from a budget that grows with the size of the push, and every buffer has a cap. When either is
//! exhausted the push is abandoned: its messages are still decoded, so that a malformed one is rejected, but references are
//! no longer followed, and the push is counted as sent.

use crate::Unmetered;

/// Bytes of text that may be examined by reference for each byte of a push. Ordinary pushes need less than one, those of
/// tenants with relabelling some ten.
const WORK_PER_BYTE: usize = 32;

/// And this many more, for small pushes with long texts.
const WORK_OF_ANY_PUSH: usize = 256 << 10;

/// Examining so few bytes of a text takes no longer than decoding the reference, which is paid for already.
pub(crate) const FREE_BYTES: usize = 64;

/// The caps on the work for one push, and on what is kept in addition to its decompressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    /// Bytes of text that may be examined by reference for each byte of the push,
    pub work_per_byte: usize,
    /// and this many more.
    pub work: usize,
    /// Symbols that are kept.
    pub symbols: usize,
    /// Distinct metric families.
    pub families: usize,
    /// Distinct times of one series, if they do not ascend.
    pub times: usize,
    /// Valid exemplars, whose times are checked at the end of the push.
    pub exemplars: usize,
    /// Labels of one series, whatever the tenant's limit.
    pub labels: usize,
    /// Bytes of the labels of one series that are copied, for relabelling or deduplication.
    pub label_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Caps {
    /// Far beyond real pushes: Prometheus sends 2,000 samples at a time, mostly of as many series.
    pub(crate) const USUAL: Self = Self {
        work_per_byte: WORK_PER_BYTE,
        work: WORK_OF_ANY_PUSH,
        // A million texts that differ take some 30 MB.
        symbols: 1 << 20,
        // As many as fill a table of a quarter of a million places.
        families: (1 << 18) / 8 * 7,
        // A sample a second for three days.
        times: 1 << 18,
        exemplars: 1 << 18,
        // Mimir's default allows 30,
        labels: 1 << 14,
        // and values of 2 KiB.
        label_bytes: 256 << 10,
    };

    /// The work budget of a push of `decoded` bytes.
    pub(crate) fn budget(&self, decoded: usize) -> usize {
        decoded.saturating_mul(self.work_per_byte).saturating_add(self.work)
    }
}

/// The remaining budget of one push, and why its counts are not exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    left: usize,
    abandoned: bool,
    unmetered: Option<Unmetered>,
    pub caps: Caps,
}

impl Work {
    /// The budget of a push of `decoded` bytes.
    pub(crate) fn new(decoded: usize, caps: Caps) -> Self {
        Self { left: caps.budget(decoded), abandoned: false, unmetered: None, caps }
    }

    /// Pays for examining a text of `bytes`; false if the budget is exceeded, or the push is abandoned.
    #[inline]
    pub(crate) fn touch(&mut self, bytes: usize) -> bool {
        !self.abandoned && self.afford(bytes)
    }

    /// The same, also for an abandoned push.
    #[inline]
    pub(crate) fn afford(&mut self, bytes: usize) -> bool {
        let is_affordable = bytes <= FREE_BYTES || self.take(bytes - FREE_BYTES);
        #[cfg(test)]
        touched::add(if is_affordable { bytes } else { 0 });
        is_affordable
    }

    /// Pays for `bytes`; false if the budget is exceeded.
    #[inline(never)]
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        if left.is_none() {
            self.abandon(Unmetered::Work);
        }
        // Exceeding the budget exhausts it, so that no smaller text is examined afterwards.
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    /// Stops following references.
    #[cold]
    pub(crate) fn abandon(&mut self, why: Unmetered) {
        self.abandoned = true;
        self.note(why);
    }

    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Notes why the counts are not exact. The first reason stays.
    #[cold]
    pub(crate) fn note(&mut self, why: Unmetered) {
        self.unmetered.get_or_insert(why);
    }

    pub(crate) fn unmetered(&self) -> Option<Unmetered> {
        self.unmetered
    }
}

/// Adds an item; false if there are `most` already. The buffer doubles when it is full, up to a capacity of `most`.
#[inline]
pub(crate) fn push_within<T>(buffer: &mut Vec<T>, item: T, most: usize) -> bool {
    if buffer.len() >= most {
        return false;
    }
    if buffer.len() == buffer.capacity() {
        grow(buffer, most);
    }
    buffer.push(item);
    true
}

#[cold]
fn grow<T>(buffer: &mut Vec<T>, most: usize) {
    let room = buffer.len().max(64).min(most.saturating_sub(buffer.len()));
    buffer.reserve_exact(room);
}

/// All bytes of text that were examined by reference on this thread, the free ones too.
#[cfg(test)]
pub(crate) mod touched {
    use std::cell::Cell;

    thread_local! {
        static TOUCHED: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn add(bytes: usize) {
        TOUCHED.set(TOUCHED.get() + bytes);
    }

    pub(crate) fn take() -> usize {
        TOUCHED.take()
    }
}

/// Clears a buffer and frees its memory over `bytes`; returns the bytes that are kept.
pub(crate) fn shrink_vec<T>(buffer: &mut Vec<T>, bytes: usize) -> usize {
    buffer.clear();
    buffer.shrink_to(bytes / size_of::<T>());
    buffer.capacity() * size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_consume_the_budget_and_short_ones_do_not() {
        let mut work = Work::new(1, Caps::USUAL);
        assert!((0..1_000_000).all(|_| work.touch(FREE_BYTES)));
        assert_eq!(work.left, (256 << 10) + 32);
        assert!(work.touch(FREE_BYTES + work.left) && !work.is_abandoned());
        assert!(!work.touch(FREE_BYTES + 1));
        assert_eq!((work.left, work.unmetered()), (0, Some(Unmetered::Work)));
        assert!(!work.touch(1), "an abandoned push touches nothing");
    }

    #[test]
    fn the_first_reason_stays() {
        let mut work = Work::new(1, Caps::USUAL);
        work.note(Unmetered::ClockMargin);
        work.abandon(Unmetered::Buffers);
        assert_eq!((work.is_abandoned(), work.unmetered()), (true, Some(Unmetered::ClockMargin)));
    }

    #[test]
    fn a_buffer_has_room_for_no_more_than_its_cap() {
        for most in [1, 63, 64, 65, 100, 1000] {
            let mut buffer = Vec::new();
            assert_eq!((0..2000).filter(|item| push_within(&mut buffer, *item, most)).count(), most);
            assert_eq!(buffer.capacity(), most.max(buffer.len()));
        }
    }
}
