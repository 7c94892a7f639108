//! The recorded cases on virtual time: for each push that a real Mimir answered, what the edge says.
//!
//! What Envoy decides, methods and paths, is not here; nor is Mimir behind the edge, so a push that is to be forwarded has to be allowed.
//! `tests/e2e` plays the same cases through Envoy.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use edge::{BodyPolicy, Clock, ControlWriter, DecodePool, HaTracker, Outcome, Pipeline, Policy};
use limits::{EdgeConfig, LimitsState, Snapshot, SourceDocument, TenantLimits};
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use remote_write::BodyLimits;
use serde_json::Value as Json;

use super::answer::check_response;
use super::request::push_from;

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

/// What a client of the edge would see; `None` where the push goes to Mimir.
type Denial = Option<(i64, Vec<(String, String)>, String)>;

fn overrides() -> Arc<Snapshot> {
    let text = include_str!("../../../../tests/golden/runtime.yaml");
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
    let pool = DecodePool::start(bodies.limits, None).unwrap();
    Pipeline::new(control, Policy { bodies, charge_items: true, ha_tracker: true }, Some(pool), clock)
}

/// The Check that Envoy sends about a recorded push.
fn check_request(step: &Json) -> CheckRequest {
    let line = |name: &str, value: &Json| HeaderValue {
        key: name.to_ascii_lowercase(),
        value: Bytes::new(),
        // Recorded as Latin-1; HTTP takes no white space around it for a part of it.
        raw_value: value
            .as_str()
            .unwrap()
            .trim_matches([' ', '\t'])
            .chars()
            .map(|char| u8::try_from(char).unwrap())
            .collect(),
    };
    let headers = step["headers"].as_object().unwrap().iter().flat_map(|(name, value)| match value.as_array() {
        Some(values) => values.iter().map(|value| line(name, value)).collect(),
        None => vec![line(name, value)],
    });
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers: headers.collect() }),
        raw_body: STANDARD.decode(step["body"].as_str().unwrap()).unwrap().into(),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext { request: Some(Request { http: Some(http) }), ..AttributeContext::default() };
    CheckRequest { attributes: Some(attributes) }
}

fn denial(response: CheckResponse) -> Denial {
    match response.http_response.unwrap() {
        HttpResponse::OkResponse(_) => None,
        HttpResponse::DeniedResponse(denied) => {
            let text = |header: HeaderValue| (header.key, String::from_utf8(header.value.to_vec()).unwrap());
            let headers = denied.headers.into_iter().filter_map(|option| option.header).map(text).collect();
            Some((denied.status.unwrap().code.into(), headers, denied.body))
        }
    }
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

#[tokio::test]
async fn the_edge_decides_as_a_recorded_mimir_did() {
    let limits = overrides();
    let (mut played, mut differences) = (0, Vec::new());
    for line in include_str!("../../../../tests/golden/cases.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let time = Arc::new(AtomicI64::new(STARTED_AT));
        let pipeline = pipeline(Arc::clone(&limits), Clock::standing(Arc::clone(&time)));
        for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            time.fetch_add(step["wait_ms"].as_i64().unwrap() + STEP_MILLIS, Ordering::Relaxed);
            if step["method"] != "POST" || step["path"] != "/api/v1/push" {
                continue;
            }
            let push = push_from(check_request(step), None);
            let verdict = pipeline.decide(&push).await.unwrap();
            let answer = verdict.answer(push.retry_attempt, 0.5);
            let given = denial(check_response(Outcome { verdict, answer, receipt: None }));
            played += 1;
            differences.extend(difference(step, &given).map(|why| format!("{} step {index}: {why}", case["case"])));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(played >= 583, "only {played} pushes were played");
}
