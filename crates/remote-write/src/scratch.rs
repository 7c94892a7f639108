//! Buffers that outlive a push, so that reading one allocates nothing once they have grown.

use crate::families::Families;
use crate::judge::JudgeBuffers;
use crate::symbols::Symbols;

/// Reusable buffers of [`read_push`](crate::read_push). They hold nothing between two pushes that a caller could see.
///
/// They grow with what is pushed: to the decompressed size of the largest push; in 2.0, 8 bytes for each of its symbols
/// (at worst, if all symbols are empty, four times the decompressed size) and 8 for each of its metric families;
/// 8 bytes for each valid exemplar; 16 for each label of one series, as many as the tenant's limits allow; and, where the
/// times of one series do not ascend, at most 32 for each of its times that differ.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) decoded: Vec<u8>,
    pub(crate) symbols: Symbols,
    pub(crate) families: Families,
    pub(crate) judge: JudgeBuffers,
}

impl Scratch {
    /// Gives back memory: each of the buffers keeps at most about `keep_bytes` bytes.
    pub fn shrink(&mut self, keep_bytes: usize) {
        self.decoded.truncate(keep_bytes);
        self.decoded.shrink_to(keep_bytes);
        self.symbols.shrink(keep_bytes);
        self.families.shrink(keep_bytes);
        self.judge.shrink(keep_bytes);
    }
}
