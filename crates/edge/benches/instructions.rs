//! Decides fixed pushes, each in a call of [`measured`], so that valgrind can count the instructions of each: `make bench-instructions`.
//!
//! Prints the name of each push. Nothing here may depend on the time, on addresses or on chance.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use bytes::Bytes;
use edge::{Clock, Edge, Hits, Outcome, Pipeline, Push, PushBody, Recorder, TenantHeader};
use limits::{LimitsState, SourceDocument, Tenant, TenantLimits};
use prometheus::Registry;
use remote_write::Protocol;
use remote_write::encode::{Series, content_type_header, encode_push};

#[path = "../../remote-write/benches/batch/labels.rs"]
mod batch;

const SIZES: [u32; 3] = [100, 2_000, 10_000];
const PROTOCOLS: [(Protocol, &str); 2] = [(Protocol::V1, "1.0"), (Protocol::V2, "2.0")];
const NOW: i64 = 1_790_000_000_000;

/// The burst of a tenant that is denied, in pushes: what may be over the burst is not denied early.
const BURST: u32 = 10;

/// What the edge does with a push, by its tenant.
const TENANTS: [(&str, &str); 4] = [
    ("denied-early", "ingestion_rate: 0.001, ingestion_burst_size: "),
    ("validated-whole", "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000"),
    ("pair", "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000, accept_ha_samples: true"),
    (
        "one-drop-rule",
        "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000, metric_relabel_configs: [{ source_labels: [__name__], regex: 'go_gc_.*', action: drop }]",
    ),
];

fn main() {
    let edge = edge();
    for (protocol, version) in PROTOCOLS {
        for samples in SIZES {
            for (tenant, _) in TENANTS {
                let push = push(protocol, samples, tenant);
                if tenant == "denied-early" {
                    empty_bucket(&edge, samples);
                }
                // Buffers grow to their size, and tenants get their buckets.
                for _ in 0..2 {
                    drop(black_box(edge.check_here(&push, Instant::now())));
                }
                let outcome = measured(&edge, &push);
                assert_eq!(outcome.answer.is_some(), tenant == "denied-early", "{tenant}: {:?}", outcome.answer);
                println!("{version} {samples} {tenant}");
            }
        }
    }
}

/// Its calls are what valgrind counts.
#[inline(never)]
fn measured(edge: &Edge, push: &Push) -> Outcome {
    black_box(edge).check_here(black_box(push), Instant::now()).unwrap()
}

fn empty_bucket(edge: &Edge, samples: u32) {
    let name = tenant_of(samples, "denied-early");
    let (tenant, control) = (Tenant::parse(Some(name.as_bytes())).unwrap(), edge.pipeline().control());
    let items = Hits::Items((samples * BURST).into());
    // With the other protocol before, it is empty already.
    drop(edge.pipeline().charge_hits(&control, &tenant, items).unwrap());
}

fn tenant_of(samples: u32, tenant: &str) -> String {
    format!("{tenant}-{samples}")
}

fn edge() -> Edge {
    let overrides = SIZES.iter().flat_map(|samples| {
        TENANTS.map(|(tenant, limits)| {
            let burst = if limits.ends_with(' ') { (samples * BURST).to_string() } else { String::new() };
            format!("  {}: {{ {limits}{burst} }}\n", tenant_of(*samples, tenant))
        })
    });
    let document = format!("overrides:\n{}", overrides.collect::<String>());
    let mut limits = LimitsState::new(TenantLimits::default(), false);
    let snapshot = limits.apply(&[SourceDocument::new("runtime.yaml", &document)]).snapshot.unwrap();
    let (pipeline, _) = Pipeline::by_limits(snapshot, Clock::standing(Arc::new(AtomicI64::new(NOW))));
    Edge::new(Arc::new(pipeline), Recorder::new(None, &Registry::new()).unwrap())
}

fn push(protocol: Protocol, samples: u32, tenant: &str) -> Push {
    let series = |index| {
        let mut labels = batch::labels(index);
        if tenant == "pair" {
            labels.insert(0, ("__replica__".to_owned(), "replica-0".to_owned()));
        }
        labels.sort();
        Series { labels, samples: vec![(f64::from(index) * 1.37, NOW)], ..Series::default() }
    };
    Push {
        tenant: TenantHeader::Once(tenant_of(samples, tenant).into()),
        content_type: Some(Bytes::from_static(content_type_header(protocol).as_bytes())),
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(
            encode_push(protocol, &(0..samples).map(series).collect::<Vec<_>>(), &[]).unwrap().into(),
        ),
    }
}
