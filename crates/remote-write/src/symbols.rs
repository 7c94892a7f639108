//! The symbols of one 2.0 push, as places in the decompressed body: no text is copied.
//!
//! References are resolved against the symbols read so far, as Mimir does while it unmarshals; every real sender writes
//! the symbols before the series that use them.

use crate::error::ProtobufError;

/// A text in the decompressed body. Places fit in 32 bits because snappy's sizes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    start: u32,
    length: u32,
}

impl Place {
    /// The place of `length` bytes from `start` on, or `None` if the body is larger than snappy can make it.
    pub(crate) fn new(start: usize, length: usize) -> Option<Self> {
        Some(Self { start: start.try_into().ok()?, length: length.try_into().ok()? })
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

    /// The same place without the last `suffix` bytes.
    pub(crate) fn without_suffix(self, suffix: usize) -> Self {
        let suffix = u32::try_from(suffix).unwrap_or(u32::MAX);
        Self { start: self.start, length: self.length.saturating_sub(suffix) }
    }
}

/// A symbol as a series refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub place: Place,
    /// Whether it may be the value of a label: found out once, however often it is one.
    pub is_label_value: bool,
}

/// The table that references point into.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    places: Vec<Place>,
    /// [`Symbol::is_label_value`] of each of `places`; apart from them, where it takes one byte.
    label_values: Vec<bool>,
}

impl Symbols {
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.label_values.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Gives back memory over `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.clear();
        self.places.shrink_to(bytes / size_of::<Place>());
        self.label_values.shrink_to(bytes);
    }

    pub(crate) fn push(&mut self, symbol: Symbol) {
        self.places.push(symbol.place);
        self.label_values.push(symbol.is_label_value);
    }

    /// The place of the symbol that a `uint32` field refers to; as protobuf has it, only the low 32 bits of the varint
    /// count.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates a uint32 field")]
    pub(crate) fn get(&self, reference: u64, otherwise: ProtobufError) -> Result<Place, ProtobufError> {
        self.places.get(reference as u32 as usize).copied().ok_or(otherwise)
    }

    /// The symbol that the label of a series refers to.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates a uint32 field")]
    pub(crate) fn label(&self, reference: u64) -> Result<Symbol, ProtobufError> {
        let place = self.get(reference, ProtobufError::InvalidLabelReference)?;
        let is_label_value = self.label_values.get(reference as u32 as usize).is_some_and(|is| *is);
        Ok(Symbol { place, is_label_value })
    }
}
