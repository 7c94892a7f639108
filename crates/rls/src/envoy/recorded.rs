//! The recorded cases through Envoy's messages: a Check in, a `CheckResponse` out.

use bytes::Bytes;
use edge::Outcome;
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use serde_json::Value as Json;

use super::answer::check_response;
use super::request::push_from;

#[path = "../../../../tests/golden/recorded.rs"]
mod recorded_cases;

use recorded_cases::Denial;

/// The Check that Envoy sends about a recorded push.
fn check_request(step: &Json) -> CheckRequest {
    let header = |(key, raw_value)| HeaderValue { key, value: Bytes::new(), raw_value };
    let headers = recorded_cases::header_lines(step).into_iter().map(header).collect();
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers }),
        raw_body: recorded_cases::body(step),
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

#[tokio::test]
async fn the_edge_decides_as_a_recorded_mimir_did() {
    let answer = async |pipeline: &edge::Pipeline, step: &Json| {
        let push = push_from(check_request(step), None);
        let verdict = pipeline.decide(&push).await.unwrap();
        let answer = verdict.answer(push.retry_attempt, 0.5);
        denial(check_response(Outcome { verdict, answer, receipt: None }))
    };
    recorded_cases::check(answer).await;
}
