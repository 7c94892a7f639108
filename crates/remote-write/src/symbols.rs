//! The symbols of one 2.0 push, as ranges of the decompressed body: no text is copied.
//!
//! References are resolved with the symbols read so far, as Mimir does while it unmarshals; every real sender writes the
//! symbols before the series that use them.

use crate::error::ProtobufError;
use crate::work::{push_within, shrink_vec};

/// A text in the decompressed body. Offsets fit in 32 bits because snappy's sizes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextRange {
    start: u32,
    length: u32,
}

impl TextRange {
    /// A text that is not kept, and may be empty or not.
    pub(crate) const UNKNOWN: Self = Self { start: u32::MAX, length: 1 };

    /// `length` bytes from `start`; `None` if they are more than 2 GiB, or begin after 4 GiB.
    pub(crate) fn new(start: usize, length: usize) -> Option<Self> {
        let length = u32::try_from(length).ok().filter(|length| *length < Packed::IS_LABEL_VALUE)?;
        Some(Self { start: start.try_into().ok()?, length })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(self) -> usize {
        self.length as usize
    }

    /// The text itself.
    pub(crate) fn text(self, decoded: &[u8]) -> &[u8] {
        let start = self.start as usize;
        decoded.get(start..start + self.length as usize).unwrap_or_default()
    }

    /// The range without the last `suffix` bytes.
    pub(crate) fn without_suffix(self, suffix: usize) -> Self {
        let suffix = u32::try_from(suffix).unwrap_or(u32::MAX);
        Self { start: self.start, length: self.length.saturating_sub(suffix) }
    }
}

/// A symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub range: TextRange,
    /// Whether it is valid as the value of a label, checked once for all references.
    pub is_label_value: bool,
}

/// A symbol in the eight bytes of its range.
#[derive(Clone, Copy, Debug)]
struct Packed(TextRange);

impl Packed {
    /// No text is so long, so the highest bit of a length is free.
    const IS_LABEL_VALUE: u32 = 1 << 31;

    fn new(symbol: Symbol) -> Self {
        let mark = if symbol.is_label_value { Self::IS_LABEL_VALUE } else { 0 };
        Self(TextRange { length: symbol.range.length | mark, ..symbol.range })
    }

    #[inline]
    fn symbol(self) -> Symbol {
        let TextRange { start, length } = self.0;
        let range = TextRange { start, length: length & !Self::IS_LABEL_VALUE };
        Symbol { range, is_label_value: length & Self::IS_LABEL_VALUE != 0 }
    }
}

/// The symbol table.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// The symbols up to the cap.
    symbols: Vec<Packed>,
    /// The number of all symbols.
    count: usize,
}

impl Symbols {
    pub(crate) fn clear(&mut self) {
        self.symbols.clear();
        self.count = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        self.clear();
        shrink_vec(&mut self.symbols, bytes)
    }

    /// Adds a symbol; false if it is not kept, since there are `most`.
    #[inline]
    pub(crate) fn push(&mut self, symbol: Symbol, most: usize) -> bool {
        self.count += 1;
        push_within(&mut self.symbols, Packed::new(symbol), most)
    }

    /// The text that a `uint32` field refers to; protobuf uses only the low 32 bits of the varint.
    #[inline]
    pub(crate) fn get(&self, reference: u64, otherwise: ProtobufError) -> Result<TextRange, ProtobufError> {
        self.symbol(reference).map(|symbol| symbol.range).ok_or(otherwise)
    }

    /// The symbol that the label of a series refers to.
    #[inline]
    pub(crate) fn label(&self, reference: u64) -> Result<Symbol, ProtobufError> {
        self.symbol(reference).ok_or(ProtobufError::InvalidLabelReference)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates a uint32 field")]
    fn symbol(&self, reference: u64) -> Option<Symbol> {
        match self.symbols.get(reference as u32 as usize) {
            Some(packed) => Some(packed.symbol()),
            None => self.unkept(reference as u32 as usize),
        }
    }

    #[cold]
    fn unkept(&self, index: usize) -> Option<Symbol> {
        (index < self.count).then_some(Symbol { range: TextRange::UNKNOWN, is_label_value: true })
    }
}
