//! Series near every boundary: names that are barely legal, labels that repeat, times within milliseconds of the limits.

use proptest::prelude::*;
use remote_write::encode::{Buckets, Count, Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata};

use super::NOW;

fn name() -> impl Strategy<Value = String> {
    let rare = ["", "0a", "a-b", "a:b", "ü", "a_long_name"];
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "job", "pod", "Z9_"]),
        1 => prop::sample::select(rare.to_vec()),
        1 => Just("__name__"),
    ]
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z]{1,9}", 1 => Just(String::new()), 1 => "[äöü€]{1,5}"]
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let metric = prop_oneof![
        6 => prop::sample::select(vec!["up", "job:rate", "target_info"]),
        1 => prop::sample::select(vec!["", "0up", "üp", "u p"]),
    ];
    let others = prop::collection::vec((name(), value()), 0..6);
    let order = prop_oneof![4 => Just(true), 1 => Just(false)];
    (prop::option::weighted(0.9, metric), others, order).prop_map(|(metric, mut labels, sorted)| {
        labels.extend(metric.map(|metric| ("__name__".to_owned(), metric.to_owned())));
        if sorted {
            labels.sort();
            labels.dedup_by(|left, right| left.0 == right.0);
        }
        labels
    })
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        24 => NOW - 2..NOW + 1,
        2 => NOW - 8..NOW + 6,
        1 => NOW - 10_008..NOW - 9_998,
        1 => NOW + 9_998..NOW + 10_006,
        1 => prop::sample::select(vec![0, i64::MIN, i64::MAX, NOW - 300_000, NOW - 300_001]),
    ]
}

fn buckets() -> impl Strategy<Value = Buckets> {
    let spans = prop::collection::vec((-3..4_i32, 0..4_u32), 0..3);
    (spans, -1..2_i64, 0..3_usize).prop_map(|(spans, spare, counts)| {
        let claimed: i64 = spans.iter().map(|(_, length)| i64::from(*length)).sum();
        let deltas = usize::try_from(claimed + spare).unwrap_or(0);
        Buckets { spans, deltas: vec![1; deltas], counts: vec![1.0; counts / 2] }
    })
}

prop_compose! {
    fn histogram()(
        schema in prop_oneof![6 => -4..9_i32, 1 => prop::sample::select(vec![-5, 9, -53, -52])],
        is_float in prop::bool::ANY,
        negative in buckets(),
        positive in buckets(),
        timestamp_ms in time(),
    ) -> Histogram {
        let count = if is_float { Count::Float(1.0) } else { Count::Integer(1) };
        Histogram { count, schema, negative, positive, timestamp_ms, ..Histogram::default() }
    }
}

prop_compose! {
    fn exemplar()(
        labels in prop::collection::vec(("[a€]{0,2}", prop_oneof![3 => "[a€]{0,2}", 1 => "[a€]{123,128}"]), 0..3),
        timestamp_ms in time(),
    ) -> Exemplar {
        Exemplar { labels, value: 1.0, timestamp_ms }
    }
}

fn about() -> impl Strategy<Value = SeriesMetadata> {
    let kinds = vec![MetricKind::Unknown, MetricKind::Counter, MetricKind::Histogram];
    (prop::sample::select(kinds), "[a-z]{0,3}", "[a-z]{0,6}").prop_map(|(kind, help, unit)| SeriesMetadata {
        kind,
        help,
        unit,
    })
}

pub(crate) fn metadata() -> impl Strategy<Value = Metadata> {
    ("[a-z]{0,6}", about()).prop_map(|(family, about)| Metadata { family, about })
}

prop_compose! {
    pub(crate) fn any()(
        labels in labels(),
        times in prop::collection::vec(time(), 0..4),
        histograms in prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(histogram(), 0..3)],
        exemplars in prop::collection::vec(exemplar(), 0..3),
        metadata in prop::option::of(about()),
    ) -> Series {
        let samples = times.into_iter().map(|time| (1.0, time)).collect();
        Series { labels, samples, histograms, exemplars, metadata }
    }
}
