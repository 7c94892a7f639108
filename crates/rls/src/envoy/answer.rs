//! From a verdict to Envoy's `CheckResponse`: either nothing, or exactly the answer that Mimir gives.

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

/// Where Envoy's ratelimit filter finds what a push costs, under the name of the ext_authz filter.
const COST_METADATA: &str = "samples_str";
/// Where it finds what to send back if Mimir does not take the push.
const RECEIPT_METADATA: &str = "charge";
/// The most hits that Envoy puts into one descriptor.
const MOST_HITS: u64 = 1_000_000_000;

/// `PERMISSION_DENIED`; Envoy only looks whether it is 0, the client sees the HTTP status.
const DENIED: i32 = 7;

/// The response to a Check of a push that came with `Retry-Attempt: retry_attempt`; `random` in `[0, 1)` spreads the clients' retries as Mimir does.
///
/// `receipt` is what the push was charged, and goes with it if it goes on.
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

/// What the ratelimit filter reads as the push's cost. A text, because Envoy prints a number such as 100000 as `1e+05`, which is no cost; and
/// never above [`MOST_HITS`], because Envoy drops a larger one together with the call.
fn cost(items: u64) -> String {
    items.min(MOST_HITS).to_string()
}

/// What Envoy keeps beside the push, and no client sees.
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

/// An answer's headers as Envoy takes them.
pub(super) fn header_values(headers: Vec<(&'static str, String)>) -> impl Iterator<Item = HeaderValue> {
    let value = |(key, value): (&str, String)| HeaderValue {
        key: key.to_owned(),
        value: Bytes::from(value),
        raw_value: Bytes::new(),
    };
    headers.into_iter().map(value)
}
