//! What counts as what, push by push.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use limits::{LabelValueStrategy, TenantLimits};
use proptest::prelude::*;
use remote_write::encode::{Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyLimits, Contents, Protocol, PushCounts, Scratch, Unmetered, Validation, read_push};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };

#[derive(Clone, Copy)]
enum Exemplars {
    Stored,
    NotStored,
}

#[track_caller]
fn read(protocol: Protocol, body: &[u8], exemplars: Exemplars) -> PushCounts {
    let max_global_exemplars_per_user = match exemplars {
        Exemplars::Stored => 1,
        Exemplars::NotStored => 0,
    };
    let validation = Validation::new(&TenantLimits { max_global_exemplars_per_user, ..TenantLimits::default() });
    read_push(protocol, body, LIMITS, &validation, 1_700_000_000_000, &mut Scratch::default()).unwrap()
}

fn described(name: &str, kind: MetricKind, help: &str, unit: &str) -> Series {
    let about = SeriesMetadata { kind, help: help.to_owned(), unit: unit.to_owned() };
    Series { metadata: Some(about), ..Series::sample(&[("__name__", name), ("job", "api")], 1.0, 1) }
}

#[track_caller]
fn check_metadata(series: &[Series], expected: u64) {
    let body = encode_push(Protocol::V2, series, &[]).unwrap();
    assert_eq!(read(Protocol::V2, &body, Exemplars::NotStored).sent.metadata, expected);
}

#[test]
fn metadata_of_2_0_counts_once_a_family() {
    let [bucket, count, sum] = ["h_bucket", "h_count", "h_sum"];
    let histogram = |name| described(name, MetricKind::Histogram, "Help.", "");
    check_metadata(&[histogram(bucket), histogram(bucket), histogram(sum), histogram(count), histogram("h")], 1);
    check_metadata(&[histogram(bucket), described(sum, MetricKind::Gauge, "", ""), histogram("g_sum")], 3);
    check_metadata(
        &[described("a_total", MetricKind::Counter, "", ""), described("a", MetricKind::Counter, "", "")],
        2,
    );
}

#[test]
fn metadata_of_2_0_that_says_nothing_is_free() {
    check_metadata(&[described("a", MetricKind::Unknown, "", "")], 0);
    check_metadata(&[described("a", MetricKind::Unknown, "Help.", "")], 1);
    check_metadata(&[described("a", MetricKind::Unknown, "", "seconds")], 1);
    check_metadata(&[described("a", MetricKind::Info, "", "")], 1);
}

#[test]
fn metadata_of_2_0_without_a_metric_name_is_free() {
    check_metadata(&[described("", MetricKind::Counter, "Help.", "")], 0);
    let nameless = Series { labels: vec![], ..described("a", MetricKind::Counter, "Help.", "") };
    check_metadata(&[nameless], 0);
    check_metadata(&[described("_sum", MetricKind::Summary, "Help.", "")], 0);
}

#[test]
fn metadata_of_1_0_counts_every_entry() {
    let metadata = vec![Metadata::default(); 3];
    let body = encode_push(Protocol::V1, &[], &metadata).unwrap();
    let counts = read(Protocol::V1, &body, Exemplars::NotStored);
    assert_eq!(counts.sent.metadata, 3);
}

#[test]
fn a_push_of_nothing_costs_nothing() {
    for protocol in [Protocol::V1, Protocol::V2] {
        assert_eq!(read(protocol, &[0], Exemplars::Stored), PushCounts::default());
        let body = encode_push(protocol, &[Series::default()], &[]).unwrap();
        assert_eq!(read(protocol, &body, Exemplars::Stored).items(), 0);
    }
}

/// Mimir writes the cut value over the bytes that labels of a 2.0 push share, and may then find series invalid.
#[test]
fn pushes_with_a_shared_cut_value_are_charged_as_sent() {
    let (long, other) = ("x".repeat(72), "y".repeat(72));
    let short = "x".repeat(71);
    let labels = |name, value| Series::sample(&[("__name__", name), ("label", value)], 1.0, 1);
    for strategy in [LabelValueStrategy::Truncate, LabelValueStrategy::Drop] {
        let limits = TenantLimits {
            max_label_value_length: 71,
            label_value_length_over_limit_strategy: strategy,
            ..TenantLimits::default()
        };
        for (protocol, [first, second], expected) in [
            (Protocol::V1, [&long, &long], None),
            (Protocol::V2, [&long, &long], Some(Unmetered::TruncatedValues)),
            (Protocol::V2, [&long, &other], None),
            (Protocol::V2, [&short, &short], None),
        ] {
            let body = encode_push(protocol, &[labels("a", first), labels("b", second)], &[]).unwrap();
            let rules = Validation::new(&limits);
            let counts = read_push(protocol, &body, LIMITS, &rules, 1, &mut Scratch::default()).unwrap();
            assert_eq!((counts.items(), counts.unmetered), (2, expected), "{protocol:?}, {strategy:?}");
        }
        // A name that is too long as a value, and would be no label's as it was sent: Mimir cuts it first.
        let named = Series::sample(&[("__name__", "a"), ("label", &long), (&long, "value")], 1.0, 1);
        for series in [labels(&long, "value"), named] {
            let body = encode_push(Protocol::V2, &[series], &[]).unwrap();
            let rules = Validation::new(&TenantLimits { max_label_name_length: 9, ..limits.clone() });
            let counts = read_push(Protocol::V2, &body, LIMITS, &rules, 1, &mut Scratch::default()).unwrap();
            assert_eq!((counts.items(), counts.unmetered), (1, Some(Unmetered::TruncatedValues)));
        }
    }
}

/// The edge's clock and Mimir's are not one, and Mimir looks later.
#[test]
fn samples_valid_under_some_clock_skew_are_charged() {
    let limits = TenantLimits {
        creation_grace_period: Duration::from_mins(10),
        past_grace_period: Duration::from_hours(1),
        out_of_order_time_window: Duration::ZERO,
        ..TenantLimits::default()
    };
    let now = 1_700_000_000_000;
    let margin = Some(Unmetered::ClockMargin);
    for (beyond, expected) in [(0, (2, None)), (1, (2, margin)), (10_000, (2, margin)), (10_001, (0, None))] {
        for time in [now + 600_000 + beyond, now - 3_600_000 - beyond] {
            let series = Series::sample(&[("__name__", "m")], 1.0, time);
            let histogram = Histogram { timestamp_ms: time, ..Histogram::default() };
            let histogram = Series { samples: vec![], histograms: vec![histogram], ..series.clone() };
            for protocol in [Protocol::V1, Protocol::V2] {
                let body = encode_push(protocol, &[series.clone(), histogram.clone()], &[]).unwrap();
                let rules = Validation::new(&limits);
                let counts = read_push(protocol, &body, LIMITS, &rules, now, &mut Scratch::default()).unwrap();
                assert_eq!((counts.items(), counts.unmetered), expected, "{beyond} ms beyond, {protocol:?}");
            }
        }
    }
}

/// Fields 1000 and 1001 of Mimir's message, with which a sender asks it not to judge labels.
#[test]
fn flags_that_skip_validation_are_not_looked_at() {
    let series = [Series::sample(&[("__name__", "m"), ("0", "no label name")], 1.0, 1)];
    let body = encode_push(Protocol::V1, &series, &[]).unwrap();
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let flagged = [plain.as_slice(), b"\xc0\x3e\x01\xc8\x3e\x01"].concat();
    let body = snap::raw::Encoder::new().compress_vec(&flagged).unwrap();
    let counts = read(Protocol::V1, &body, Exemplars::NotStored);
    assert_eq!((counts.items(), counts.sent.samples), (0, 1));
}

#[track_caller]
fn check_plain(protocol: Protocol, plain: &[u8], expected: (u64, u64, u64)) {
    let body = snap::raw::Encoder::new().compress_vec(plain).unwrap();
    let counts = read(protocol, &body, Exemplars::Stored).sent;
    assert_eq!((counts.samples, counts.histograms, counts.exemplars), expected, "{plain:02x?}");
}

#[test]
fn label_references_may_be_packed_or_single() {
    let symbols = b"\x22\x00\x22\x01a".as_slice();
    for references in
        [&b"\x0a\x02\x00\x01"[..], b"\x08\x00\x08\x01", b"\x0a\x01\x00\x08\x01", b"\x08\x00\x0a\x01\x01\x0a\x00"]
    {
        let series = [references, b"\x12\x00"].concat();
        let plain = [symbols, &[0x2a, series.len() as u8], &series].concat();
        check_plain(Protocol::V2, &plain, (1, 0, 0));
        let exemplar = [&[0x22, references.len() as u8], references].concat();
        let plain = [symbols, &[0x2a, exemplar.len() as u8], &exemplar].concat();
        check_plain(Protocol::V2, &plain, (0, 0, 1));
    }
}

#[test]
fn references_are_cut_to_32_bits() {
    let plain = b"\x22\x00\x2a\x0a\x0a\x06\x80\x80\x80\x80\x10\x00\x12\x00";
    check_plain(Protocol::V2, plain, (1, 0, 0));
}

#[test]
fn buckets_may_be_packed_or_single() {
    let deltas = [&b"\x4a\x02\x01\x02"[..], b"\x48\x01\x48\x02", b"\x60\x01\x62\x01\x02"].concat();
    let counts = [&b"\x52\x08\0\0\0\0\0\0\0\0"[..], b"\x51\0\0\0\0\0\0\0\0", b"\x6a\x00"].concat();
    let histogram = [deltas, counts].concat();
    let length = histogram.len() as u8;
    check_plain(Protocol::V1, &[&[0x0a, length + 2, 0x22, length], histogram.as_slice()].concat(), (0, 1, 0));
    check_plain(Protocol::V2, &[&[0x2a, length + 2, 0x1a, length], histogram.as_slice()].concat(), (0, 1, 0));
}

#[test]
fn unknown_fields_are_passed_over() {
    let unknown = b"\x3a\x03abc\x38\x80\x01\x39\0\0\0\0\0\0\0\0\x3d\0\0\0\0\x3b\x08\x01\x3c".as_slice();
    let length = unknown.len() as u8;
    let series = [&[0x0a, length + 2, 0x12, 0x00], unknown].concat();
    check_plain(Protocol::V1, &[unknown, &series, unknown].concat(), (1, 0, 0));
    let series = [&[0x2a, length + 2, 0x12, 0x00], unknown].concat();
    check_plain(Protocol::V2, &[unknown, &series, unknown].concat(), (1, 0, 0));
}

#[test]
fn strings_need_not_be_utf_8() {
    check_plain(Protocol::V1, b"\x0a\x0a\x0a\x06\x0a\x01\xff\x12\x01\xfe\x12\x00", (1, 0, 0));
    check_plain(Protocol::V2, b"\x22\x00\x22\x01\xff\x2a\x06\x0a\x02\x01\x01\x12\x00", (1, 0, 0));
}

prop_compose! {
    fn any_series()(
        labels in prop::collection::vec((".{0,9}", ".{0,200}"), 0..8),
        samples in prop::collection::vec(any::<(f64, i64)>(), 0..5),
        histograms in 0..3_usize,
        exemplars in prop::collection::vec((".{0,9}", ".{0,9}", any::<f64>(), any::<i64>()), 0..3),
    ) -> Series {
        let exemplars = exemplars.into_iter().map(|(name, text, value, timestamp_ms)| {
            Exemplar { labels: vec![(name, text)], value, timestamp_ms }
        });
        Series {
            labels,
            samples,
            histograms: vec![Histogram::default(); histograms],
            exemplars: exemplars.collect(),
            metadata: None,
        }
    }
}

proptest! {
    #[test]
    fn any_push_is_counted_as_it_was_built(series in prop::collection::vec(any_series(), 0..20)) {
        let sum = |count: fn(&Series) -> usize| series.iter().map(|one| count(one) as u64).sum::<u64>();
        for protocol in [Protocol::V1, Protocol::V2] {
            let body = encode_push(protocol, &series, &[]).unwrap();
            let counts = read(protocol, &body, Exemplars::Stored);
            let expected = Contents {
                samples: sum(|one| one.samples.len()),
                histograms: sum(|one| one.histograms.len()),
                exemplars: sum(|one| one.exemplars.len()),
                metadata: 0,
            };
            let decoded_bytes = snap::raw::decompress_len(&body).unwrap() as u64;
            prop_assert_eq!((counts.series, counts.decoded_bytes), (series.len() as u64, decoded_bytes));
            prop_assert_eq!(counts.sent, expected);
            let skipped = read(protocol, &body, Exemplars::NotStored);
            prop_assert_eq!(skipped.sent, Contents { exemplars: 0, ..expected });
        }
    }
}
