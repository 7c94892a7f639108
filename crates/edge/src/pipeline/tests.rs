//! What a push sees of the control state when the state is replaced while the body of the push waits to be decoded.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use enforce::DenyReason;
use limits::{EdgeConfigState, LimitsState, Mode, Snapshot, SourceDocument, TenantLimits};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use tasks::Tasks;

use super::*;
use crate::control::ControlWriter;
use crate::decode::DECODED_WITHIN;
use crate::outcome::AllowReason;
use crate::policy::BodyPolicy;
use crate::push::{PushBody, TenantHeader};

/// Series in a push, with one sample each: over the burst and over the limit of the first state.
const SERIES: usize = 1_200;

/// A pipeline by these overrides, whose pool has no thread yet.
fn pipeline(overrides: &str) -> (Pipeline, ControlWriter) {
    let (pipeline, writer) = Pipeline::by_limits(snapshot(overrides), Clock::start());
    (pipeline.with_pool(DecodePool::without_threads(BodyPolicy::OF_TESTS.limits, 1)), writer)
}

fn snapshot(overrides: &str) -> Arc<Snapshot> {
    let limits =
        LimitsState::new(TenantLimits::default(), false).apply(&[SourceDocument::new("runtime.yaml", overrides)]);
    assert!(limits.problems.is_empty(), "{:?}", limits.problems);
    limits.snapshot.unwrap()
}

fn put_edge_config(writer: &mut ControlWriter, document: &str) {
    let edge = EdgeConfigState::new().apply("edge.yaml", document);
    assert!(edge.problems.is_empty(), "{:?}", edge.problems);
    writer.put_edge_config(edge.config);
}

fn start_thread(pipeline: &Pipeline) {
    pipeline.pool.as_ref().unwrap().start_thread(0, &Tasks::default()).unwrap();
}

/// A push whose decompressed body is too large to be decoded in place.
fn large_push(tenant: &'static str) -> Push {
    let series =
        |number| Series::sample(&[("__name__", &format!("m{number}")), ("padding", &"x".repeat(1_000))], 1.0, 0);
    let series: Vec<_> = (0..SERIES).map(series).collect();
    Push {
        tenant: TenantHeader::Once(Bytes::from_static(tenant.as_bytes())),
        content_type: None,
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(encode_push(Protocol::V1, &series, &[]).unwrap().into()),
    }
}

fn is_pending(deciding: Pin<&mut impl Future>) -> bool {
    deciding.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn a_push_sees_one_control_state_to_its_end() {
    let overrides = "overrides: { small-burst: { ingestion_rate: 1, ingestion_burst_size: 10 } }";
    let (pipeline, mut writer) = pipeline(overrides);
    put_edge_config(&mut writer, "tenants: { few-series: { edge_limits: { max_series_per_request: 5 } } }");

    let pushes = ["small-burst", "few-series"].map(large_push);
    let mut begun = pushes.each_ref().map(|push| Box::pin(pipeline.decide(push)));
    assert!(begun.iter_mut().all(|deciding| is_pending(deciding.as_mut())), "no thread decodes their bodies yet");
    let overrides = "overrides: { few-series: { ingestion_rate: 1e6, ingestion_burst_size: 1000000 } }";
    writer.put_limits_compiled(snapshot(overrides));
    put_edge_config(&mut writer, "mode: shadow");
    start_thread(&pipeline);

    let [small_burst, few_series] = begun;
    let denied = small_burst.await.unwrap();
    let denial = denied.denial().unwrap();
    assert_eq!((denial.reason(), denied.mode, denied.has_override), (DenyReason::IngestionBurst, Mode::Enforce, true));
    assert!(denial.message().contains("set to 10, with 1200 items"), "{}", denial.message());
    let denied = few_series.await.unwrap();
    let denial = denied.denial().unwrap();
    let expected = (DenyReason::EdgeMaxSeriesPerRequest, Mode::Enforce, false);
    assert_eq!((denial.reason(), denied.mode, denied.has_override), expected);
    assert!(denial.message().contains("up to 5 series"), "{}", denial.message());

    // Pushes that begin now see the new state.
    let few_series = pipeline.decide(&pushes[1]).await.unwrap();
    assert_eq!(
        (few_series.decision, few_series.mode, few_series.has_override),
        (Ok(AllowReason::WithinLimits), Mode::Shadow, true)
    );
    let small_burst = pipeline.decide(&pushes[0]).await.unwrap();
    assert_eq!((small_burst.mode, small_burst.has_override), (Mode::Shadow, false));
}

const BURST: u64 = 100_000;

/// A pipeline that has charged its tenant "t" all tokens.
fn charged() -> Pipeline {
    let (pipeline, _) = pipeline("overrides: { t: { ingestion_rate: 0.001, ingestion_burst_size: 100000 } }");
    let all = pipeline.charge_hits(&pipeline.control(), &tenant(), Hits::Items(BURST));
    assert_eq!(all.unwrap().decision, Ok(AllowReason::WithinLimits));
    pipeline
}

fn tenant() -> Tenant<'static> {
    Tenant::parse(Some(b"t")).unwrap()
}

#[tokio::test]
async fn tokens_refunded_while_a_push_waits_allow_it() {
    let (pipeline, push) = (charged(), large_push("t"));
    let mut deciding = Box::pin(pipeline.decide(&push));
    assert!(is_pending(deciding.as_mut()), "no thread decodes its body yet");
    let receipt = pipeline.receipt(&tenant(), Charged { requests: 0, items: BURST }).unwrap();
    assert!(pipeline.refund(receipt.as_bytes(), b"no_answer").refunded.is_some());
    start_thread(&pipeline);
    let verdict = deciding.await.unwrap();
    assert_eq!((verdict.decision, verdict.charged.items), (Ok(AllowReason::WithinLimits), SERIES as u64));
    assert!(!verdict.counts.is_enough);
}

#[tokio::test]
async fn a_push_that_waited_is_validated_whole() {
    let (pipeline, push) = (charged(), large_push("t"));
    let mut deciding = Box::pin(pipeline.decide(&push));
    assert!(is_pending(deciding.as_mut()), "no thread decodes its body yet");
    let begun = Instant::now();
    while begun.elapsed() < DECODED_WITHIN {
        std::thread::yield_now();
    }
    start_thread(&pipeline);
    let denied = deciding.await.unwrap();
    assert_eq!((denied.reason(), denied.counts.is_enough), ("ingestion_rate", false));
}
