//! Samples that are valid by one clock and not by another: Mimir gets a push later than the edge, so a sample just beyond the grace period here is
//! valid there a moment later. Such samples are charged.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use edge::{Clock, Pipeline, Push, PushBody, TenantHeader, Verdict};
use enforce::DenyReason;
use limits::{LimitsState, SourceDocument, TenantLimits};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

const NOW: i64 = 1_800_000_000_000;
const GRACE: i64 = 60_000;
/// The largest difference of the clocks that the edge expects, with the time that a push takes to Mimir.
const MARGIN: i64 = 10_000;

/// A pipeline whose clock stands, and its time.
struct Edge {
    pipeline: Pipeline,
    clock: Arc<AtomicI64>,
}

impl Edge {
    fn new() -> Self {
        let text = "overrides: { t: { creation_grace_period: 1m, past_grace_period: 1m, out_of_order_time_window: 0s, \
                    ingestion_rate: 1, ingestion_burst_size: 100 } }";
        let document = SourceDocument::new("runtime.yaml", text);
        let limits = LimitsState::new(TenantLimits::default(), false).apply(&[document]);
        assert!(limits.problems.is_empty(), "{:?}", limits.problems);
        let clock = Arc::new(AtomicI64::new(NOW));
        let (pipeline, _) = Pipeline::by_limits(limits.snapshot.unwrap(), Clock::standing(Arc::clone(&clock)));
        Self { pipeline, clock }
    }

    /// Decides a push of so many samples of one time.
    fn push(&self, samples: u16, time: i64) -> Verdict {
        let series = |index: u16| Series {
            labels: vec![("__name__".to_owned(), format!("m{index}"))],
            samples: vec![(1.0, time)],
            ..Series::default()
        };
        let series: Vec<_> = (0..samples).map(series).collect();
        let push = Push {
            tenant: TenantHeader::Once(Bytes::from_static(b"t")),
            content_type: None,
            retry_attempt: 0,
            skips_validation: false,
            body: PushBody::Whole(encode_push(Protocol::V1, &series, &[]).unwrap().into()),
        };
        self.pipeline.decide_here(&push).unwrap()
    }
}

#[track_caller]
fn check(time: i64, charged: u64, reason: &str, unmetered: Option<&str>) {
    let verdict = Edge::new().push(10, time);
    let why = verdict.unmetered.map(|(why, _)| why.as_str());
    assert_eq!((verdict.charged.items, verdict.reason(), why), (charged, reason, unmetered), "{}", time - NOW);
}

#[test]
fn samples_that_mimir_may_take_a_moment_later_are_charged() {
    check(NOW + GRACE, 10, "within_limits", None);
    check(NOW + GRACE + 1, 10, "within_limits", Some("clock_margin"));
    check(NOW + GRACE + MARGIN, 10, "within_limits", Some("clock_margin"));
    check(NOW + GRACE + MARGIN + 1, 0, "nothing_to_charge", None);
    check(NOW - GRACE, 10, "within_limits", None);
    check(NOW - GRACE - 1, 10, "within_limits", Some("clock_margin"));
    check(NOW - GRACE - MARGIN, 10, "within_limits", Some("clock_margin"));
    check(NOW - GRACE - MARGIN - 1, 0, "nothing_to_charge", None);
}

/// The bucket has 100 tokens. Beyond them Mimir decides, up to the bound of pushes that cannot be metered.
#[test]
fn samples_just_beyond_the_grace_period_drain_the_bucket() {
    let edge = Edge::new();
    for _ in 0..10 {
        assert_eq!(edge.push(10, NOW + GRACE + 5_000).charged.items, 10);
    }
    let metered = edge.push(10, NOW);
    assert_eq!(metered.denial().map(enforce::Denial::reason), Some(DenyReason::IngestionRate));
    let reasons: Vec<_> = (0..110).map(|_| edge.push(100, NOW + GRACE + 5_000).reason()).collect();
    let passed = reasons.iter().filter(|reason| **reason == "not_metered").count();
    assert_eq!(passed, 100, "{reasons:?}");
    assert_eq!(reasons.last(), Some(&"edge_unmetered"));

    // By Mimir's clock, five seconds later, the same samples are valid: the edge then charges them as any others.
    let later = Edge::new();
    later.clock.fetch_add(5_000, Ordering::Relaxed);
    let verdict = later.push(10, NOW + GRACE + 5_000);
    assert_eq!((verdict.charged.items, verdict.unmetered.is_none()), (10, true));
}
