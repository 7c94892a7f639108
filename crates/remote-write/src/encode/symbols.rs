//! The symbols of one 2.0 push, already written as its fields, each text once. Symbol 0 is the empty text, as the
//! protocol asks.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::writer::Writer;

const SYMBOLS_FIELD: u32 = 4;

/// Texts and their references.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    written: Writer,
    table: HashTable<Symbol>,
    hasher: RandomState,
}

/// Where the text of a reference lies in the written fields.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    reference: u64,
    start: usize,
    end: usize,
}

impl SymbolTable {
    pub(super) fn clear(&mut self) {
        self.written.clear();
        self.table.clear();
        self.reference("");
    }

    /// The fields that hold the symbols, in the order of their references.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.written.as_slice()
    }

    /// The reference of `text`, which becomes a symbol if it is none yet.
    pub(super) fn reference(&mut self, text: &str) -> u64 {
        let Self { written, table, hasher } = self;
        let bytes = text.as_bytes();
        let hash = hasher.hash_one(bytes);
        if let Some(known) = table.find(hash, |symbol| symbol.bytes(written) == bytes) {
            return known.reference;
        }
        let reference = table.len() as u64;
        written.bytes(SYMBOLS_FIELD, bytes);
        let end = written.as_slice().len();
        let symbol = Symbol { reference, start: end - bytes.len(), end };
        table.insert_unique(hash, symbol, |symbol| hasher.hash_one(symbol.bytes(written)));
        reference
    }
}

impl Symbol {
    fn bytes(self, written: &Writer) -> &[u8] {
        written.as_slice().get(self.start..self.end).unwrap_or_default()
    }
}
