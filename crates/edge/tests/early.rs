//! A push whose validation ends early gets the answer of one that is validated whole: in mode shadow all of it is validated.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge::{BodyPolicy, Clock, ControlWriter, DecodePool, Pipeline, Push, PushBody, TenantHeader, Verdict};
use limits::{EdgeConfig, EdgeLimits, EdgePolicy, LimitsState, Mode, Snapshot, SourceDocument, Tenant, TenantLimits};
use proptest::prelude::*;
use remote_write::encode::{
    Count, Exemplar, Histogram, MetricKind, Series, SeriesMetadata, content_type_header, encode_push,
};
use remote_write::{Protocol, PushCounts};
use tasks::Tasks;

const NOW: i64 = 1_800_000_000_000;
/// Spellings of one tenant: the first two share an ingestion bucket, the others have their own.
const SPELLINGS: [&str; 4] = ["t", "t|t", "t:k=v", "t:k=w"];

/// A pipeline, and what changes its control state.
struct Edge {
    pipeline: Pipeline,
    limits: LimitsState,
    writer: ControlWriter,
    mode: Mode,
    /// Of the pushes that were allowed and not refunded.
    receipts: Vec<String>,
}

impl Edge {
    /// In mode enforce validation may end early; in mode shadow it does not, and the verdicts are the same.
    fn new(mode: Mode, limits: &str, clock: &Arc<AtomicI64>) -> Self {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        let snapshot = snapshot_of(&mut state, limits);
        let (pipeline, writer) = Pipeline::by_limits(snapshot, Clock::standing(Arc::clone(clock)));
        let mut edge = Self { pipeline, limits: state, writer, mode, receipts: Vec::new() };
        edge.set_most_series(None);
        edge
    }

    /// The same, whose large bodies are decoded by threads.
    fn with_pool(self) -> Self {
        let pool = DecodePool::start(BodyPolicy::OF_TESTS.limits, None, &Tasks::default()).unwrap();
        Self { pipeline: self.pipeline.with_pool(pool), ..self }
    }

    fn set(&mut self, limits: &str) {
        let snapshot = snapshot_of(&mut self.limits, limits);
        self.writer.put_limits_compiled(snapshot);
    }

    /// Sets the edge's limit on series.
    fn set_most_series(&mut self, max_series_per_request: Option<u64>) {
        let limits = EdgeLimits { max_series_per_request, ..EdgeLimits::default() };
        let policy = EdgePolicy { mode: self.mode, limits };
        self.writer.put_edge_config(Arc::new(EdgeConfig::for_everybody(policy)));
    }

    fn decide(&self, push: &Push) -> Verdict {
        self.pipeline.decide_here(push).unwrap()
    }

    /// Decides, and keeps the receipt of what is allowed.
    fn forward(&mut self, push: &Push, spelling: &str) -> Verdict {
        let verdict = self.decide(push);
        let charged = Some(verdict.charged).filter(|_| verdict.decision.is_ok());
        let tenant = Tenant::parse(Some(spelling.as_bytes())).unwrap();
        self.receipts.extend(charged.and_then(|charged| self.pipeline.receipt(&tenant, charged)));
        verdict
    }

    /// Refunds the last push that was allowed.
    fn refund(&mut self) {
        if let Some(receipt) = self.receipts.pop() {
            assert!(self.pipeline.refund(receipt.as_bytes(), b"no_answer").refunded.is_some());
        }
    }
}

/// These limits for each spelling.
fn snapshot_of(state: &mut LimitsState, limits: &str) -> Arc<Snapshot> {
    let own = SPELLINGS.iter().filter(|spelling| !spelling.contains('|'));
    let own = own.map(|spelling| format!("  \"{spelling}\": {{ max_global_exemplars_per_user: 9, {limits} }}\n"));
    let text = format!("overrides:\n{}", own.collect::<String>());
    let applied = state.apply(&[SourceDocument::new("runtime.yaml", &text)]);
    assert!(applied.problems.is_empty(), "{:?}", applied.problems);
    applied.snapshot.unwrap()
}

fn push(protocol: Protocol, body: impl Into<Bytes>) -> Push {
    push_of(SPELLINGS[0], protocol, body)
}

fn push_of(spelling: &'static str, protocol: Protocol, body: impl Into<Bytes>) -> Push {
    Push {
        tenant: TenantHeader::Once(Bytes::from_static(spelling.as_bytes())),
        content_type: Some(Bytes::from_static(content_type_header(protocol).as_bytes())),
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(body.into()),
    }
}

/// A push that the caller counted, and that is never validated.
fn counted(samples: u64) -> Push {
    let body = PushBody::Counted(PushCounts { samples, ..PushCounts::default() });
    Push { body, ..push(Protocol::V1, Bytes::new()) }
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
    let histograms = prop::collection::vec(any_histogram(), 0..3);
    (name, prop::collection::vec((label, "[a-c]?"), 0..4), times, histograms, 0..3_usize, any::<bool>()).prop_map(
        |(name, labels, times, histograms, exemplars, has_metadata)| {
            let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value));
            let about = SeriesMetadata { kind: MetricKind::Counter, ..SeriesMetadata::default() };
            let exemplar = Exemplar { labels: vec![("id".to_owned(), "x".to_owned())], value: 1.0, timestamp_ms: NOW };
            Series {
                labels: std::iter::once(("__name__".to_owned(), name)).chain(labels).collect(),
                samples: times.into_iter().map(|time| (1.0, NOW + time)).collect(),
                histograms,
                exemplars: vec![exemplar; exemplars],
                metadata: has_metadata.then_some(about),
            }
        },
    )
}

/// A histogram, now and then with more observations than its buckets, or of a resolution that does not exist.
fn any_histogram() -> impl Strategy<Value = Histogram> {
    let schema = prop_oneof![6 => Just(1), 1 => Just(77)];
    (prop_oneof![6 => Just(1), 1 => Just(5_u64)], schema, -3..3_i64).prop_map(|(count, schema, time)| Histogram {
        count: Count::Integer(count),
        zero_count: Count::Integer(1),
        zero_threshold: 0.1,
        schema,
        timestamp_ms: NOW + time,
        ..Histogram::default()
    })
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

const LIMITS: [&str; 4] = [
    "ingestion_rate: 1, ingestion_burst_size: 20",
    "ingestion_rate: 1, ingestion_burst_size: 1000",
    "ingestion_rate: 0, ingestion_burst_size: 8",
    "ingestion_rate: 3, ingestion_burst_size: 40, drop_labels: [drop]",
];
const BODIES: usize = 8;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Push { is_v2: bool, body: usize, spelling: usize },
    Limits(usize),
    MostSeries(Option<u64>),
    Distributors(u32),
    Refund,
}

fn any_step() -> impl Strategy<Value = Step> {
    let push = (any::<bool>(), 0..BODIES, 0..SPELLINGS.len());
    let push = push.prop_map(|(is_v2, body, spelling)| Step::Push { is_v2, body, spelling });
    prop_oneof![
        16 => push,
        4 => (0..LIMITS.len()).prop_map(Step::Limits),
        2 => prop::option::of(0..12_u64).prop_map(Step::MostSeries),
        2 => (1..5_u32).prop_map(Step::Distributors),
        2 => Just(Step::Refund),
    ]
}

proptest! {
    #[test]
    fn an_early_denial_is_that_of_the_whole_push(
        steps in prop::collection::vec((any_step(), 0..3000_i64), 1..60),
        bodies in [Protocol::V1, Protocol::V2].map(|protocol| prop::collection::vec(any_body(protocol), BODIES)),
    ) {
        let clock = Arc::new(AtomicI64::new(NOW));
        let mut edges = [Mode::Enforce, Mode::Shadow].map(|mode| Edge::new(mode, LIMITS[0], &clock));
        for (step, pause) in steps {
            clock.fetch_add(pause, Ordering::Relaxed);
            let Step::Push { is_v2, body, spelling } = step else {
                edges.iter_mut().for_each(|edge| match step {
                    Step::Limits(place) => edge.set(LIMITS[place]),
                    Step::MostSeries(most) => edge.set_most_series(most),
                    Step::Distributors(count) => edge.writer.put_distributors(NonZeroU32::new(count).unwrap()),
                    Step::Refund | Step::Push { .. } => edge.refund(),
                });
                continue;
            };
            let protocol = if is_v2 { Protocol::V2 } else { Protocol::V1 };
            let push = push_of(SPELLINGS[spelling], protocol, bodies[usize::from(is_v2)][body].clone());
            let [early, whole] = edges.each_mut().map(|edge| edge.forward(&push, SPELLINGS[spelling]));
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
    let limits = "creation_grace_period: 1m, ingestion_rate: 0.001, ingestion_burst_size: 10000, \
                  label_value_length_over_limit_strategy: truncate, max_label_value_length: 80";
    let clock = Arc::new(AtomicI64::new(NOW));
    let [early, whole] = [Mode::Enforce, Mode::Shadow].map(|mode| Edge::new(mode, limits, &clock));
    let full = body(10_000, 0);
    assert!(early.decide(&full).decision.is_ok() && whole.decide(&full).decision.is_ok());
    // Valid by another clock, or in 2.0 once it is truncated.
    let marginal = Series::sample(&[("__name__", "m")], 1.0, NOW + 61_000);
    let long = Series::sample(&[("__name__", "m"), ("job", &"x".repeat(90))], 1.0, NOW);
    for (protocol, unclear) in [(Protocol::V1, marginal), (Protocol::V2, long)] {
        let series = [Series::sample(&[("__name__", "m")], 1.0, NOW), unclear];
        let push = push(protocol, encode_push(protocol, &series, &[]).unwrap());
        assert_eq!((early.decide(&push).reason(), whole.decide(&push).reason()), ("ingestion_rate", "not_metered"));
    }
}

#[test]
fn a_push_of_a_pair_is_validated_whole() {
    let limits = "accept_ha_samples: true, ingestion_rate: 0.001, ingestion_burst_size: 2";
    let edge = Edge::new(Mode::Enforce, limits, &Arc::new(NOW.into()));
    let series = |name: &str| Series::sample(&[("__name__", name), ("__replica__", "a"), ("cluster", "c")], 1.0, NOW);
    let push = push(Protocol::V1, encode_push(Protocol::V1, &[series("m"), series("")], &[]).unwrap());
    let verdicts = [0; 3].map(|_| edge.decide(&push));
    let counts = |verdict: &Verdict| (verdict.reason(), verdict.counts.samples, verdict.counts.is_enough);
    let allowed = ("within_limits", 1, false);
    assert_eq!(verdicts.each_ref().map(counts), [allowed, allowed, ("ingestion_rate", 1, false)]);
}

#[tokio::test]
async fn a_push_that_leaves_its_thread_is_denied_early() {
    let limits = "ingestion_rate: 0.001, ingestion_burst_size: 100000";
    let edge = Edge::new(Mode::Enforce, limits, &Arc::new(NOW.into())).with_pool();
    assert!(edge.decide(&counted(100_000)).decision.is_ok());
    let padding = "x".repeat(1_000);
    let series = |name| Series::sample(&[("__name__", &format!("m{name}")), ("padding", &padding)], 1.0, NOW);
    let series: Vec<Series> = (0..1_200).map(series).collect();
    let push = push(Protocol::V1, encode_push(Protocol::V1, &series, &[]).unwrap());
    let begun = Instant::now();
    loop {
        let denied = edge.pipeline.decide(&push).await.unwrap();
        assert_eq!((denied.reason(), denied.counts.samples), ("ingestion_rate", 1_200));
        // One that waited for a thread is validated whole.
        if denied.counts.is_enough {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no denial is early");
    }
}
