//! The recorded cases without a shell: a push in, its answer out, with bodies decoded by the pool and by the thread of the call.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use edge::{Push, PushBody, Verdict};
use serde_json::Value as Json;

#[path = "../../../tests/golden/recorded.rs"]
mod recorded_cases;

use recorded_cases::Denial;

fn push(step: &Json) -> Push {
    let lines = recorded_cases::header_lines(step);
    let values = |name| lines.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.clone());
    Push::from_headers(values, None, PushBody::Whole(recorded_cases::body(step)))
}

fn denial(verdict: &Verdict, push: &Push) -> Denial {
    let answer = verdict.answer(push.retry_attempt, 0.5)?;
    let headers = answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some((answer.status.into(), headers, answer.body))
}

#[tokio::test]
async fn the_pipeline_decides_as_a_recorded_mimir_did() {
    let answer = async |pipeline: &edge::Pipeline, step: &Json| {
        let push = push(step);
        denial(&pipeline.decide(&push).await.unwrap(), &push)
    };
    recorded_cases::check(answer).await;
}

#[tokio::test]
async fn without_the_pool_it_decides_the_same() {
    let answer = async |pipeline: &edge::Pipeline, step: &Json| {
        let push = push(step);
        denial(&pipeline.decide_here(&push).unwrap(), &push)
    };
    recorded_cases::check(answer).await;
}
