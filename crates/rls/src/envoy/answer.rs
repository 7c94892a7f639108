//! From a verdict to Envoy's `CheckResponse`: either nothing, or exactly the answer that Mimir gives.

use bytes::Bytes;
use enforce::{Decision, Denial, retry_after_seconds};
use limits::Mode;
use proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use proto::envoy::r#type::v3::HttpStatus;
use proto::google::rpc::Status;
use remote_write::{Protocol, PushCounts};

use crate::decide::Verdict;

/// Names the limit that refused a push, beside Mimir's own headers.
const REASON_HEADER: &str = "x-mimir-edge-reason";

/// `PERMISSION_DENIED`; Envoy only looks whether it is 0, the client sees the HTTP status.
const REFUSED: i32 = 7;

/// The answer to a push that came with `Retry-Attempt: retry_attempt`; `random` in `[0, 1)` spreads the clients' retries as Mimir does.
pub(crate) fn answer(verdict: &Verdict, retry_attempt: u32, random: f64) -> CheckResponse {
    match (&verdict.decision, verdict.mode) {
        (Decision::Deny(denial), Mode::Enforce) => refuse(denial, verdict, retry_attempt, random),
        (Decision::Deny(_), Mode::Shadow | Mode::Off) | (Decision::Allow, _) => CheckResponse {
            status: Some(Status { code: 0, message: String::new() }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {})),
        },
    }
}

fn refuse(denial: &Denial, verdict: &Verdict, retry_attempt: u32, random: f64) -> CheckResponse {
    let mut headers = vec![
        header("content-type", "text/plain; charset=utf-8"),
        header("x-content-type-options", "nosniff"),
        header(REASON_HEADER, denial.reason().as_str()),
    ];
    if denial.retryable() {
        headers.push(header("retry-after", &retry_after_seconds(retry_attempt, random).to_string()));
    }
    if verdict.protocol == Some(Protocol::V2) {
        headers.extend(written_counters(&verdict.counts));
    }
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(denial.status()) }),
        headers,
        body: format!("{}\n", denial.message()),
    };
    CheckResponse {
        status: Some(Status { code: REFUSED, message: denial.reason().as_str().to_owned() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
    }
}

/// Remote write 2.0 counters, which Mimir also sends with a refusal: what the push held, or zeros when it was not read.
fn written_counters(counts: &PushCounts) -> [HeaderValueOption; 3] {
    [("samples", counts.samples), ("histograms", counts.histograms), ("exemplars", counts.exemplars)]
        .map(|(what, count)| header(&format!("x-prometheus-remote-write-{what}-written"), &count.to_string()))
}

fn header(key: &str, value: &str) -> HeaderValueOption {
    let value = Bytes::copy_from_slice(value.as_bytes());
    HeaderValueOption { header: Some(HeaderValue { key: key.to_owned(), value, raw_value: Bytes::new() }) }
}
