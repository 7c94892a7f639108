//! What a push sees of the control state when the state is replaced while the body of the push waits to be decoded.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use enforce::DenyReason;
use limits::{EdgeConfigState, LimitsState, Mode, SourceDocument, TenantLimits};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use tasks::Tasks;

use super::*;
use crate::control::{ControlWriter, HaTracker};
use crate::push::{PushBody, TenantHeader};

const BODIES: BodyPolicy = BodyPolicy {
    decode: true,
    max_request_bytes: 16 << 20,
    limits: BodyLimits { max_decoded_bytes: 16 << 20 },
    forward_unreadable: false,
};
/// Series in a push, with one sample each: over the burst and over the limit of the first state.
const SERIES: usize = 1_200;

/// Replaces the limits and the edge config.
fn put(writer: &mut ControlWriter, overrides: &str, edge: &str) {
    let limits =
        LimitsState::new(TenantLimits::default(), false).apply(&[SourceDocument::new("runtime.yaml", overrides)]);
    let edge = EdgeConfigState::new().apply("edge.yaml", edge);
    assert!(limits.problems.is_empty() && edge.problems.is_empty(), "{:?} {:?}", limits.problems, edge.problems);
    writer.put_limits_compiled(limits.snapshot.unwrap());
    writer.put_edge_config(edge.config);
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
    let (mut writer, control) = ControlWriter::new(Arc::default(), HaTracker::default());
    let overrides = "overrides: { small-burst: { ingestion_rate: 1, ingestion_burst_size: 10 } }";
    put(&mut writer, overrides, "tenants: { few-series: { edge_limits: { max_series_per_request: 5 } } }");
    let policy = Policy { bodies: BODIES, charge_items: true, ha_tracker: true };
    let pool = DecodePool::without_threads(BODIES.limits, 1);
    let pipeline = Pipeline::new(control, policy, Some(pool), Clock::start());

    let pushes = ["small-burst", "few-series"].map(large_push);
    let mut begun = pushes.each_ref().map(|push| Box::pin(pipeline.decide(push)));
    assert!(begun.iter_mut().all(|deciding| is_pending(deciding.as_mut())), "no thread decodes their bodies yet");
    put(
        &mut writer,
        "overrides: { few-series: { ingestion_rate: 1e6, ingestion_burst_size: 1000000 } }",
        "mode: shadow",
    );
    pipeline.pool.as_ref().unwrap().start_thread(0, &Tasks::default()).unwrap();

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
