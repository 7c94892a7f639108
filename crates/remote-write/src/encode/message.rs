//! The messages that both protocols write alike: samples and histograms.

use super::model::{Buckets, Count, Histogram};
use super::writer::Writer;

/// `Sample` as field `field`.
pub(super) fn sample(writer: &mut Writer, field: u32, (value, timestamp_ms): (f64, i64)) {
    writer.nested(field, |writer| {
        writer.double(1, value);
        writer.int64(2, timestamp_ms);
    });
}

/// `Histogram` as field `field`.
pub(super) fn histogram(writer: &mut Writer, field: u32, histogram: &Histogram) {
    writer.nested(field, |writer| {
        count(writer, 1, histogram.count);
        writer.double(3, histogram.sum);
        writer.sint64(4, i64::from(histogram.schema));
        writer.double(5, histogram.zero_threshold);
        count(writer, 6, histogram.zero_count);
        buckets(writer, 8, &histogram.negative);
        buckets(writer, 11, &histogram.positive);
        writer.int64(14, i64::from(histogram.reset_hint));
        writer.int64(15, histogram.timestamp_ms);
        writer.packed_doubles(16, &histogram.custom_values);
    });
}

/// A count that is field `first` of an integer histogram and the field after it of a float one.
fn count(writer: &mut Writer, first: u32, count: Count) {
    match count {
        Count::Integer(value) => writer.uint64(first, value),
        Count::Float(value) => writer.double(first + 1, value),
    }
}

/// Spans, deltas and counts as three fields from `first` on.
fn buckets(writer: &mut Writer, first: u32, buckets: &Buckets) {
    for &(offset, length) in &buckets.spans {
        writer.nested(first, |writer| {
            writer.sint64(1, i64::from(offset));
            writer.uint64(2, u64::from(length));
        });
    }
    writer.packed_sint64(first + 1, &buckets.deltas);
    writer.packed_doubles(first + 2, &buckets.counts);
}
