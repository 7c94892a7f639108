//! A push whose validation ends early gets the answer of one that is validated whole: the dry run of an explanation validates all of it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use edge::{
    Answer, BodyPolicy, Clock, ControlWriter, HaTracker, Pipeline, Policy, Push, PushBody, TenantHeader, Verdict,
};
use limits::{EdgeConfig, LimitsState, SourceDocument, TenantLimits};
use proptest::prelude::*;
use remote_write::encode::{Exemplar, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyLimits, Protocol};

const NOW: i64 = 1_800_000_000_000;

/// A pipeline whose clock stands, and its time.
fn pipeline(limits: &str) -> (Pipeline, Arc<AtomicI64>) {
    let text = format!("overrides: {{ t: {{ max_global_exemplars_per_user: 9, {limits} }} }}");
    let applied = LimitsState::new(TenantLimits::default(), false).apply(&[SourceDocument::new("runtime.yaml", &text)]);
    assert!(applied.problems.is_empty(), "{:?}", applied.problems);
    let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
    writer.put_limits_compiled(applied.snapshot.unwrap());
    let bodies = BodyPolicy {
        decode: true,
        max_request_bytes: 1 << 20,
        limits: BodyLimits { max_decoded_bytes: 1 << 20 },
        forward_unreadable: false,
    };
    let clock = Arc::new(AtomicI64::new(NOW));
    let policy = Policy { bodies, charge_items: true, ha_tracker: true };
    (Pipeline::new(control, policy, None, Clock::standing(Arc::clone(&clock))), clock)
}

fn push(protocol: Protocol, body: Vec<u8>) -> Push {
    let content_type = match protocol {
        Protocol::V1 => "application/x-protobuf",
        Protocol::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    };
    Push {
        tenant: TenantHeader::Once(Bytes::from_static(b"t")),
        content_type: Some(Bytes::from_static(content_type.as_bytes())),
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(body.into()),
    }
}

fn answer(verdict: &Verdict) -> Option<Answer> {
    verdict.answer(0, 0.5)
}

/// Series of which some are invalid, for a missing name, a bad name, a repeated one, a bad value, or a time far ahead.
fn any_series() -> impl Strategy<Value = Series> {
    let name = prop_oneof![8 => Just("m".to_owned()), 1 => Just(String::new()), 1 => Just("\u{fffd}-bad ".to_owned())];
    let label = prop_oneof![6 => Just("job"), 1 => Just("__name__"), 1 => Just("bad-name"), 1 => Just("drop")];
    let times = prop::collection::vec(prop_oneof![9 => -3..3_i64, 1 => Just(1 << 40)], 0..6);
    (name, prop::collection::vec((label, "[a-c]?"), 0..4), times, 0..3_usize, any::<bool>()).prop_map(
        |(name, labels, times, exemplars, has_metadata)| {
            let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value));
            let about = SeriesMetadata { kind: MetricKind::Counter, ..SeriesMetadata::default() };
            let exemplar = Exemplar { labels: vec![("id".to_owned(), "x".to_owned())], value: 1.0, timestamp_ms: NOW };
            Series {
                labels: std::iter::once(("__name__".to_owned(), name)).chain(labels).collect(),
                samples: times.into_iter().map(|time| (1.0, NOW + time)).collect(),
                exemplars: vec![exemplar; exemplars],
                metadata: has_metadata.then_some(about),
                ..Series::default()
            }
        },
    )
}

/// A body, now and then one that is cut: its error comes before any denial.
fn any_body(protocol: Protocol) -> impl Strategy<Value = Vec<u8>> {
    let cut = prop_oneof![9 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::collection::vec(any_series(), 0..12), cut).prop_map(move |(series, cut)| {
        let body = encode_push(protocol, &series, &[]).unwrap();
        let Some(cut) = cut else { return body };
        let mut plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        plain.truncate(cut.index(plain.len() + 1));
        snap::raw::Encoder::new().compress_vec(&plain).unwrap()
    })
}

const LIMITS: [&str; 5] = [
    "ingestion_rate: 1, ingestion_burst_size: 20",
    "ingestion_rate: 1, ingestion_burst_size: 1000",
    "ingestion_rate: 0, ingestion_burst_size: 8",
    "ingestion_rate: 3, ingestion_burst_size: 40, drop_labels: [drop]",
    "ingestion_rate: 2, ingestion_burst_size: 100, label_value_length_over_limit_strategy: truncate, \
     max_label_value_length: 80",
];

proptest! {
    #[test]
    fn an_early_denial_is_that_of_the_whole_push(
        limits in prop::sample::select(&LIMITS),
        pushes in prop::collection::vec((any::<bool>(), any::<bool>(), 0..3000_i64), 1..40),
        bodies in (prop::collection::vec(any_body(Protocol::V1), 8), prop::collection::vec(any_body(Protocol::V2), 8)),
    ) {
        let (pipeline, clock) = pipeline(limits);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (index, (is_v2, in_place, pause)) in pushes.into_iter().enumerate() {
            clock.fetch_add(pause, Ordering::Relaxed);
            let (protocol, of) = if is_v2 { (Protocol::V2, &bodies.1) } else { (Protocol::V1, &bodies.0) };
            let push = push(protocol, of[index % of.len()].clone());
            let whole = runtime.block_on(pipeline.explain(&push)).unwrap().verdict;
            let early =
                if in_place { pipeline.decide_here(&push) } else { runtime.block_on(pipeline.decide(&push)) }.unwrap();
            prop_assert_eq!(answer(&early), answer(&whole), "{:?} {:?}", early.decision, whole.decision);
            prop_assert_eq!((early.decision.is_ok(), early.reason()), (whole.decision.is_ok(), whole.reason()));
            if !early.counts.is_enough {
                prop_assert_eq!(early.counts, whole.counts);
            }
        }
    }
}

/// A push of a valid series and an invalid one, of one sample each.
fn half_valid() -> Vec<u8> {
    let series = |name: &str| Series::sample(&[("__name__", name)], 1.0, NOW);
    encode_push(Protocol::V1, &[series("a"), series("")], &[]).unwrap()
}

#[test]
fn a_denied_push_has_the_counts_that_were_sent() {
    let (pipeline, _) = pipeline("ingestion_rate: 0.001, ingestion_burst_size: 2");
    let push = push(Protocol::V1, half_valid());
    let samples = |verdict: &Verdict| (verdict.decision.is_ok(), verdict.counts.samples, verdict.counts.is_enough);
    let verdicts = [0; 3].map(|_| pipeline.decide_here(&push).unwrap());
    assert_eq!(verdicts.each_ref().map(samples), [(true, 1, false), (true, 1, false), (false, 2, true)]);
}
