//! From a verdict to Envoy's `CheckResponse`: OK, or exactly Mimir's answer.

use bytes::Bytes;
use edge::{Answer, Verdict};
use enforce::Denial;
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

/// The response to the Check of a push with `Retry-Attempt: retry_attempt`; `random` in `[0, 1)` spreads the clients' retries as Mimir does.
///
/// `receipt` goes with a push that goes on.
pub(crate) fn check_response(
    verdict: &Verdict,
    receipt: Option<String>,
    retry_attempt: u32,
    random: f64,
) -> CheckResponse {
    let (Some(denial), Some(answer)) = (verdict.denial_to_send(), verdict.answer(retry_attempt, random)) else {
        return CheckResponse {
            status: Some(Status { code: 0, message: String::new() }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {})),
            dynamic_metadata: metadata(verdict.items_left_to_charge().map(cost), receipt),
        };
    };
    denied(denial, answer)
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

fn denied(denial: &Denial, answer: Answer) -> CheckResponse {
    let headers = header_values(answer.headers);
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: answer.status.into() }),
        headers: headers.map(|header| HeaderValueOption { header: Some(header) }).collect(),
        body: answer.body,
    };
    CheckResponse {
        status: Some(Status { code: DENIED, message: denial.reason().as_str().to_owned() }),
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
