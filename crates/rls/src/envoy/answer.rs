//! From a verdict to Envoy's `CheckResponse`: OK, or exactly Mimir's answer.

use bytes::Bytes;
use edge::{Answer, Outcome};
use proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use proto::envoy::r#type::v3::HttpStatus;
use proto::google::rpc::Status;
use proto::well_known::value::Kind;
use proto::well_known::{Struct, Value};

/// The dynamic metadata key of a push's cost, for Envoy's ratelimit filter; under the name of the ext_authz filter.
const COST_METADATA: &str = "samples_str";
/// The dynamic metadata key of the receipt, which Envoy sends back if Mimir does not take the push.
const RECEIPT_METADATA: &str = "charge";
/// The most hits that Envoy accepts in one descriptor.
const MAX_HITS: u64 = 1_000_000_000;

/// `PERMISSION_DENIED`; Envoy only checks whether it is 0, the client sees the HTTP status.
const DENIED: i32 = 7;

/// The response to a Check.
pub(crate) fn check_response(Outcome { verdict, answer, receipt }: Outcome) -> CheckResponse {
    match answer {
        Some(answer) => denied(verdict.reason(), answer),
        None => CheckResponse {
            status: Some(Status { code: 0, message: String::new() }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {})),
            dynamic_metadata: metadata(verdict.items_left_to_charge().map(cost), receipt),
        },
    }
}

/// A push's cost as the ratelimit filter reads it: text, because Envoy prints the number 100000 as `1e+05`; and at most [`MAX_HITS`], because Envoy
/// drops the whole call for more.
fn cost(items: u64) -> String {
    items.min(MAX_HITS).to_string()
}

/// Dynamic metadata, which stays in Envoy.
pub(super) fn metadata(cost: Option<String>, receipt: Option<String>) -> Option<Struct> {
    let text =
        |(key, text): (&str, Option<String>)| Some((key.to_owned(), Value { kind: Some(Kind::StringValue(text?)) }));
    let given = cost.is_some() || receipt.is_some();
    let fields = || [(COST_METADATA, cost), (RECEIPT_METADATA, receipt)].into_iter().filter_map(text).collect();
    given.then(|| Struct { fields: fields() })
}

fn denied(reason: &str, answer: Answer) -> CheckResponse {
    let headers = header_values(answer.headers);
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: answer.status.into() }),
        headers: headers.map(|header| HeaderValueOption { header: Some(header) }).collect(),
        body: answer.body,
    };
    CheckResponse {
        status: Some(Status { code: DENIED, message: reason.to_owned() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        dynamic_metadata: None,
    }
}

/// An answer's headers in Envoy's type.
pub(super) fn header_values(headers: Vec<(&'static str, String)>) -> impl Iterator<Item = HeaderValue> {
    let value = |(key, value): (&str, String)| HeaderValue {
        key: key.to_owned(),
        value: Bytes::from(value),
        raw_value: Bytes::new(),
    };
    headers.into_iter().map(value)
}
