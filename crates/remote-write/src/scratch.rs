//! Buffers that outlive a push, so that reading one allocates nothing once they have grown.

use crate::families::Families;
use crate::push_counter::CounterBuffers;
use crate::snappy::ROOMY_BYTES;
use crate::symbols::Symbols;
use crate::work::Caps;

/// Reusable buffers of [`read_push`](crate::read_push). They hold nothing between two pushes that a caller could see.
///
/// They grow with what is pushed, and no further than [`working_bytes`] says.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) decoded: Vec<u8>,
    pub(crate) symbols: Symbols,
    pub(crate) families: Families,
    pub(crate) counter: CounterBuffers,
    pub(crate) caps: Caps,
}

impl Scratch {
    /// Gives back memory over `keep_bytes` in all, beside less than 1 KiB.
    pub fn shrink(&mut self, keep_bytes: usize) {
        // Decompressed bytes are the larger part of what ordinary pushes need, and the rest is less than a third beside it.
        let side = keep_bytes / 4;
        self.decoded.truncate(keep_bytes - side);
        self.decoded.shrink_to(keep_bytes - side);
        let left = side.saturating_sub(self.symbols.shrink(side / 2));
        let left = left.saturating_sub(self.families.shrink(left / 4));
        self.counter.shrink(left);
    }
}

/// The most bytes of memory that reading a push with an empty [`Scratch`] takes, beside the body itself, if it claims to
/// decompress to `claimed` bytes: to be reserved before it is read, for [`claimed_bytes`](crate::claimed_bytes).
///
/// It is `max(claimed, 1 MiB) + min(32 * claimed, S) + R`: the decompressed bytes; what grows with them, which is at most 32
/// bytes for each of them and `S` in all, since every buffer has a cap; and what rules may make of the labels of one series,
/// `R`, whatever is sent. `S` is 24 MiB, and `R` 8 MiB.
#[must_use]
pub fn working_bytes(claimed: usize) -> usize {
    let side = claimed.saturating_mul(SIDE_BYTES_PER_BYTE).min(MOST_SIDE_BYTES);
    claimed.max(ROOMY_BYTES).saturating_add(side).saturating_add(RULE_BYTES)
}

/// What grows beside a decompressed byte, at most.
const SIDE_BYTES_PER_BYTE: usize = 32;

/// What grows beside decompressed bytes, at most; a buffer that doubles takes half as much more while it does.
const MOST_SIDE_BYTES: usize = 24 << 20;

/// What relabelling takes, at most, whatever is sent: the labels of one series, and what the rules put together.
const RULE_BYTES: usize = 8 << 20;
