//! Remote write 2.0: one table of symbols, and series that refer to it.
//!
//! In Mimir both protocols are one Go message, `WriteRequest`, which rejects the fields of the other protocol.

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::families::Families;
use crate::histogram::histogram;
use crate::labels::METRIC_NAME;
use crate::messages;
use crate::symbols::{Symbol, Symbols, TextRange};
use crate::visitor::Visitor;
use crate::wire::{Cursor, Key};
use crate::{Protocol, Unmetered};

/// Decodes one push.
struct Reader<'a, 'r, V> {
    decoded: &'a [u8],
    symbols: &'r mut Symbols,
    families: &'r mut Families,
    visitor: &'r mut V,
}

/// Decodes a decompressed 2.0 push.
pub(crate) fn read<'a>(
    decoded: &'a [u8],
    symbols: &mut Symbols,
    families: &mut Families,
    visitor: &mut impl Visitor<'a>,
) -> Result<(), ProtobufError> {
    symbols.clear();
    families.clear();
    let mut reader = Reader { decoded, symbols, families, visitor };
    let mut cursor = Cursor::new(decoded, "WriteRequest");
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => return Err(ProtobufError::TimeseriesOfV1),
            2 => cursor.integer(key, "Source").map(drop)?,
            3 => return Err(ProtobufError::MetadataOfV1),
            4 => reader.symbol(&mut cursor, key)?,
            5 => reader.series(cursor.nested(key, "TimeseriesRW2", "TimeSeriesRW2")?)?,
            1000 => cursor.integer(key, "SkipLabelValidation").map(drop)?,
            1001 => cursor.integer(key, "SkipLabelCountValidation").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

impl<'a, V: Visitor<'a>> Reader<'a, '_, V> {
    fn symbol(&mut self, cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
        let text = cursor.bytes(key, "SymbolsRW2")?;
        if self.symbols.is_empty() && !text.is_empty() {
            return Err(ProtobufError::FirstSymbolNotEmpty);
        }
        let end = self.decoded.len() - cursor.rest().len();
        let range = TextRange::new(end - text.len(), text.len()).ok_or(ProtobufError::UnexpectedEof)?;
        let symbol = Symbol { range, is_label_value: self.visitor.is_label_value(text) };
        if !self.symbols.push(symbol, self.visitor.work().caps.symbols) {
            self.visitor.work().abandon(Unmetered::Buffers);
        }
        Ok(())
    }

    fn series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError> {
        self.visitor.begin_series();
        let mut cursor = message.clone();
        let mut labels = LabelReferences::default();
        while let Some(key) = cursor.next_key()? {
            match key.field() {
                1 => cursor.repeated_integers(key, "LabelsRefs", |reference| {
                    labels.push(self.symbols.label(reference)?, self.decoded, self.visitor);
                    Ok(())
                })?,
                2 => self.visitor.sample(messages::sample(cursor.nested(key, "Samples", "Sample")?, Protocol::V2)?),
                3 => {
                    let message = cursor.nested(key, "Histograms", "Histogram")?;
                    self.visitor.histogram(histogram(message.clone(), Protocol::V2)?, message)?;
                }
                4 if self.visitor.reads_exemplars() => {
                    let exemplar = self.exemplar(cursor.nested(key, "Exemplars", "ExemplarRW2")?)?;
                    self.visitor.exemplar(exemplar);
                }
                4 => cursor.bytes(key, "Exemplars").map(drop)?,
                5 => self.metadata(cursor.nested(key, "Metadata", "MetadataRW2")?, labels.metric_name)?,
                6 => cursor.integer(key, "CreatedTimestamp").map(drop)?,
                _ => cursor.skip(key)?,
            }
        }
        if labels.is_odd() {
            return Err(ProtobufError::OddLabelReferences);
        }
        self.visitor.end_series(message)
    }

    #[expect(clippy::cast_possible_wrap, reason = "protobuf writes an int64 as its 64 bits")]
    fn exemplar(&mut self, mut cursor: Cursor<'_>) -> Result<Exemplar, ProtobufError> {
        let work = self.visitor.work();
        let mut exemplar = Exemplar::default();
        let mut pending = None::<TextRange>;
        while let Some(key) = cursor.next_key()? {
            match key.field() {
                1 => cursor.repeated_integers(key, "LabelsRefs", |reference| {
                    let symbol = self.symbols.get(reference, ProtobufError::InvalidExemplarLabelReference)?;
                    match pending.take() {
                        None => pending = Some(symbol),
                        Some(_) if work.is_abandoned() => {}
                        Some(name) => {
                            let looked_at = exemplar.label(name.text(self.decoded), symbol.text(self.decoded));
                            work.touch(looked_at);
                        }
                    }
                    Ok(())
                })?,
                2 => cursor.double(key, "Value")?,
                3 => exemplar.time = cursor.integer(key, "Timestamp")? as i64,
                _ => cursor.skip(key)?,
            }
        }
        if pending.is_some() { Err(ProtobufError::OddExemplarLabelReferences) } else { Ok(exemplar) }
    }

    /// Metadata of the metric `name`, which comes from labels before it, as in Mimir.
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates an enum to 32 bits")]
    fn metadata(&mut self, mut cursor: Cursor<'_>, name: TextRange) -> Result<(), ProtobufError> {
        let mut kind = 0;
        let mut help = TextRange::default();
        let mut unit = TextRange::default();
        while let Some(key) = cursor.next_key()? {
            match key.field() {
                1 => kind = cursor.integer(key, "Type")? as i32,
                3 => {
                    let reference = cursor.integer(key, "HelpRef")?;
                    help = self.symbols.get(reference, ProtobufError::InvalidHelpReference)?;
                }
                4 => {
                    let reference = cursor.integer(key, "UnitRef")?;
                    unit = self.symbols.get(reference, ProtobufError::InvalidUnitReference)?;
                }
                _ => cursor.skip(key)?,
            }
        }
        let is_set = kind != 0 || !help.is_empty() || !unit.is_empty();
        if is_set && let Some(family) = self.families.add(name, kind, self.decoded, self.visitor.work()) {
            self.visitor.metadata(family.len(), unit.len());
        }
        Ok(())
    }
}

/// The label references of one series, which may come in several fields.
#[derive(Default)]
struct LabelReferences {
    /// A name that waits for its value.
    pending: Option<TextRange>,
    /// The value of the last `__name__`; empty if there is none.
    metric_name: TextRange,
}

impl LabelReferences {
    #[inline]
    fn push<'a>(&mut self, symbol: Symbol, decoded: &'a [u8], visitor: &mut impl Visitor<'a>) {
        let Some(name) = self.pending.take() else {
            self.pending = Some(symbol.range);
            return;
        };
        if name == TextRange::UNKNOWN {
            self.metric_name = TextRange::UNKNOWN;
        }
        let name = name.text(decoded);
        if name == METRIC_NAME {
            self.metric_name = symbol.range;
        }
        if !visitor.is_enough() {
            visitor.label(name, symbol.range.text(decoded), symbol.is_label_value);
        }
    }

    fn is_odd(&self) -> bool {
        self.pending.is_some()
    }
}
