//! What reading a push costs, compared with decompression alone, which every reader needs, and with full decoding with prost,
//! which reading on the wire saves. Also its cost for tenants with Prometheus pairs, whose pushes are walked twice, and with
//! relabelling.
//!
//! `cargo bench -p remote-write`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limits::{RelabelAction, RelabelRule, TenantLimits};
use prost::Message;
use remote_write::encode::{Encoder, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::relabel::Relabeler;
use remote_write::{
    BodyLimits, Dedupe, HaRules, Protocol, Replica, Rules, Scratch, TenantRelabeler, Validation, read_push,
};

#[expect(dead_code, reason = "the bench decodes whole pushes only")]
#[path = "../tests/differential/schema.rs"]
mod schema;

#[path = "batch/labels.rs"]
mod batch;

use batch::labels;

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
    let value = f64::from(index) * 1.37;
    Series { labels: labels(index), samples: vec![(value, NOW)], metadata: Some(about), ..Series::default() }
}

fn report(protocol: Protocol, series: &[Series], decode: impl Fn(&[u8])) {
    let body = encode_push(protocol, series, &[]).unwrap();
    let mut plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let mut scratch = Scratch::default();
    let mut encoder = Encoder::new();
    let snappy = best(|| drop(black_box(snap::raw::Decoder::new().decompress(&body, &mut plain))));
    let mut read_until = |limits: &TenantLimits, enough: Option<u64>| {
        let (validation, relabeler) = (Validation::new(limits), Relabeler::compile(limits).unwrap());
        best(|| {
            let mut dedupe = |_: Replica<'_>| Dedupe::Elected;
            let ha = HaRules {
                cluster_label: limits.ha_cluster_label.as_bytes(),
                replica_label: limits.ha_replica_label.as_bytes(),
                each_series: false,
                dedupe: &mut dedupe,
            };
            let rules = Rules {
                validation,
                relabeler: relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team" }),
                ha: limits.accept_ha_samples.then_some(ha),
                enough,
            };
            drop(black_box(read_push(protocol, &body, LIMITS, rules, NOW, &mut scratch)));
        })
    };
    let mut read_for = |limits: &TenantLimits| read_until(limits, None);
    let usual = TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() };
    let read = read_for(&usual);
    let pairs = read_for(&TenantLimits { accept_ha_samples: true, ..usual.clone() });
    let dropped = read_for(&TenantLimits { drop_labels: ["pod".into()].into(), ..usual.clone() });
    let relabelled = read_for(&TenantLimits { metric_relabel_configs: relabelling(), ..usual.clone() });
    let denied = read_until(&usual, Some(0));
    let prost = best(|| {
        snap::raw::Decoder::new().decompress(&body, &mut plain).unwrap();
        decode(&plain);
    });
    let encode = best(|| drop(black_box(encoder.encode(protocol, series, &[]))));
    let times = |duration: Duration| duration.as_secs_f64() / snappy.as_secs_f64();
    println!("{protocol:?} {:>6} samples, {} -> {} bytes", series.len(), body.len(), plain.len());
    println!("  snappy alone      {snappy:>10.1?}");
    println!("  read_push         {read:>10.1?}  {:>5.2} x snappy, {:.2} x without it", times(read), times(read) - 1.0);
    println!("    denied early    {denied:>10.1?}  {:>5.2} x snappy", times(denied));
    println!("    of a pair       {pairs:>10.1?}  {:>5.2} x snappy", times(pairs));
    println!("    drop_labels     {dropped:>10.1?}  {:>5.2} x snappy", times(dropped));
    println!("    two rules       {relabelled:>10.1?}  {:>5.2} x snappy", times(relabelled));
    println!("  snappy and prost  {prost:>10.1?}  {:>5.2} x snappy", times(prost));
    println!("  encode            {encode:>10.1?}");
}

/// Rules as people write them: one that drops by name, and one that writes a label.
fn relabelling() -> Arc<[RelabelRule]> {
    let drop = RelabelRule {
        source_labels: ["__name__".into()].into(),
        regex: "go_gc_.*|process_.*".into(),
        action: RelabelAction::Drop,
        ..RelabelRule::default()
    };
    let replace = RelabelRule {
        source_labels: ["instance".into()].into(),
        regex: "([^:]+):[0-9]+".into(),
        target_label: "host".into(),
        ..RelabelRule::default()
    };
    [drop, replace].into()
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
