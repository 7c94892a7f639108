//! Any bytes as a push of a tenant with few tokens left: in mode enforce its validation may end early, and in mode shadow all of it is validated. Both must
//! decide the same, of the push and of those after it.
//!
//! The first byte of an input chooses the protocol (bit 0), the limits (bits 1 and 2), and the tokens that are left (bits 3 to 7). The others are the
//! uncompressed body.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use edge::{Clock, Pipeline, Push, PushBody, TenantHeader, Verdict};
use limits::{EdgeConfig, EdgePolicy, LimitsState, Mode, Snapshot, SourceDocument, TenantLimits};
use remote_write::encode::content_type_header;
use remote_write::{Protocol, PushCounts};

use crate::compress;

const NOW: i64 = 1_700_000_060_000;
const PAUSE_MILLIS: i64 = 40;
const PUSHES: usize = 3;
/// More than the items of an input, of which each is taken to have some bytes.
const BURST: u64 = 1_000;
const TENANTS: [&str; 4] = ["plain", "earns", "strict", "relabels"];
const OVERRIDES: &str = r#"
overrides:
  plain: { ingestion_rate: 1e-3, ingestion_burst_size: 1000, max_global_exemplars_per_user: 9 }
  earns: { ingestion_rate: 60, ingestion_burst_size: 1000 }
  strict: { ingestion_rate: 1e-3, ingestion_burst_size: 1000, max_label_names_per_series: 3, max_label_value_length: 8, max_native_histogram_buckets: 2 }
  relabels: { ingestion_rate: 1e-3, ingestion_burst_size: 1000, drop_labels: [pod, job] }
"#;

static LIMITS: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let document = [SourceDocument::new("runtime.yaml", OVERRIDES)];
    let applied = LimitsState::new(TenantLimits::default(), false).apply(&document);
    assert!(applied.problems.is_empty(), "{:?}", applied.problems);
    applied.snapshot.expect("the document is good")
});

/// Decides an input in both modes.
pub fn decide(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let protocol = if choice & 1 == 0 { Protocol::V1 } else { Protocol::V2 };
    let tenant = TENANTS.get(usize::from(choice >> 1 & 3)).expect("there is one for each choice");
    let push = |content_type, body| Push {
        tenant: TenantHeader::Once(Bytes::from_static(tenant.as_bytes())),
        content_type,
        retry_attempt: 0,
        skips_validation: false,
        body,
    };
    let samples = BURST - u64::from(choice >> 3);
    let before = push(None, PushBody::Counted(PushCounts { samples, ..PushCounts::default() }));
    let content_type = Bytes::from_static(content_type_header(protocol).as_bytes());
    let push = push(Some(content_type), PushBody::Whole(compress(bytes).into()));

    let clock = Arc::new(AtomicI64::new(NOW));
    let [early, whole] = [Mode::Enforce, Mode::Shadow].map(|mode| pipeline(mode, &clock));
    for pipeline in [&early, &whole] {
        assert!(decided(pipeline, &before).decision.is_ok());
    }
    for _ in 0..PUSHES {
        let (early, whole) = (decided(&early, &push), decided(&whole, &push));
        // Denied by its valid part, where Mimir would have to deny it.
        if early.counts.is_enough && whole.unmetered.is_some() {
            assert_eq!(early.reason(), "ingestion_rate");
            return;
        }
        assert_eq!((&early.decision, early.charged), (&whole.decision, whole.charged), "{early:?} {whole:?}");
        assert_eq!(early.counts.sent, whole.counts.sent);
        clock.fetch_add(PAUSE_MILLIS, Ordering::Relaxed);
    }
}

fn pipeline(mode: Mode, clock: &Arc<AtomicI64>) -> Pipeline {
    let (pipeline, mut writer) = Pipeline::by_limits(Arc::clone(&LIMITS), Clock::standing(Arc::clone(clock)));
    writer.put_edge_config(Arc::new(EdgeConfig::for_everybody(EdgePolicy { mode, ..EdgePolicy::default() })));
    pipeline
}

fn decided(pipeline: &Pipeline, push: &Push) -> Verdict {
    pipeline.decide_here(push).expect("there are limits")
}
