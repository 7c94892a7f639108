//! Remote write 1.0: `WriteRequest` with series that hold their labels as strings.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::histogram::histogram;
use crate::messages;
use crate::visitor::Visitor;
use crate::wire::{Cursor, Key};

/// Decodes a decompressed 1.0 push.
pub(crate) fn read<'a>(decoded: &'a [u8], visitor: &mut impl Visitor<'a>) -> Result<(), ProtobufError> {
    let mut previous = PreviousLabels::default();
    let mut cursor = Cursor::new(decoded, "WriteRequest");
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => {
                let message = cursor.nested(key, "Timeseries", "TimeSeries")?;
                if visitor.is_enough() {
                    series_as_sent(message, visitor)?;
                } else {
                    series(message, &mut previous, visitor)?;
                }
            }
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

/// Mimir's default allows 30 labels; further ones are decoded each time.
const MAX_PREVIOUS_LABELS: usize = 32;

/// The labels of the previous series. Most labels of a series are written as those at the same index of the series before, so
/// that comparing their bytes saves decoding and validating them.
#[derive(Default)]
struct PreviousLabels<'a> {
    labels: [PreviousLabel<'a>; MAX_PREVIOUS_LABELS],
}

/// A label as encoded, with its key and length, and what it is. No label is encoded in no bytes.
#[derive(Clone, Copy, Default)]
struct PreviousLabel<'a> {
    field: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
    is_label_value: bool,
}

/// The keys of the fields that nearly all series consist of, as encoded.
const LABEL: u8 = 0x0a;
const SAMPLE: u8 = 0x12;

fn series<'a>(
    message: Cursor<'a>,
    previous: &mut PreviousLabels<'a>,
    visitor: &mut impl Visitor<'a>,
) -> Result<(), ProtobufError> {
    visitor.begin_series();
    let mut cursor = message.clone();
    let mut previous = previous.labels.iter_mut();
    let mut same = previous.next();
    loop {
        let label = match same.as_deref() {
            Some(label) if !label.field.is_empty() && cursor.skip_same(label.field) => *label,
            _ => {
                let before = cursor.rest();
                let (name, value) = match cursor.short(LABEL, messages::common_label) {
                    Some(label) => label,
                    None => match other_field(&mut cursor, visitor)? {
                        Field::Label(name, value) => (name, value),
                        Field::Other => continue,
                        Field::End => break,
                    },
                };
                let field = before.get(..before.len() - cursor.rest().len()).unwrap_or_default();
                let label = PreviousLabel { field, name, value, is_label_value: visitor.is_label_value(value) };
                if let Some(place) = same {
                    *place = label;
                }
                label
            }
        };
        same = previous.next();
        visitor.label(label.name, label.value, label.is_label_value);
    }
    visitor.end_series(message)
}

/// Reads a series of which only errors and numbers of samples matter.
fn series_as_sent<'a>(message: Cursor<'a>, visitor: &mut impl Visitor<'a>) -> Result<(), ProtobufError> {
    visitor.begin_series();
    let mut cursor = message.clone();
    loop {
        cursor.skip_all_short(LABEL, |label| messages::common_label(label).is_some());
        if matches!(other_field(&mut cursor, visitor)?, Field::End) {
            return visitor.end_series(message);
        }
    }
}

/// A field of a series that was read.
enum Field<'a> {
    /// Name and value.
    Label(&'a [u8], &'a [u8]),
    /// Anything else, which the visitor knows.
    Other,
    /// There is none.
    End,
}

/// Reads a field of a series that is no usual label.
#[inline]
fn other_field<'a>(cursor: &mut Cursor<'a>, visitor: &mut impl Visitor<'a>) -> Result<Field<'a>, ProtobufError> {
    if let Some(time) = cursor.short(SAMPLE, messages::common_sample) {
        visitor.sample(time);
        return Ok(Field::Other);
    }
    let Some(key) = cursor.next_key()? else { return Ok(Field::End) };
    rare_field(key, cursor, visitor)
}

#[inline(never)]
fn rare_field<'a>(
    key: Key,
    cursor: &mut Cursor<'a>,
    visitor: &mut impl Visitor<'a>,
) -> Result<Field<'a>, ProtobufError> {
    match key.field() {
        1 => {
            let (name, value) = messages::label(cursor.nested(key, "Labels", "LabelPair")?)?;
            return Ok(Field::Label(name, value));
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
    Ok(Field::Other)
}
