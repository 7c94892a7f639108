//! What reading allocates: nothing with warm buffers, and nothing for sizes that are only claimed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use remote_write::encode::{Exemplar, Histogram, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyError, BodyLimits, Exemplars, Protocol, Scratch, read_push};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };

/// Two thousand series of which each has a family of its own.
fn push(protocol: Protocol) -> Vec<u8> {
    let series: Vec<Series> = (0..2000).map(series).collect();
    encode_push(protocol, &series, &[]).unwrap()
}

fn series(index: usize) -> Series {
    let about = SeriesMetadata { kind: MetricKind::Histogram, help: format!("Help {index}."), unit: String::new() };
    let labels = [("trace_id".to_owned(), format!("{index:x}"))];
    Series {
        histograms: vec![Histogram::default()],
        exemplars: vec![Exemplar { labels: labels.to_vec(), ..Exemplar::default() }],
        metadata: Some(about),
        ..Series::sample(&[("__name__", &format!("m{index}_bucket")), ("job", "api")], 1.0, 1_700_000_000_000)
    }
}

#[track_caller]
fn check_second_read_allocates_nothing(protocol: Protocol) {
    let body = push(protocol);
    let mut scratch = Scratch::default();
    let first = read_push(protocol, &body, LIMITS, Exemplars::Read, &mut scratch).unwrap();
    assert_eq!((first.series, first.items() >= 6000), (2000, true));
    let mut second = None;
    let allocated = allocation_counter::measure(|| {
        second = Some(read_push(protocol, &body, LIMITS, Exemplars::Read, &mut scratch));
    });
    assert_eq!(second, Some(Ok(first)));
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}

#[test]
fn a_second_read_of_a_1_0_push_allocates_nothing() {
    check_second_read_allocates_nothing(Protocol::V1);
}

#[test]
fn a_second_read_of_a_2_0_push_allocates_nothing() {
    check_second_read_allocates_nothing(Protocol::V2);
}

#[test]
fn a_first_read_allocates() {
    let body = push(Protocol::V2);
    let allocated = allocation_counter::measure(|| {
        read_push(Protocol::V2, &body, LIMITS, Exemplars::Read, &mut Scratch::default()).unwrap();
    });
    assert!(allocated.bytes_total > 100_000, "{}", allocated.bytes_total);
}

/// A preamble that claims `size` bytes, and `elements` behind it.
fn claim(mut size: u64, elements: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while size >= 0x80 {
        body.push(size as u8 | 0x80);
        size >>= 7;
    }
    body.push(size as u8);
    body.extend_from_slice(elements);
    body
}

#[track_caller]
fn check_refused_without_allocating(body: &[u8], expected: BodyError) {
    let mut refused = None;
    let allocated = allocation_counter::measure(|| {
        refused = read_push(Protocol::V1, body, LIMITS, Exemplars::Read, &mut Scratch::default()).err();
    });
    assert_eq!(refused, Some(expected));
    assert!(allocated.bytes_max < 1024, "{} bytes for a body of {}", allocated.bytes_max, body.len());
}

#[test]
fn a_bomb_is_refused_without_memory_for_its_claim() {
    let bomb = claim(99 << 20, &[0x00, b'a', 0xfe, 0x01, 0x00, 0xfe]);
    assert_eq!(bomb.len(), 10);
    check_refused_without_allocating(&bomb, BodyError::SnappyData);
    let over = 101 << 20;
    check_refused_without_allocating(&claim(over, &[]), BodyError::TooLarge { size: over, limit: 100 << 20 });
}

#[test]
fn shrinking_gives_memory_back() {
    let body = push(Protocol::V2);
    let mut scratch = Scratch::default();
    let expected = read_push(Protocol::V2, &body, LIMITS, Exemplars::Read, &mut scratch);
    let allocated = allocation_counter::measure(|| scratch.shrink(1024));
    assert!(allocated.bytes_current < -100_000, "{}", allocated.bytes_current);
    assert_eq!(read_push(Protocol::V2, &body, LIMITS, Exemplars::Read, &mut scratch), expected);
}
