//! Messages that both protocols share, and the small ones of 1.0: walked only to refuse what is malformed.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::wire::Cursor;

/// `Sample`; 2.0 added a start time.
#[inline]
pub(crate) fn sample(cursor: Cursor<'_>, protocol: Protocol) -> Result<(), ProtobufError> {
    if is_common_sample(cursor.rest()) { Ok(()) } else { any_sample(cursor, protocol) }
}

/// Whether it is a sample as every sender writes it: the value, then a time of up to 9 bytes.
fn is_common_sample(bytes: &[u8]) -> bool {
    match bytes {
        [0x09, _, _, _, _, _, _, _, _, 0x10, time @ .., 0..0x80] => {
            time.len() < 9 && time.iter().all(|byte| *byte >= 0x80)
        }
        _ => false,
    }
}

fn any_sample(mut cursor: Cursor<'_>, protocol: Protocol) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match (key.field(), protocol) {
            (1, _) => cursor.double(key, "Value")?,
            (2, _) => cursor.integer(key, "TimestampMs").map(drop)?,
            (3, Protocol::V2) => cursor.integer(key, "StartTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

/// `LabelPair` of 1.0. Go does not ask for UTF-8 here.
#[inline]
pub(crate) fn label(cursor: Cursor<'_>) -> Result<(), ProtobufError> {
    if is_common_label(cursor.rest()) { Ok(()) } else { any_label(cursor) }
}

/// Whether it is a label as every sender writes it: a name, then a value, both shorter than 128 bytes.
fn is_common_label(bytes: &[u8]) -> bool {
    let [0x0a, name @ 0..0x80, rest @ ..] = bytes else { return false };
    match rest.get(usize::from(*name)..) {
        Some([0x12, length @ 0..0x80, value @ ..]) => value.len() == usize::from(*length),
        _ => false,
    }
}

fn any_label(mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => cursor.bytes(key, "Name").map(drop)?,
            2 => cursor.bytes(key, "Value").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

/// `Exemplar` of 1.0.
pub(crate) fn exemplar(mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => label(cursor.nested(key, "Labels", "LabelPair")?)?,
            2 => cursor.double(key, "Value")?,
            3 => cursor.integer(key, "TimestampMs").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

/// `MetricMetadata` of 1.0.
pub(crate) fn metadata(mut cursor: Cursor<'_>) -> Result<(), ProtobufError> {
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => cursor.integer(key, "Type").map(drop)?,
            2 => cursor.bytes(key, "MetricFamilyName").map(drop)?,
            4 => cursor.bytes(key, "Help").map(drop)?,
            5 => cursor.bytes(key, "Unit").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}
