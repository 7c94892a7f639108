//! Buffers that outlive a push, so that reading one allocates nothing once they have grown.

use crate::families::Families;
use crate::push_counter::CounterBuffers;
use crate::snappy::MAX_SLACK_BYTES;
use crate::symbols::Symbols;
use crate::work::Caps;

/// Reusable buffers of [`read_push`](crate::read_push), without visible content between two pushes. They grow with the
/// pushes, up to [`working_bytes`].
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) decoded: Vec<u8>,
    pub(crate) symbols: Symbols,
    pub(crate) families: Families,
    pub(crate) counter: CounterBuffers,
    pub(crate) caps: Caps,
}

impl Scratch {
    /// Frees memory over `keep_bytes` in all, except for less than 1 KiB.
    pub fn shrink(&mut self, keep_bytes: usize) {
        // Ordinary pushes need mostly decompressed bytes, and less than a third of them for the rest.
        let side = keep_bytes / 4;
        self.decoded.truncate(keep_bytes - side);
        self.decoded.shrink_to(keep_bytes - side);
        let left = side.saturating_sub(self.symbols.shrink(side / 2));
        let left = left.saturating_sub(self.families.shrink(left / 4));
        self.counter.shrink(left);
    }
}

/// The most memory in bytes that reading a push takes with an empty [`Scratch`], in addition to the body, if the body claims to
/// decompress to `claimed` bytes ([`claimed_bytes`](crate::claimed_bytes)). Reserve it before reading.
///
/// It is `max(claimed, 1 MiB) + min(32 * claimed, S) + R`: the decompressed bytes; the buffers that grow with them, at most
/// 32 bytes for each and `S` = 24 MiB in all; and the relabelled labels of one series, at most `R` = 8 MiB.
#[must_use]
pub fn working_bytes(claimed: usize) -> usize {
    let side = claimed.saturating_mul(SIDE_BYTES_PER_BYTE).min(MAX_SIDE_BYTES);
    claimed.max(MAX_SLACK_BYTES).saturating_add(side).saturating_add(RULE_BYTES)
}

/// The most bytes of buffers for each decompressed byte.
const SIDE_BYTES_PER_BYTE: usize = 32;

/// The most bytes of buffers; a buffer that doubles takes half as much more meanwhile.
const MAX_SIDE_BYTES: usize = 24 << 20;

/// The most bytes that relabelling takes: the labels of one series, and what the rules write.
const RULE_BYTES: usize = 8 << 20;
