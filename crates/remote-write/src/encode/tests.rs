use limits::TenantLimits;

use super::*;
use crate::{BodyLimits, Contents, PushCounts, Scratch, Validation, read_push};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 64 << 20 };

fn read(protocol: Protocol, body: &[u8]) -> PushCounts {
    let validation = Validation::new(&TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() });
    read_push(protocol, body, LIMITS, &validation, 1_700_000_000_000, &mut Scratch::default()).unwrap()
}

fn rich_series() -> Vec<Series> {
    let about = SeriesMetadata { kind: MetricKind::Counter, help: "Requests.".to_owned(), unit: String::new() };
    let exemplar = Exemplar { labels: vec![("trace_id".to_owned(), "1f".to_owned())], value: 1.0, timestamp_ms: 5 };
    let buckets = Buckets { spans: vec![(-1, 2)], deltas: vec![1, -1], counts: vec![0.5; 40] };
    let histogram = Histogram { positive: buckets, custom_values: vec![1.0], timestamp_ms: -1, ..Histogram::default() };
    let mut series = Series::sample(&[("__name__", "requests_total"), ("pod", "pod-0")], 1.0, 1_700_000_000_000);
    series.samples.push((f64::NAN, 0));
    series.histograms = vec![histogram; 3];
    series.exemplars = vec![exemplar; 4];
    series.metadata = Some(about);
    vec![series.clone(), series, Series::default()]
}

#[test]
fn what_is_written_is_what_is_counted() {
    let metadata =
        [Metadata { family: "up".to_owned(), about: SeriesMetadata { kind: MetricKind::Gauge, ..Default::default() } }];
    let v1 = read(Protocol::V1, &encode_push(Protocol::V1, &rich_series(), &metadata).unwrap());
    let sent = Contents { samples: 4, histograms: 6, exemplars: 8, metadata: 1 };
    assert_eq!((v1.series, v1.sent), (3, sent));
    let v2 = read(Protocol::V2, &encode_push(Protocol::V2, &rich_series(), &metadata).unwrap());
    assert_eq!((v2.series, v2.sent), (4, Contents { metadata: 2, ..sent }));
}

#[test]
fn an_encoder_that_is_used_again_writes_the_same_bytes() {
    let small = [Series::sample(&[("__name__", "up")], 1.0, 1)];
    for protocol in [Protocol::V1, Protocol::V2] {
        let mut encoder = Encoder::new();
        encoder.encode(protocol, &rich_series(), &[]).unwrap();
        let again = encoder.encode(protocol, &small, &[]).unwrap().to_vec();
        assert_eq!(again, encode_push(protocol, &small, &[]).unwrap());
    }
}

#[test]
fn plain_is_what_the_compressed_push_holds() {
    let mut encoder = Encoder::new();
    let body = encoder.encode(Protocol::V2, &rich_series(), &[]).unwrap().to_vec();
    let plain = encoder.encode_plain(Protocol::V2, &rich_series(), &[]);
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&body).unwrap(), plain);
}

#[test]
fn writes_the_bytes_of_the_format() {
    let series = [Series::sample(&[("__name__", "m")], 1.0, 300)];
    let mut encoder = Encoder::new();
    let sample = b"\x12\x0c\x09\0\0\0\0\0\0\xf0\x3f\x10\xac\x02";
    let v1 = [b"\x0a\x1d\x0a\x0d\x0a\x08__name__\x12\x01m".as_slice(), sample].concat();
    assert_eq!(encoder.encode_plain(Protocol::V1, &series, &[]), v1);
    let v2 = [b"\x22\x00\x22\x08__name__\x22\x01m\x2a\x12\x0a\x02\x01\x02".as_slice(), sample].concat();
    assert_eq!(encoder.encode_plain(Protocol::V2, &series, &[]), v2);
}

#[test]
fn messages_of_128_bytes_take_a_longer_length() {
    for length in [1, 60, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 300, 16_384, 20_000] {
        let series = [Series::sample(&[("__name__", "m"), ("text", &"x".repeat(length))], 1.0, 300)];
        for protocol in [Protocol::V1, Protocol::V2] {
            let counts = read(protocol, &encode_push(protocol, &series, &[]).unwrap());
            assert_eq!((counts.series, counts.sent.samples), (1, 1), "{protocol:?} {length}");
        }
    }
}

#[test]
fn the_headers_of_a_protocol_name_it() {
    for protocol in [Protocol::V1, Protocol::V2] {
        let value = content_type_header(protocol).as_bytes();
        assert_eq!(crate::content_type(Some(value)), crate::ContentType::Known(protocol));
    }
    assert_eq!((version_header(Protocol::V1), version_header(Protocol::V2)), ("0.1.0", "2.0.0"));
}
