//! Remote write 1.0: `WriteRequest` with series that hold their labels as strings.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::histogram::histogram;
use crate::messages;
use crate::visitor::Visitor;
use crate::wire::Cursor;

/// Decodes a decompressed 1.0 push.
pub(crate) fn read<'a>(decoded: &'a [u8], visitor: &mut impl Visitor<'a>) -> Result<(), ProtobufError> {
    let mut cursor = Cursor::new(decoded, "WriteRequest");
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => series(cursor.nested(key, "Timeseries", "TimeSeries")?, visitor)?,
            2 => cursor.integer(key, "Source").map(drop)?,
            3 => {
                let metadata = messages::metadata(cursor.nested(key, "Metadata", "MetricMetadata")?)?;
                visitor.metadata(metadata.name, metadata.unit);
            }
            4 => return Err(ProtobufError::SymbolsOfV2),
            5 => return Err(ProtobufError::TimeseriesOfV2),
            1000 => cursor.integer(key, "SkipLabelValidation").map(drop)?,
            1001 => cursor.integer(key, "SkipLabelCountValidation").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

fn series<'a>(message: Cursor<'a>, visitor: &mut impl Visitor<'a>) -> Result<(), ProtobufError> {
    visitor.begin_series();
    let mut cursor = message.clone();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => {
                let (name, value) = messages::label(cursor.nested(key, "Labels", "LabelPair")?)?;
                visitor.label(name, value, visitor.is_label_value(value));
            }
            2 => visitor.sample(messages::sample(cursor.nested(key, "Samples", "Sample")?, Protocol::V1)?),
            3 if visitor.reads_exemplars() => {
                visitor.exemplar(messages::exemplar(cursor.nested(key, "Exemplars", "Exemplar")?)?);
            }
            3 => cursor.bytes(key, "Exemplars").map(drop)?,
            4 => {
                let message = cursor.nested(key, "Histograms", "Histogram")?;
                visitor.histogram(histogram(message.clone(), Protocol::V1)?, message)?;
            }
            6 => cursor.integer(key, "CreatedTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    visitor.end_series(message)
}
