//! Native histograms: decoded for errors, and validated as in Mimir. A histogram is one item, whatever its buckets.

use crate::Protocol;
use crate::error::ProtobufError;
use crate::validation::HistogramRules;
use crate::wire::{Cursor, Key};

/// The coarsest and the finest exponential schema, and the one of custom buckets.
const EXPONENTIAL: std::ops::RangeInclusive<i32> = -4..=8;
const COARSEST: i32 = *EXPONENTIAL.start();
const CUSTOM_BUCKETS: i32 = -53;

/// What validation needs of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// In Unix milliseconds.
    pub time: i64,
    schema: i32,
    is_float: bool,
    deltas: BySign<u64>,
    /// Buckets of all kinds.
    buckets: u64,
}

/// A value for the negative and one for the positive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct BySign<T> {
    negative: T,
    positive: T,
}

/// `Histogram`; 2.0 added a start time.
#[expect(clippy::cast_possible_wrap, reason = "protobuf writes an int64 as its 64 bits")]
pub(crate) fn histogram(mut cursor: Cursor<'_>, protocol: Protocol) -> Result<Histogram, ProtobufError> {
    let mut seen = Histogram::default();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1..=7 => seen.scalar(&mut cursor, key)?,
            8..=13 => seen.buckets(&mut cursor, key)?,
            14 => cursor.integer(key, "ResetHint").map(drop)?,
            15 => seen.time = cursor.integer(key, "Timestamp")? as i64,
            16 => cursor.repeated_doubles(key, "CustomValues").map(drop)?,
            17 if protocol == Protocol::V2 => cursor.integer(key, "StartTimestamp").map(drop)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(seen)
}

impl Histogram {
    fn scalar(&mut self, cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
        match key.field() {
            1 => {
                self.is_float = false;
                cursor.integer(key, "CountInt").map(drop)
            }
            2 => {
                self.is_float = true;
                cursor.double(key, "CountFloat")
            }
            3 => cursor.double(key, "Sum"),
            4 => {
                self.schema = cursor.signed(key, "Schema")?;
                Ok(())
            }
            5 => cursor.double(key, "ZeroThreshold"),
            6 => cursor.integer(key, "ZeroCountInt").map(drop),
            _ => cursor.double(key, "ZeroCountFloat"),
        }
    }

    fn buckets(&mut self, cursor: &mut Cursor<'_>, key: Key) -> Result<(), ProtobufError> {
        match key.field() {
            8 => span(cursor.nested(key, "NegativeSpans", "BucketSpan")?).map(drop)?,
            9 => self.deltas.negative += deltas(cursor, key, "NegativeDeltas")?,
            10 => self.buckets += cursor.repeated_doubles(key, "NegativeCounts")? as u64,
            11 => span(cursor.nested(key, "PositiveSpans", "BucketSpan")?).map(drop)?,
            12 => self.deltas.positive += deltas(cursor, key, "PositiveDeltas")?,
            _ => self.buckets += cursor.repeated_doubles(key, "PositiveCounts")? as u64,
        }
        Ok(())
    }

    /// Whether it is valid (`validateSampleHistogram`). `message` is the encoded histogram, for its spans.
    pub(crate) fn is_valid(&self, rules: HistogramRules, message: Cursor<'_>) -> Result<bool, ProtobufError> {
        let deltas = self.deltas.negative + self.deltas.positive;
        let limit = u64::try_from(rules.max_buckets).unwrap_or(0);
        if !EXPONENTIAL.contains(&self.schema) && self.schema != CUSTOM_BUCKETS {
            return Ok(false);
        }
        if limit == 0 || deltas + self.buckets <= limit {
            return Ok(true);
        }
        if !rules.reduces || self.schema == CUSTOM_BUCKETS || self.schema == COARSEST {
            return Ok(false);
        }
        if self.is_float {
            // After a reduction Mimir counts only deltas, which a float histogram has none of.
            return Ok(deltas < limit);
        }
        Ok(self.coarsest(message)?.is_some_and(|buckets| buckets < limit))
    }

    /// The number of buckets at the coarsest schema; `None` if the spans claim more buckets than there are.
    ///
    /// Mimir reduces level by level until there are fewer buckets than the limit. No level has more buckets than the one
    /// before, so only the last one matters.
    fn coarsest(&self, mut message: Cursor<'_>) -> Result<Option<u64>, ProtobufError> {
        let levels = self.schema.abs_diff(COARSEST);
        let BySign { negative, positive } = self.deltas;
        let mut by_sign = BySign { negative: Reduced::new(levels, negative), positive: Reduced::new(levels, positive) };
        while let Some(key) = message.next_key()? {
            match key.field() {
                8 => by_sign.negative.add(span(message.nested(key, "NegativeSpans", "BucketSpan")?)?),
                11 => by_sign.positive.add(span(message.nested(key, "PositiveSpans", "BucketSpan")?)?),
                _ => message.skip(key)?,
            }
        }
        let BySign { negative, positive } = by_sign;
        Ok(negative.left.zip(positive.left).map(|(negative, positive)| negative + positive))
    }
}

fn deltas(cursor: &mut Cursor<'_>, key: Key, field: &'static str) -> Result<u64, ProtobufError> {
    let mut count = 0;
    cursor.repeated_integers(key, field, |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// A span of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    /// From the end of the previous span.
    offset: i32,
    length: u32,
}

#[expect(clippy::cast_possible_truncation, reason = "protobuf truncates a uint32 field")]
fn span(mut cursor: Cursor<'_>) -> Result<Span, ProtobufError> {
    let mut span = Span::default();
    while let Some(key) = cursor.next_key()? {
        match key.field() {
            1 => span.offset = cursor.signed(key, "Offset")?,
            2 => span.length = cursor.integer(key, "Length")? as u32,
            _ => cursor.skip(key)?,
        }
    }
    Ok(span)
}

/// The buckets of one sign after `levels` reductions of the resolution.
///
/// A reduction merges two neighbours, and skips a bucket whose index does not ascend (`reduceResolution` in Mimir's
/// `pkg/mimirpb`). Indices wrap around as in Go.
#[derive(Clone, Copy, Debug)]
struct Reduced {
    levels: u32,
    /// Buckets that no span has claimed yet: spans can claim four billion.
    unclaimed: u64,
    /// The index after the last bucket.
    next: i32,
    /// Buckets after the reductions; `None` once the spans claim more than there are.
    left: Option<u64>,
    /// Index of the last bucket after the first and after the last reduction.
    last: Option<(i32, i32)>,
}

impl Reduced {
    /// At least one level.
    fn new(levels: u32, buckets: u64) -> Self {
        Self { levels, unclaimed: buckets, next: 0, left: Some(0), last: None }
    }

    fn add(&mut self, span: Span) {
        match self.unclaimed.checked_sub(u64::from(span.length)) {
            Some(unclaimed) => self.unclaimed = unclaimed,
            None => self.left = None,
        }
        if self.left.is_none() {
            return;
        }
        self.next = self.next.wrapping_add(span.offset);
        for _ in 0..span.length {
            self.bucket(self.next);
            self.next = self.next.wrapping_add(1);
        }
    }

    fn bucket(&mut self, index: i32) {
        let first = reduced(index, 1);
        if self.last.is_some_and(|(last, _)| first <= last) {
            return;
        }
        let index = reduced(first, self.levels - 1);
        if self.last.is_none_or(|(_, last)| last < index) {
            self.left = self.left.map(|left| left + 1);
        }
        self.last = Some((first, index));
    }
}

/// The index of a bucket after `levels` reductions.
fn reduced(index: i32, levels: u32) -> i32 {
    (index.wrapping_sub(1) >> levels) + 1
}

#[cfg(test)]
mod tests;
