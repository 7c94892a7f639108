//! Native histograms: walked only to refuse what is malformed. A histogram is one item, whatever its buckets.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::wire::{Cursor, Key};

/// `Histogram`; 2.0 added a start time.
pub(crate) fn histogram(mut cursor: Cursor<'_>, protocol: Protocol) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1..=7 => head(&mut cursor, key)?,
            8..=13 => buckets(&mut cursor, key)?,
            14 => cursor.integer(key, "ResetHint").map(drop)?,
            15 => cursor.integer(key, "Timestamp").map(drop)?,
            16 => cursor.repeated_doubles(key, "CustomValues")?,
            17 if protocol == Protocol::V2 => cursor.integer(key, "StartTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

fn head(cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
    match key.field() {
        1 => cursor.integer(key, "CountInt").map(drop),
        2 => cursor.double(key, "CountFloat"),
        3 => cursor.double(key, "Sum"),
        4 => cursor.integer(key, "Schema").map(drop),
        5 => cursor.double(key, "ZeroThreshold"),
        6 => cursor.integer(key, "ZeroCountInt").map(drop),
        _ => cursor.double(key, "ZeroCountFloat"),
    }
}

fn buckets(cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
    match key.field() {
        8 => span(cursor.nested(key, "NegativeSpans", "BucketSpan")?),
        9 => cursor.repeated_integers(key, "NegativeDeltas", |_| Ok(())),
        10 => cursor.repeated_doubles(key, "NegativeCounts"),
        11 => span(cursor.nested(key, "PositiveSpans", "BucketSpan")?),
        12 => cursor.repeated_integers(key, "PositiveDeltas", |_| Ok(())),
        _ => cursor.repeated_doubles(key, "PositiveCounts"),
    }
}

fn span(mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => cursor.integer(key, "Offset").map(drop)?,
            2 => cursor.integer(key, "Length").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}
