//! Pushes that real senders could send, small enough to be changed a hundred thousand times.

use remote_write::Protocol;
use remote_write::encode::{
    Buckets, Count, Encoder, Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata,
};

/// Bare protobuf of one push of every kind.
pub(crate) fn plain() -> Vec<(Protocol, Vec<u8>)> {
    let mut encoder = Encoder::new();
    let kinds = [
        vec![series("up", 1)],
        vec![series("requests_total", 3), series("errors_total", 0)],
        vec![Series { histograms: vec![integer_histogram(), float_histogram()], ..series("latency_seconds", 0) }],
        vec![Series { exemplars: vec![exemplar()], ..series("latency_seconds_bucket", 1) }],
        vec![described("latency_seconds_bucket"), described("latency_seconds_sum"), described("up")],
        vec![],
    ];
    let metadata = [Metadata { family: "latency_seconds".to_owned(), about: about() }];
    let mut pushes = Vec::new();
    for protocol in [Protocol::V1, Protocol::V2] {
        for series in &kinds {
            pushes.push((protocol, encoder.encode_plain(protocol, series, &[]).to_vec()));
        }
        pushes.push((protocol, encoder.encode_plain(protocol, &[], &metadata).to_vec()));
        pushes.push((protocol, encoder.encode_plain(protocol, &kinds.concat(), &metadata).to_vec()));
    }
    pushes
}

fn series(name: &str, samples: i64) -> Series {
    let mut series = Series::sample(&[("__name__", name), ("job", "api"), ("pod", "")], 1.5, 0);
    series.samples = (0..samples).map(|index| (index as f64, 1_700_000_000_000 + index * 15_000)).collect();
    series
}

fn described(name: &str) -> Series {
    Series { metadata: Some(about()), ..series(name, 1) }
}

fn about() -> SeriesMetadata {
    SeriesMetadata { kind: MetricKind::Histogram, help: "How long it took.".to_owned(), unit: "seconds".to_owned() }
}

fn exemplar() -> Exemplar {
    Exemplar {
        labels: vec![("trace_id".to_owned(), "9f086fc2".to_owned())],
        value: 0.25,
        timestamp_ms: 1_700_000_000_000,
    }
}

fn integer_histogram() -> Histogram {
    Histogram {
        count: Count::Integer(6),
        sum: 17.25,
        schema: 2,
        zero_threshold: 0.001,
        zero_count: Count::Integer(1),
        negative: Buckets { spans: vec![(-3, 1)], deltas: vec![1], counts: vec![] },
        positive: Buckets { spans: vec![(0, 2), (1, 1)], deltas: vec![1, -1, 3], counts: vec![] },
        timestamp_ms: 1_700_000_000_000,
        ..Histogram::default()
    }
}

fn float_histogram() -> Histogram {
    Histogram {
        count: Count::Float(6.5),
        sum: -1.0,
        schema: -53,
        zero_count: Count::Float(0.5),
        negative: Buckets { spans: vec![(1, 1)], deltas: vec![], counts: vec![2.5] },
        positive: Buckets { spans: vec![(0, 2)], deltas: vec![], counts: vec![1.5, 2.0] },
        reset_hint: 3,
        timestamp_ms: 1_700_000_000_000,
        custom_values: vec![0.5, 1.0],
        ..Histogram::default()
    }
}
