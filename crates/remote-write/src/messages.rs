//! Messages that both protocols share, and the small ones of 1.0: walked to reject what is malformed, and for what Mimir
//! looks at.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::wire::Cursor;

/// The time of a `Sample`, in Unix milliseconds; 2.0 added a start time.
#[inline]
pub(crate) fn sample(cursor: Cursor<'_>, protocol: Protocol) -> Result<i64, ProtobufError> {
    match common_sample(cursor.rest()) {
        Some(time) => Ok(time),
        None => any_sample(cursor, protocol),
    }
}

/// The time of a sample as every sender writes it: the value, then a time of 6 bytes, which is one between 1971 and 2109.
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "protobuf writes an int64 as its 64 bits")]
pub(crate) fn common_sample(bytes: &[u8]) -> Option<i64> {
    let [0x09, _, _, _, _, _, _, _, _, 0x10, time @ ..] = bytes else { return None };
    let [a, b, c, d, e, last] = *<&[u8; 6]>::try_from(time).ok()?;
    if a & b & c & d & e & !last & 0x80 == 0 {
        return None;
    }
    let bits = [a & 0x7f, b & 0x7f, c & 0x7f, d & 0x7f, e & 0x7f, last].map(u64::from);
    let [a, b, c, d, e, last] = bits;
    Some((a | b << 7 | c << 14 | d << 21 | e << 28 | last << 35) as i64)
}

#[expect(clippy::cast_possible_wrap, reason = "protobuf writes an int64 as its 64 bits")]
fn any_sample(mut cursor: Cursor<'_>, protocol: Protocol) -> Result<i64, ProtobufError> {
    let mut time = 0;
    while let Some(key) = cursor.next_key()? {
        match (key.field(), protocol) {
            (1, _) => cursor.double(key, "Value")?,
            (2, _) => time = cursor.integer(key, "TimestampMs")? as i64,
            (3, Protocol::V2) => cursor.integer(key, "StartTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(time)
}

/// Name and value of a `LabelPair` of 1.0. Go does not ask for UTF-8 here.
#[inline]
pub(crate) fn label(cursor: Cursor<'_>) -> Result<(&[u8], &[u8]), ProtobufError> {
    match common_label(cursor.rest()) {
        Some(label) => Ok(label),
        None => any_label(cursor),
    }
}

/// A label as every sender writes it: a name, then a value, both shorter than 128 bytes.
#[inline]
pub(crate) fn common_label(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length @ 0..0x80, rest @ ..] = bytes else { return None };
    match rest.split_at_checked(usize::from(*length))? {
        (name, [0x12, length @ 0..0x80, value @ ..]) if value.len() == usize::from(*length) => Some((name, value)),
        _ => None,
    }
}

fn any_label(mut cursor: Cursor<'_>) -> Result<(&[u8], &[u8]), ProtobufError> {
    let mut name = [].as_slice();
    let mut value = [].as_slice();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => name = cursor.bytes(key, "Name")?,
            2 => value = cursor.bytes(key, "Value")?,
            _ => cursor.skip(key)?,
        }
    }
    Ok((name, value))
}

/// `Exemplar` of 1.0.
#[expect(clippy::cast_possible_wrap, reason = "protobuf writes an int64 as its 64 bits")]
pub(crate) fn exemplar(mut cursor: Cursor<'_>) -> Result<Exemplar, ProtobufError> {
    let mut exemplar = Exemplar::default();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => {
                let (name, value) = label(cursor.nested(key, "Labels", "LabelPair")?)?;
                exemplar.label(name, value);
            }
            2 => cursor.double(key, "Value")?,
            3 => exemplar.time = cursor.integer(key, "TimestampMs")? as i64,
            _ => cursor.skip(key)?,
        }
    }
    Ok(exemplar)
}

/// The lengths that count of `MetricMetadata` of 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Bytes of the family's name.
    pub name: usize,
    /// Bytes of the unit.
    pub unit: usize,
}

/// `MetricMetadata` of 1.0.
pub(crate) fn metadata(mut cursor: Cursor<'_>) -> Result<Metadata, ProtobufError> {
    let mut metadata = Metadata::default();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => cursor.integer(key, "Type").map(drop)?,
            2 => metadata.name = cursor.bytes(key, "MetricFamilyName")?.len(),
            4 => cursor.bytes(key, "Help").map(drop)?,
            5 => metadata.unit = cursor.bytes(key, "Unit")?.len(),
            _ => cursor.skip(key)?,
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_and_other_times_are_read_the_same() {
        let times = [0, 1, 127, 128, (1 << 35) - 1, 1 << 35, 1_700_000_000_000, (1 << 42) - 1, 1 << 42, i64::MAX, -1];
        for time in times {
            let mut message = vec![0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x10];
            prost::encoding::encode_varint(u64::from_ne_bytes(time.to_ne_bytes()), &mut message);
            assert_eq!(any_sample(Cursor::new(&message, "Sample"), Protocol::V1), Ok(time));
            let is_usual = (1 << 35..1 << 42).contains(&time);
            assert_eq!(common_sample(&message), is_usual.then_some(time), "{time}");
        }
    }

    #[test]
    fn padded_times_are_not_usual() {
        let message = |time: [u8; 6]| [&[0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10][..], &time].concat();
        assert_eq!(common_sample(&message([0x81, 0x80, 0x80, 0x80, 0x80, 0])), Some(1));
        for at in 0..5 {
            let mut time = [0x80; 6];
            (time[at], time[5]) = (0, 0);
            assert_eq!(common_sample(&message(time)), None, "two fields, from byte {at} on");
        }
        assert_eq!(common_sample(&message([0x80; 6])), None, "it does not end");
    }
}
