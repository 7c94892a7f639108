//! A push whose validation ends early gets the answer of one that is validated whole: in mode shadow all of it is validated.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use edge::{BodyPolicy, Clock, ControlWriter, HaTracker, Pipeline, Policy, Push, PushBody, TenantHeader, Verdict};
use limits::{EdgeConfig, EdgePolicy, LimitsState, Mode, SourceDocument, TenantLimits};
use proptest::prelude::*;
use remote_write::encode::{Exemplar, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::{BodyLimits, Protocol};

const NOW: i64 = 1_800_000_000_000;

/// A pipeline, and what changes its limits.
struct Edge {
    pipeline: Pipeline,
    limits: LimitsState,
    writer: ControlWriter,
}

impl Edge {
    /// In mode enforce validation may end early; in mode shadow it does not, and the verdicts are the same.
    fn new(mode: Mode, limits: &str, clock: &Arc<AtomicI64>) -> Self {
        let policy = EdgePolicy { mode, ..EdgePolicy::default() };
        let edge = Arc::new(EdgeConfig::for_everybody(policy));
        let (writer, control) = ControlWriter::new(edge, HaTracker::default());
        let bodies = BodyPolicy {
            decode: true,
            max_request_bytes: 1 << 20,
            limits: BodyLimits { max_decoded_bytes: 1 << 20 },
            forward_unreadable: false,
        };
        let policy = Policy { bodies, charge_items: true, ha_tracker: true };
        let pipeline = Pipeline::new(control, policy, None, Clock::standing(Arc::clone(clock)));
        let mut edge = Self { pipeline, limits: LimitsState::new(TenantLimits::default(), false), writer };
        edge.set(limits);
        edge
    }

    fn set(&mut self, limits: &str) {
        let text = format!("overrides: {{ t: {{ max_global_exemplars_per_user: 9, {limits} }} }}");
        let applied = self.limits.apply(&[SourceDocument::new("runtime.yaml", &text)]);
        assert!(applied.problems.is_empty(), "{:?}", applied.problems);
        self.writer.put_limits_compiled(applied.snapshot.unwrap());
    }

    fn decide(&self, push: &Push) -> Verdict {
        self.pipeline.decide_here(push).unwrap()
    }
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

/// What the client gets, whatever the mode.
fn answer(verdict: &Verdict) -> (bool, &'static str, Option<(u16, &str)>) {
    let denial = verdict.denial().map(|denial| (denial.status(), denial.message()));
    (verdict.decision.is_ok(), verdict.reason(), denial)
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
        pushes in prop::collection::vec((any::<bool>(), 0..8_usize, 0..3000_i64, 0..LIMITS.len() * 3), 1..40),
        bodies in (prop::collection::vec(any_body(Protocol::V1), 8), prop::collection::vec(any_body(Protocol::V2), 8)),
    ) {
        let clock = Arc::new(AtomicI64::new(NOW));
        let [mut early, mut whole] = [Mode::Enforce, Mode::Shadow].map(|mode| Edge::new(mode, LIMITS[0], &clock));
        for (is_v2, body, pause, next) in pushes {
            clock.fetch_add(pause, Ordering::Relaxed);
            if let Some(limits) = LIMITS.get(next) {
                early.set(limits);
                whole.set(limits);
            }
            let (protocol, bodies) = if is_v2 { (Protocol::V2, &bodies.1) } else { (Protocol::V1, &bodies.0) };
            let push = push(protocol, bodies[body].clone());
            let (early, whole) = (early.decide(&push), whole.decide(&push));
            prop_assert_eq!(answer(&early), answer(&whole), "{:?} {:?}", early.counts, whole.counts);
            prop_assert_eq!(early.counts.sent, whole.counts.sent);
            if !early.counts.is_enough {
                prop_assert_eq!(early.counts, whole.counts);
            }
        }
    }
}

/// A push of one sample each of so many valid series, and then of invalid ones.
fn body(valid: usize, invalid: usize) -> Push {
    let series = |name: &str| Series::sample(&[("__name__", name)], 1.0, NOW);
    let valid = (0..valid).map(|index| series(&format!("m{index}")));
    let series: Vec<Series> = valid.chain((0..invalid).map(|_| series(""))).collect();
    push(Protocol::V1, encode_push(Protocol::V1, &series, &[]).unwrap())
}

#[test]
fn a_denied_push_has_the_counts_that_were_sent() {
    let edge = Edge::new(Mode::Enforce, "ingestion_rate: 0.001, ingestion_burst_size: 2", &Arc::new(NOW.into()));
    let verdicts = [0; 3].map(|_| edge.decide(&body(1, 1)));
    let counts = |verdict: &Verdict| (verdict.decision.is_ok(), verdict.counts.samples, verdict.counts.is_enough);
    assert_eq!(verdicts.each_ref().map(counts), [(true, 1, false), (true, 1, false), (false, 2, true)]);
}

#[test]
fn a_usual_rate_leaves_most_of_a_batch_unvalidated() {
    // Also where the bucket earns tokens while the push is decoded.
    let clock = Arc::new(AtomicI64::new(NOW));
    let edge = Edge::new(Mode::Enforce, "ingestion_rate: 10000, ingestion_burst_size: 200000", &clock);
    let push = body(2_000, 0);
    let verdicts: Vec<Verdict> = (0..101).map(|_| edge.decide(&push)).collect();
    let is_early = |verdict: &Verdict| (verdict.decision.is_err(), verdict.counts.is_enough);
    assert_eq!(verdicts.iter().map(is_early).filter(|early| *early == (true, true)).count(), 1);
    clock.fetch_add(100, Ordering::Relaxed);
    assert_eq!(is_early(&edge.decide(&push)), (true, true));
}

#[test]
fn a_raised_limit_holds_after_denied_pushes() {
    let clock = Arc::new(AtomicI64::new(NOW));
    let mut edge = Edge::new(Mode::Enforce, "ingestion_rate: 0.001, ingestion_burst_size: 7", &clock);
    let push = body(7, 0);
    let allows = |edge: &Edge| edge.decide(&push).decision.is_ok();
    assert_eq!([allows(&edge), allows(&edge)], [true, false]);
    edge.set("ingestion_rate: 100, ingestion_burst_size: 1000");
    let denied = edge.decide(&push);
    assert!(denied.decision.is_err() && denied.counts.is_enough, "it has earned nothing yet: {denied:?}");
    clock.fetch_add(80, Ordering::Relaxed);
    assert!(allows(&edge), "eight tokens by the new rate");
}

#[test]
fn a_push_that_is_unclear_after_its_denial_is_denied() {
    let limits = "creation_grace_period: 1m, ingestion_rate: 0.001, ingestion_burst_size: 10000";
    let clock = Arc::new(AtomicI64::new(NOW));
    let [early, whole] = [Mode::Enforce, Mode::Shadow].map(|mode| Edge::new(mode, limits, &clock));
    let full = body(10_000, 0);
    assert!(early.decide(&full).decision.is_ok() && whole.decide(&full).decision.is_ok());
    // Valid by another clock.
    let marginal = Series::sample(&[("__name__", "m")], 1.0, NOW + 61_000);
    let series = [Series::sample(&[("__name__", "m")], 1.0, NOW), marginal];
    let push = push(Protocol::V1, encode_push(Protocol::V1, &series, &[]).unwrap());
    assert_eq!((early.decide(&push).reason(), whole.decide(&push).reason()), ("ingestion_rate", "not_metered"));
}
