//! From a verdict to Envoy's `CheckResponse`: either nothing, or exactly the answer that Mimir gives.

use bytes::Bytes;
use enforce::{Decision, Denial, retry_after_seconds};
use limits::Mode;
use proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use proto::envoy::r#type::v3::HttpStatus;
use proto::google::rpc::Status;
use proto::well_known::value::Kind;
use proto::well_known::{Struct, Value};
use remote_write::{Protocol, PushCounts};

use crate::decide::Verdict;

/// Where Envoy's ratelimit filter finds what a push costs, under the name of the ext_authz filter.
const COST_METADATA: &str = "samples_str";
/// Where it finds what to send back if Mimir does not take the push.
const RECEIPT_METADATA: &str = "charge";
/// The most hits that Envoy puts into one descriptor.
const MOST_HITS: u64 = 1_000_000_000;

/// Names the limit that refused a push, beside Mimir's own headers.
const REASON_HEADER: &str = "x-mimir-edge-reason";

const RETRY_AFTER: &str = "retry-after";

/// `PERMISSION_DENIED`; Envoy only looks whether it is 0, the client sees the HTTP status.
const REFUSED: i32 = 7;

/// The answer to a push that came with `Retry-Attempt: retry_attempt`; `random` in `[0, 1)` spreads the clients' retries as Mimir does.
///
/// `receipt` is what the push was charged, and goes with it if it goes on.
pub(crate) fn answer(verdict: &Verdict, receipt: Option<String>, retry_attempt: u32, random: f64) -> CheckResponse {
    match (&verdict.decision, verdict.mode) {
        (Decision::Deny(denial), Mode::Enforce) => refuse(denial, verdict, retry_attempt, random),
        (Decision::Deny(_), Mode::Shadow | Mode::Off) | (Decision::Allow, _) => CheckResponse {
            status: Some(Status { code: 0, message: String::new() }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {})),
            dynamic_metadata: metadata(verdict.items_left_to_charge().map(cost), receipt),
        },
    }
}

/// What the ratelimit filter reads as the push's cost. A text, because Envoy prints a number such as 100000 as `1e+05`, which is no cost; and
/// never above [`MOST_HITS`], because Envoy drops a larger one together with the question.
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

fn refuse(denial: &Denial, verdict: &Verdict, retry_attempt: u32, random: f64) -> CheckResponse {
    let mut headers = denial_headers(denial, retry_attempt, random);
    if verdict.protocol == Some(Protocol::V2) {
        headers.extend(written_counters(&verdict.counts));
    }
    let (mut code, mut body) = (denial.status(), denial_body(denial));
    if let Some(fault) = &verdict.content_type_fault {
        // Mimir has sent its head by the time it finds that it refuses the push as well.
        code = 400;
        headers.retain(|header| header.key != RETRY_AFTER);
        body = format!("{fault}\n{body}");
    }
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(code) }),
        headers: headers.into_iter().map(|header| HeaderValueOption { header: Some(header) }).collect(),
        body,
    };
    CheckResponse {
        status: Some(Status { code: REFUSED, message: denial.reason().as_str().to_owned() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        dynamic_metadata: None,
    }
}

/// The headers of every refusal, whichever call it answers.
pub(super) fn denial_headers(denial: &Denial, retry_attempt: u32, random: f64) -> Vec<HeaderValue> {
    let mut headers = vec![
        header("content-type", "text/plain; charset=utf-8"),
        header("x-content-type-options", "nosniff"),
        header(REASON_HEADER, denial.reason().as_str()),
    ];
    if denial.retryable() {
        headers.push(header(RETRY_AFTER, &retry_after_seconds(retry_attempt, random).to_string()));
    }
    headers
}

/// The text of a refusal as Mimir sends it.
pub(super) fn denial_body(denial: &Denial) -> String {
    format!("{}\n", denial.message())
}

/// Remote write 2.0 counters, which Mimir also sends with a refusal: what the push held, or zeros when it was not read.
fn written_counters(counts: &PushCounts) -> [HeaderValue; 3] {
    [("samples", counts.sent.samples), ("histograms", counts.sent.histograms), ("exemplars", counts.sent.exemplars)]
        .map(|(what, count)| header(&format!("x-prometheus-remote-write-{what}-written"), &count.to_string()))
}

fn header(key: &str, value: &str) -> HeaderValue {
    HeaderValue { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()), raw_value: Bytes::new() }
}
