//! Remote write 1.0: `WriteRequest` with series that hold their labels as strings.

use crate::error::ProtobufError;
use crate::histogram::histogram;
use crate::messages;
use crate::wire::Cursor;
use crate::{Exemplars, Protocol, PushCounts};

/// Walks a decompressed 1.0 push and counts it.
pub(crate) fn read(decoded: &[u8], exemplars: Exemplars) -> Result<PushCounts, ProtobufError> {
    let mut counts = PushCounts::default();
    let mut cursor = Cursor::new(decoded, "WriteRequest");
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => series(cursor.nested(key, "Timeseries", "TimeSeries")?, exemplars, &mut counts)?,
            2 => cursor.integer(key, "Source").map(drop)?,
            3 => {
                messages::metadata(cursor.nested(key, "Metadata", "MetricMetadata")?)?;
                counts.metadata += 1;
            }
            4 => return Err(ProtobufError::SymbolsOfV2),
            5 => return Err(ProtobufError::TimeseriesOfV2),
            1000 => cursor.integer(key, "SkipLabelValidation").map(drop)?,
            1001 => cursor.integer(key, "SkipLabelCountValidation").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(counts)
}

fn series(mut cursor: Cursor<'_>, exemplars: Exemplars, counts: &mut PushCounts) -> Result<(), ProtobufError> {
    counts.series += 1;
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => messages::label(cursor.nested(key, "Labels", "LabelPair")?)?,
            2 => {
                messages::sample(cursor.nested(key, "Samples", "Sample")?, Protocol::V1)?;
                counts.samples += 1;
            }
            3 => match exemplars {
                Exemplars::Skip => cursor.bytes(key, "Exemplars").map(drop)?,
                Exemplars::Read => {
                    messages::exemplar(cursor.nested(key, "Exemplars", "Exemplar")?)?;
                    counts.exemplars += 1;
                }
            },
            4 => {
                histogram(cursor.nested(key, "Histograms", "Histogram")?, Protocol::V1)?;
                counts.histograms += 1;
            }
            6 => cursor.integer(key, "CreatedTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}
