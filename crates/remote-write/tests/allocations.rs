//! What reading allocates: nothing with warm buffers, and nothing for sizes that are only claimed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::LazyLock;

use limits::TenantLimits;
use remote_write::encode::{Exemplar, Histogram, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyError, BodyLimits, Protocol, Scratch, Validation, read_push};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };

const NOW: i64 = 1_700_000_000_000;

/// Of a tenant that stores exemplars; made before anything is measured, since limits hold texts.
static VALIDATION: LazyLock<Validation> =
    LazyLock::new(|| Validation::new(&TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() }));

/// Two thousand series of which each has a family of its own.
fn push(protocol: Protocol) -> Vec<u8> {
    let series: Vec<Series> = (0..2000).map(series).collect();
    encode_push(protocol, &series, &[]).unwrap()
}

fn series(index: usize) -> Series {
    let about = SeriesMetadata { kind: MetricKind::Histogram, help: format!("Help {index}."), unit: String::new() };
    let labels = [("trace_id".to_owned(), format!("{index:x}"))];
    Series {
        histograms: vec![Histogram { timestamp_ms: NOW, ..Histogram::default() }],
        exemplars: vec![Exemplar { labels: labels.to_vec(), value: 1.0, timestamp_ms: NOW }],
        metadata: Some(about),
        ..Series::sample(&[("__name__", &format!("m{index}_bucket")), ("job", "api")], 1.0, NOW)
    }
}

/// The same with what costs a second look: labels out of order, and samples that go back in time.
fn disordered_push(protocol: Protocol) -> Vec<u8> {
    let mut series: Vec<Series> = (0..2000).map(series).collect();
    for (index, series) in (0..).zip(&mut series) {
        series.labels.reverse();
        series.samples = (0..10).map(|sample| (1.0, NOW - (index * 7 + sample * 3) % 11)).collect();
        series.histograms = vec![Histogram { timestamp_ms: NOW, ..Histogram::default() }; 3];
    }
    encode_push(protocol, &series, &[]).unwrap()
}

#[track_caller]
fn check_second_read_allocates_nothing(protocol: Protocol, body: &[u8]) {
    let mut scratch = Scratch::default();
    let first = read_push(protocol, body, LIMITS, &*VALIDATION, NOW, &mut scratch).unwrap();
    assert_eq!((first.series, first.items() >= 6000), (2000, true));
    let mut second = None;
    let allocated = allocation_counter::measure(|| {
        second = Some(read_push(protocol, body, LIMITS, &*VALIDATION, NOW, &mut scratch));
    });
    assert_eq!(second, Some(Ok(first)));
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}

#[test]
fn a_second_read_of_a_1_0_push_allocates_nothing() {
    check_second_read_allocates_nothing(Protocol::V1, &push(Protocol::V1));
    check_second_read_allocates_nothing(Protocol::V1, &disordered_push(Protocol::V1));
}

#[test]
fn a_second_read_of_a_2_0_push_allocates_nothing() {
    check_second_read_allocates_nothing(Protocol::V2, &push(Protocol::V2));
    check_second_read_allocates_nothing(Protocol::V2, &disordered_push(Protocol::V2));
}

#[test]
fn a_read_after_an_unreadable_push_allocates_nothing() {
    let body = push(Protocol::V1);
    let mut unreadable = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    unreadable.push(0x0f);
    let unreadable = snap::raw::Encoder::new().compress_vec(&unreadable).unwrap();
    let mut scratch = Scratch::default();
    let mut read = |body: &[u8]| read_push(Protocol::V1, body, LIMITS, &*VALIDATION, NOW, &mut scratch);
    assert!(read(&unreadable).is_err());
    let allocated = allocation_counter::measure(|| drop(read(&body)));
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}

#[test]
fn samples_of_one_time_take_no_memory_each() {
    let mut series = series(0);
    series.samples = vec![(1.0, NOW); 1_000_000];
    let body = encode_push(Protocol::V1, &[series], &[]).unwrap();
    let mut scratch = Scratch::default();
    let allocated = allocation_counter::measure(|| {
        let counts = read_push(Protocol::V1, &body, LIMITS, &*VALIDATION, NOW, &mut scratch).unwrap();
        assert_eq!((counts.samples, counts.sent.samples), (1, 1_000_000));
    });
    let decoded = snap::raw::decompress_len(&body).unwrap() as u64;
    assert!(allocated.bytes_max < decoded + (1 << 20), "{} bytes besides {decoded}", allocated.bytes_max - decoded);
}

#[test]
fn a_first_read_allocates() {
    let body = push(Protocol::V2);
    let allocated = allocation_counter::measure(|| {
        read_push(Protocol::V2, &body, LIMITS, &*VALIDATION, NOW, &mut Scratch::default()).unwrap();
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
fn check_rejected_without_allocating(body: &[u8], expected: BodyError) {
    let mut rejected = None;
    let allocated = allocation_counter::measure(|| {
        rejected = read_push(Protocol::V1, body, LIMITS, &*VALIDATION, NOW, &mut Scratch::default()).err();
    });
    assert_eq!(rejected, Some(expected));
    assert!(allocated.bytes_max < 1024, "{} bytes for a body of {}", allocated.bytes_max, body.len());
}

#[test]
fn a_bomb_is_rejected_without_memory_for_its_claim() {
    let bomb = claim(99 << 20, &[0x00, b'a', 0xfe, 0x01, 0x00, 0xfe]);
    assert_eq!(bomb.len(), 10);
    check_rejected_without_allocating(&bomb, BodyError::SnappyData);
    let over = 101 << 20;
    check_rejected_without_allocating(&claim(over, &[]), BodyError::TooLarge { size: over, limit: 100 << 20 });
}

#[test]
fn shrinking_gives_memory_back() {
    let body = push(Protocol::V2);
    let mut scratch = Scratch::default();
    let expected = read_push(Protocol::V2, &body, LIMITS, &*VALIDATION, NOW, &mut scratch);
    let allocated = allocation_counter::measure(|| scratch.shrink(1024));
    assert!(allocated.bytes_current < -100_000, "{}", allocated.bytes_current);
    assert_eq!(read_push(Protocol::V2, &body, LIMITS, &*VALIDATION, NOW, &mut scratch), expected);
}
