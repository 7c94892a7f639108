//! What deciding on a push costs, without gRPC around it: on the pushes that were recorded of a real Mimir, and on batches as Prometheus sends them.
//!
//! `cargo bench -p edge`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use edge::{Clock, Pipeline, Push, PushBody, TenantHeader};
use limits::{LimitsState, SourceDocument, TenantLimits};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use serde_json::Value as Json;

#[path = "../../remote-write/benches/batch/labels.rs"]
mod batch;

use batch::labels;

fn main() {
    let recorded = include_str!("../../../tests/golden/runtime.yaml");
    let pushes = recorded_pushes();
    let pipeline = pipeline(recorded);
    let denied = pushes.iter().filter(|push| is_denied(&pipeline, push)).count();
    println!("{} recorded pushes, {denied} of them denied at first: {} each", pushes.len(), each(&pipeline, &pushes));

    println!("a push of series with six labels and one sample each, by a tenant with tokens and by one without");
    for samples in [100, 2_000, 10_000] {
        let push = batch(samples);
        let limits = [("1e12", 1_000_000_000_000), ("0.001", samples.into()), ("0.001", 1)];
        let [allowed, by_rate, by_burst] = limits.map(|(rate, burst): (_, u64)| {
            let document = format!("overrides: {{bench: {{ingestion_rate: {rate}, ingestion_burst_size: {burst}}}}}");
            each(&self::pipeline(&document), std::slice::from_ref(&push))
        });
        println!("{samples:>7} samples: {allowed} allowed, {by_rate} denied by the rate, {by_burst} by the burst");
    }
}

fn pipeline(overrides: &str) -> Pipeline {
    let mut limits = LimitsState::new(TenantLimits::default(), false);
    let snapshot = limits.apply(&[SourceDocument::new("runtime.yaml", overrides)]).snapshot.unwrap();
    Pipeline::by_limits(snapshot, Clock::start()).0
}

/// The pushes that were recorded, as far as a header has one value.
fn recorded_pushes() -> Vec<Push> {
    let cases = include_str!("../../../tests/golden/cases.jsonl").lines();
    let cases: Vec<Json> = cases.map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = cases.iter().flat_map(|case| case["steps"].as_array().unwrap());
    let pushes = steps.filter(|step| step["method"] == "POST" && step["path"] == "/api/v1/push");
    pushes.map(push).collect()
}

fn push(step: &Json) -> Push {
    let header = |name: &str| {
        let headers = step["headers"].as_object().unwrap();
        let found = headers.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && value.is_string());
        found.map(|(_, value)| Bytes::copy_from_slice(value.as_str().unwrap().as_bytes()))
    };
    Push {
        tenant: header("x-scope-orgid").map_or(TenantHeader::Absent, TenantHeader::Once),
        content_type: header("content-type"),
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(STANDARD.decode(step["body"].as_str().unwrap()).unwrap().into()),
    }
}

fn batch(samples: u32) -> Push {
    let series: Vec<Series> = (0..samples).map(series).collect();
    Push {
        tenant: TenantHeader::Once(Bytes::from_static(b"bench")),
        content_type: None,
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(encode_push(Protocol::V1, &series, &[]).unwrap().into()),
    }
}

fn series(index: u32) -> Series {
    Series { labels: labels(index), samples: vec![(f64::from(index), 1_790_000_000_000)], ..Series::default() }
}

fn is_denied(pipeline: &Pipeline, push: &Push) -> bool {
    pipeline.decide_here(push).unwrap().decision.is_err()
}

/// What one of the pushes takes, answer included: the best of many rounds.
fn each(pipeline: &Pipeline, pushes: &[Push]) -> String {
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_secs(1) {
        let round = Instant::now();
        for push in pushes {
            let verdict = pipeline.decide_here(push).unwrap();
            black_box(verdict.answer(push.retry_attempt, 0.5));
        }
        best = best.min(round.elapsed());
    }
    let count = u32::try_from(pushes.len()).unwrap();
    format!("{:.1} µs", (best / count).as_secs_f64() * 1e6)
}
