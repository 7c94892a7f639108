//! Remote write 2.0: one table of symbols, and series that refer to it.
//!
//! In Mimir both protocols are one Go message, `WriteRequest`, which refuses the fields of the other protocol.

use crate::error::ProtobufError;
use crate::families::Families;
use crate::histogram::histogram;
use crate::messages;
use crate::symbols::{Place, Symbols};
use crate::wire::{Cursor, Key};
use crate::{Exemplars, Protocol, PushCounts};

const METRIC_NAME: &[u8] = b"__name__";

/// What one push is read with.
struct Reader<'a> {
    decoded: &'a [u8],
    symbols: &'a mut Symbols,
    families: &'a mut Families,
    exemplars: Exemplars,
    counts: PushCounts,
}

/// Walks a decompressed 2.0 push and counts it.
pub(crate) fn read(
    decoded: &[u8],
    exemplars: Exemplars,
    symbols: &mut Symbols,
    families: &mut Families,
) -> Result<PushCounts, ProtobufError> {
    symbols.clear();
    families.clear();
    let mut reader = Reader { decoded, symbols, families, exemplars, counts: PushCounts::default() };
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
    Ok(reader.counts)
}

impl Reader<'_> {
    fn symbol(&mut self, cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
        let text = cursor.bytes(key, "SymbolsRW2")?;
        if self.symbols.is_empty() && !text.is_empty() {
            return Err(ProtobufError::FirstSymbolNotEmpty);
        }
        let end = self.decoded.len() - cursor.rest().len();
        let place = Place::new(end - text.len(), text.len()).ok_or(ProtobufError::UnexpectedEof)?;
        self.symbols.push(place);
        Ok(())
    }

    fn series(&mut self, mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
        self.counts.series += 1;
        let mut labels = LabelReferences::default();
        while let Some(key) = cursor.next_key()? {
            match key.field() {
                1 => cursor.repeated_integers(key, "LabelsRefs", |reference| {
                    labels.push(self.symbols.get(reference, ProtobufError::InvalidLabelReference)?, self.decoded);
                    Ok(())
                })?,
                2 => {
                    messages::sample(cursor.nested(key, "Samples", "Sample")?, Protocol::V2)?;
                    self.counts.samples += 1;
                }
                3 => {
                    histogram(cursor.nested(key, "Histograms", "Histogram")?, Protocol::V2)?;
                    self.counts.histograms += 1;
                }
                4 => match self.exemplars {
                    Exemplars::Skip => cursor.bytes(key, "Exemplars").map(drop)?,
                    Exemplars::Read => self.exemplar(cursor.nested(key, "Exemplars", "ExemplarRW2")?)?,
                },
                5 => self.metadata(cursor.nested(key, "Metadata", "MetadataRW2")?, labels.metric_name)?,
                6 => cursor.integer(key, "CreatedTimestamp").map(drop)?,
                _ => cursor.skip(key)?,
            }
        }
        if labels.is_odd() { Err(ProtobufError::OddLabelReferences) } else { Ok(()) }
    }

    fn exemplar(&mut self, mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
        let mut odd = false;
        while let Some(key) = cursor.next_key()? {
            match key.field() {
                1 => cursor.repeated_integers(key, "LabelsRefs", |reference| {
                    odd = !odd;
                    self.symbols.get(reference, ProtobufError::InvalidExemplarLabelReference).map(drop)
                })?,
                2 => cursor.double(key, "Value")?,
                3 => cursor.integer(key, "Timestamp").map(drop)?,
                _ => cursor.skip(key)?,
            }
        }
        if odd {
            return Err(ProtobufError::OddExemplarLabelReferences);
        }
        self.counts.exemplars += 1;
        Ok(())
    }

    /// Metadata of the metric `name`, which is known only from labels before it: Mimir reads no further either.
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates an enum to 32 bits")]
    fn metadata(&mut self, mut cursor: Cursor<'_>, name: Place) -> Result<(), ProtobufError> {
        let mut kind = 0;
        let mut help = Place::default();
        let mut unit = Place::default();
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
        let says_something = kind != 0 || !help.is_empty() || !unit.is_empty();
        if says_something && self.families.add(name, kind, self.decoded) {
            self.counts.metadata += 1;
        }
        Ok(())
    }
}

/// The label references of one series, which may come in several pieces.
#[derive(Default)]
struct LabelReferences {
    /// A name that waits for its value.
    pending: Option<Place>,
    /// Value of the last `__name__`, empty until there is one.
    metric_name: Place,
}

impl LabelReferences {
    #[inline]
    fn push(&mut self, symbol: Place, decoded: &[u8]) {
        match self.pending.take() {
            None => self.pending = Some(symbol),
            Some(name) if name.text(decoded) == METRIC_NAME => self.metric_name = symbol,
            Some(_) => {}
        }
    }

    fn is_odd(&self) -> bool {
        self.pending.is_some()
    }
}
