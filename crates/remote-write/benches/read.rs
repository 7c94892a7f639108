//! What reading a push costs: beside decompression alone, which nobody can do without, and beside full decoding with prost,
//! which is what reading on the wire saves.
//!
//! `cargo bench -p remote-write`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use limits::TenantLimits;
use prost::Message;
use remote_write::encode::{Encoder, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyLimits, Protocol, Scratch, Validation, read_push};

#[expect(dead_code, reason = "the bench decodes whole pushes only")]
#[path = "../tests/differential/schema.rs"]
mod schema;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };

const NOW: i64 = 1_700_000_000_000;

fn main() {
    println!("one push, one sample and six labels a series; best of many runs");
    for count in [775, 38_000] {
        let series: Vec<Series> = (0..count).map(series).collect();
        report(Protocol::V1, &series, |decoded| drop(black_box(schema::RequestV1::decode(decoded))));
        report(Protocol::V2, &series, |decoded| drop(black_box(schema::RequestV2::decode(decoded))));
    }
}

fn series(index: u32) -> Series {
    let family = index / 12;
    let about = SeriesMetadata { kind: MetricKind::Counter, help: format!("Help of {family}."), unit: String::new() };
    let labels = [
        ("__name__", format!("http_server_requests_{family}_total")),
        ("cluster", "prod-eu-west-1".to_owned()),
        ("instance", format!("10.{}.{}.7:9090", index % 7, index % 251)),
        ("job", "api-server".to_owned()),
        ("namespace", "default".to_owned()),
        ("pod", format!("api-server-{:08x}", index.wrapping_mul(0x9e37_79b9))),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let value = f64::from(index) * 1.37;
    Series { labels, samples: vec![(value, NOW)], metadata: Some(about), ..Series::default() }
}

fn report(protocol: Protocol, series: &[Series], decode: impl Fn(&[u8])) {
    let body = encode_push(protocol, series, &[]).unwrap();
    let mut plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let mut scratch = Scratch::default();
    let mut encoder = Encoder::new();
    let snappy = best(|| drop(black_box(snap::raw::Decoder::new().decompress(&body, &mut plain))));
    let limits = TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() };
    let validation = Validation::new(&limits);
    let read = best(|| drop(black_box(read_push(protocol, &body, LIMITS, &validation, NOW, &mut scratch))));
    let prost = best(|| {
        snap::raw::Decoder::new().decompress(&body, &mut plain).unwrap();
        decode(&plain);
    });
    let encode = best(|| drop(black_box(encoder.encode(protocol, series, &[]))));
    let times = |duration: Duration| duration.as_secs_f64() / snappy.as_secs_f64();
    println!("{protocol:?} {:>6} samples, {} -> {} bytes", series.len(), body.len(), plain.len());
    println!("  snappy alone      {snappy:>10.1?}");
    println!("  read_push         {read:>10.1?}  {:>5.2} x snappy", times(read));
    println!("  snappy and prost  {prost:>10.1?}  {:>5.2} x snappy", times(prost));
    println!("  encode            {encode:>10.1?}");
}

/// The shortest of many runs, which other work on the machine disturbed least.
fn best(mut run: impl FnMut()) -> Duration {
    let until = Instant::now() + Duration::from_millis(300);
    let mut best = Duration::MAX;
    while Instant::now() < until {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}
