//! An edge, limits for many tenants, and their pushes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use edge::{Clock, ControlWriter, Edge, Pipeline, Push, PushBody, Recorder, TenantHeader};
use limits::{LimitsState, Snapshot, SourceDocument, TenantLimits};
use prometheus::Registry;
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

#[path = "../../../remote-write/benches/batch/labels.rs"]
mod batch;

/// A document holds 16 MiB at most.
const TENANTS_OF_A_DOCUMENT: usize = 100_000;

/// Limits that deny nothing, for this many tenants. The burst tells two documents apart.
pub(crate) fn limits_of(tenants: u32, burst: u64) -> Arc<Snapshot> {
    let names: Vec<u32> = (0..tenants).collect();
    let documents = names.chunks(TENANTS_OF_A_DOCUMENT).map(|tenants| {
        let own = tenants.iter().map(|tenant| {
            let name = name(*tenant);
            format!("  {name}: {{ request_rate: 1e12, ingestion_rate: 1e12, ingestion_burst_size: {burst} }}\n")
        });
        format!("overrides:\n{}", own.collect::<String>())
    });
    let documents: Vec<String> = documents.collect();
    let named: Vec<(String, &String)> =
        documents.iter().enumerate().map(|(number, document)| (format!("{number}.yaml"), document)).collect();
    let documents: Vec<_> = named.iter().map(|(name, document)| SourceDocument::new(name, document)).collect();
    let mut limits = LimitsState::new(TenantLimits::default(), true);
    let applied = limits.apply(&documents);
    assert!(applied.accepted, "{:?}", applied.problems.first());
    applied.snapshot.unwrap()
}

/// An edge with these limits, and the writer of its control state.
pub(crate) fn edge_with(snapshot: Arc<Snapshot>) -> (Edge, ControlWriter) {
    let (pipeline, writer) = Pipeline::by_limits(snapshot, Clock::start());
    let recorder = Recorder::new(None, &Registry::new()).unwrap();
    (Edge::new(Arc::new(pipeline), recorder), writer)
}

pub(crate) fn name(index: u32) -> String {
    format!("tenant-{index:07}")
}

/// The encoded body of a push of so many samples.
pub(crate) fn body(samples: u32) -> Bytes {
    let series = |index| Series {
        labels: batch::labels(index),
        samples: vec![(f64::from(index), 1_790_000_000_000)],
        ..Series::default()
    };
    encode_push(Protocol::V1, &(0..samples).map(series).collect::<Vec<_>>(), &[]).unwrap().into()
}

/// A push of this tenant.
pub(crate) fn push(tenant: u32, body: &Bytes) -> Push {
    Push {
        tenant: TenantHeader::Once(name(tenant).into()),
        content_type: None,
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(body.clone()),
    }
}

/// Decides and records a push that is allowed.
pub(crate) fn check(edge: &Edge, push: &Push) {
    assert!(edge.check_here(push, Instant::now()).unwrap().answer.is_none());
}
