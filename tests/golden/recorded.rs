//! The recorded cases on virtual time: for each push that a real Mimir answered, what the edge answers. Tests of the pipeline and of its shell include
//! this file.
//!
//! What Envoy decides, methods and paths, is not here; nor is Mimir behind the edge, so a push that is to be forwarded has to be allowed.
//! `tests/e2e` plays the same cases through Envoy.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use edge::{BodyPolicy, Clock, ControlWriter, DecodePool, HaTracker, Pipeline, Policy};
use limits::{EdgeConfig, LimitsState, Snapshot, SourceDocument, TenantLimits};
use remote_write::BodyLimits;
use serde_json::Value as Json;

/// Later than every recorded sample time but those of the year 2100.
const STARTED_AT: i64 = 1_800_000_000_000;
/// A push takes some time, in which a bucket of a million requests a second is full again.
const STEP_MILLIS: i64 = 1;

const COMPARED: [&str; 4] = [
    "content-type",
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// Status, headers and body that a client of the edge would see; `None` where the push goes to Mimir.
pub(crate) type Denial = Option<(i64, Vec<(String, String)>, String)>;

fn overrides() -> Arc<Snapshot> {
    let text = include_str!("runtime.yaml");
    LimitsState::new(TenantLimits::default(), false)
        .apply(&[SourceDocument::new("runtime.yaml", text)])
        .snapshot
        .unwrap()
}

fn pipeline(limits: Arc<Snapshot>, clock: Clock) -> Pipeline {
    let bodies = BodyPolicy {
        decode: true,
        max_request_bytes: 16 << 20,
        limits: BodyLimits { max_decoded_bytes: 100 << 20 },
        forward_unreadable: false,
    };
    let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
    writer.put_limits_compiled(limits);
    let pool = DecodePool::start(bodies.limits, None, &tasks::Tasks::default()).unwrap();
    Pipeline::new(control, Policy { bodies, charge_items: true, ha_tracker: true }, Some(pool), clock)
}

/// The header lines of a recorded push, with names in lower case.
pub(crate) fn header_lines(step: &Json) -> Vec<(String, Bytes)> {
    // Recorded as Latin-1; HTTP takes no white space around it for a part of it.
    let byte = |char: char| u8::try_from(char).unwrap();
    let line = |name: &str, value: &Json| {
        let value: Bytes = value.as_str().unwrap().trim_matches([' ', '\t']).chars().map(byte).collect();
        (name.to_ascii_lowercase(), value)
    };
    let lines = step["headers"].as_object().unwrap().iter().flat_map(|(name, value)| match value.as_array() {
        Some(values) => values.iter().map(|value| line(name, value)).collect(),
        None => vec![line(name, value)],
    });
    lines.collect()
}

/// The body of a recorded push.
pub(crate) fn body(step: &Json) -> Bytes {
    STANDARD.decode(step["body"].as_str().unwrap()).unwrap().into()
}

/// Why the edge's answer is not the one that `step` asks for.
fn difference(step: &Json, given: &Denial) -> Option<String> {
    let Json::Object(wanted) = &step["response"] else { unreachable!("a step has a response") };
    let (status, body) = (wanted["status"].as_i64().unwrap(), wanted["body"].as_str().unwrap());
    match (step["edge"].as_str().unwrap(), given) {
        ("any", _) | ("forward" | "either", None) => None,
        ("refuse", None) => Some(format!("forwarded, Mimir {status}")),
        ("forward", Some(given)) => Some(format!("denied: {given:?}")),
        ("either", Some((given, ..))) if *given == status && !body.contains("err-mimir-") => None,
        (_, Some((given_status, headers, given_body))) => {
            let given = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let same_headers = COMPARED.iter().all(|name| given(name) == wanted["headers"][name].as_str());
            let retry = wanted["headers"]["retry-after"].is_null() == given("retry-after").is_none();
            let same = *given_status == status && given_body == body && same_headers && retry;
            (!same).then(|| format!("{given_status} {headers:?} {given_body:?}, Mimir {wanted:?}"))
        }
        (rule, None) => unreachable!("rule {rule}"),
    }
}

/// Plays all recorded pushes, of which `answer` gives the edge's answer by a pipeline, and compares the answers with Mimir's.
pub(crate) async fn check(answer: impl AsyncFn(&Pipeline, &Json) -> Denial) {
    let limits = overrides();
    let (mut played, mut differences) = (0, Vec::new());
    for line in include_str!("cases.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let time = Arc::new(AtomicI64::new(STARTED_AT));
        let pipeline = pipeline(Arc::clone(&limits), Clock::standing(Arc::clone(&time)));
        for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            time.fetch_add(step["wait_ms"].as_i64().unwrap() + STEP_MILLIS, Ordering::Relaxed);
            if step["method"] != "POST" || step["path"] != "/api/v1/push" {
                continue;
            }
            let given = answer(&pipeline, step).await;
            played += 1;
            differences.extend(difference(step, &given).map(|why| format!("{} step {index}: {why}", case["case"])));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(played >= 583, "only {played} pushes were played");
}
