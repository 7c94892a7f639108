use super::*;
use crate::encode::{Buckets, Count, Encoder, Histogram as Sent, Series};

fn rules(max_buckets: i64, reduces: bool) -> HistogramRules {
    HistogramRules { max_buckets, reduces }
}

/// The bytes of the histogram alone.
fn message(sent: &Sent) -> Vec<u8> {
    let series = [Series { histograms: vec![sent.clone()], ..Series::default() }];
    let plain = Encoder::new().encode_plain(Protocol::V1, &series, &[]).to_vec();
    let mut push = Cursor::new(&plain, "WriteRequest");
    let key = push.next_key().unwrap().unwrap();
    let mut series = push.nested(key, "Timeseries", "TimeSeries").unwrap();
    let key = series.next_key().unwrap().unwrap();
    series.bytes(key, "Histograms").unwrap().to_vec()
}

#[track_caller]
fn check(sent: &Sent, rules: HistogramRules, expected: bool) {
    let bytes = message(sent);
    let cursor = Cursor::new(&bytes, "Histogram");
    let read = histogram(cursor.clone(), Protocol::V1).unwrap();
    assert_eq!(read.time, sent.timestamp_ms);
    assert_eq!(read.is_valid(rules, cursor), Ok(expected), "{sent:?} by {rules:?}");
}

#[test]
fn schemas_are_exponential_or_custom() {
    for (schema, expected) in [(-5, false), (-4, true), (0, true), (8, true), (9, false), (-53, true), (-52, false)] {
        for limit in [0, 1] {
            check(&Sent { schema, timestamp_ms: -7, ..Sent::default() }, rules(limit, true), expected);
        }
    }
}

/// A histogram of `count` neighbouring buckets above zero, from the index `offset` on.
fn run(schema: i32, offset: i32, count: u32) -> Sent {
    let positive = Buckets { spans: vec![(offset, count)], deltas: vec![1; count as usize], counts: vec![] };
    Sent { schema, positive, ..Sent::default() }
}

#[test]
fn buckets_of_both_sides_and_kinds_are_added_up() {
    let positive = Buckets { spans: vec![(0, 2)], deltas: vec![1, 1], counts: vec![1.0] };
    let negative = Buckets { spans: vec![(0, 3)], deltas: vec![1, 1, 1], counts: vec![1.0, 1.0] };
    let sent = Sent { positive, negative, ..Sent::default() };
    for (limit, expected) in [(0, true), (-1, true), (8, true), (7, false), (1, false)] {
        check(&sent, rules(limit, false), expected);
    }
}

#[test]
fn a_histogram_is_reduced_until_it_is_below_the_limit() {
    // Sixteen buckets at schema 0 are one or two at schema -4.
    check(&run(0, 1, 16), rules(16, true), true);
    check(&run(0, 1, 16), rules(15, true), true);
    check(&run(0, 1, 16), rules(2, true), true);
    check(&run(0, 1, 16), rules(1, true), false);
    check(&run(0, 2, 16), rules(3, true), true);
    check(&run(0, 2, 16), rules(2, true), false);
    check(&run(0, 1, 16), rules(15, false), false);
    check(&run(-3, 1, 4), rules(3, true), true);
    check(&run(-3, 1, 4), rules(2, true), false);
    check(&run(-4, 1, 4), rules(4, true), true);
    check(&run(-4, 1, 4), rules(3, true), false);
    check(&run(-53, 1, 4), rules(3, true), false);
}

#[test]
fn a_reduced_float_histogram_has_no_deltas_left_to_count() {
    let counts = Buckets { spans: vec![(0, 4)], deltas: vec![], counts: vec![1.0; 4] };
    let float = Sent { count: Count::Float(4.0), positive: counts, ..Sent::default() };
    check(&float, rules(1, true), true);
    check(&float, rules(1, false), false);
    check(&Sent { schema: -4, ..float }, rules(1, true), false);
}

#[test]
fn malformed_spans_count_as_in_mimir() {
    let spans = |spans: Vec<(i32, u32)>, deltas| {
        let positive = Buckets { spans, deltas: vec![1; deltas], counts: vec![] };
        Sent { schema: -3, positive, ..Sent::default() }
    };
    // Neighbours become one; a bucket behind the last one is passed over.
    check(&spans(vec![(1, 2), (-2, 2), (0, 2)], 6), rules(3, true), true);
    check(&spans(vec![(1, 2), (0, 2), (0, 2)], 6), rules(3, true), false);
    check(&spans(vec![(1, 2), (5, 1)], 3), rules(2, true), false);
    check(&spans(vec![(i32::MAX, 2), (i32::MAX, 2)], 4), rules(3, true), true);
    check(&spans(vec![(1, u32::MAX)], 4), rules(3, true), false);
    check(&spans(vec![(1, 5)], 4), rules(3, true), false);
    check(&spans(vec![], 4), rules(1, true), true);
}
