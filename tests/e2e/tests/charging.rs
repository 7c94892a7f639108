//! Limits of 10 requests and 100 samples, whichever call charges the samples, and for any caller.

use std::time::Instant;

use e2e::{Connection, Edge, RateLimitCaller, Response, push_request, samples};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

/// A rate of 0.001 gives back 1 token in 1000 s: within a test, a bucket is its burst.
const LIMITS: &str = "
overrides:
  requests: { request_rate: 0.001, request_burst_size: 10 }
  refilled: { request_rate: 10, request_burst_size: 10 }
  samples: { ingestion_rate: 0.001, ingestion_burst_size: 100 }
  a: { ingestion_rate: 0.001, ingestion_burst_size: 100 }
  b: { request_rate: 0.001, request_burst_size: 10 }
";

/// An edge where Check charges the samples.
fn by_check() -> Edge {
    Edge::start(LIMITS)
}

/// An edge where Envoy's ratelimit filter charges them.
fn by_rate_limit() -> Edge {
    Edge::builder().charge_samples_in_rate_limit().start(LIMITS)
}

/// The statuses of this many pushes of `count` samples, one after the other.
fn statuses(edge: &Edge, tenant: &str, pushes: usize, count: usize) -> Vec<u16> {
    let body = samples(count);
    (0..pushes).map(|_| edge.push(tenant, &body.bytes).status).collect()
}

fn ten_of_thirty_pushes_get_through(edge: &Edge) {
    let seen = statuses(edge, "requests", 30, 1);
    assert_eq!(seen, [[200; 10], [429; 10], [429; 10]].concat());
    assert_eq!(edge.upstream.requests_of("requests").len(), 10);
    let denied = edge.push("requests", &samples(1).bytes);
    assert_eq!(denied.reason().as_deref(), Some("request_rate"));
    assert!(denied.text().contains("err-mimir-tenant-max-request-rate"), "{}", denied.text());
}

/// The bucket holds 10 and gets 10 a second: in t seconds, at least 10 and at most 10 + 10 t of the pushes pass.
fn ten_and_what_comes_back_get_through(edge: &Edge) {
    let request = push_request("refilled", &samples(1).bytes);
    let (mut allowed, started) = (0_u32, Instant::now());
    if let Ok(mut connection) = Connection::open(edge.port()) {
        for _ in 0..30 {
            allowed += u32::from(connection.send(&request).is_ok_and(|answer| answer.status == 200));
        }
    }
    let most = 10.0 + 10.0 * started.elapsed().as_secs_f64();
    assert!(allowed >= 10 && f64::from(allowed) <= most, "{allowed} of 30 passed; at most {most}");
    assert_eq!(edge.upstream.requests_of("refilled").len(), allowed as usize);
}

fn a_hundred_samples_get_through(edge: &Edge) {
    let over_burst = edge.push("samples", &samples(101).bytes);
    is_mimirs(
        &over_burst,
        "ingestion_burst",
        "the request has been rejected because the tenant exceeded the ingestion burst size limit, set to 100, with 101 items. \
         This limit is applied on the total number of samples, exemplars and metadata received across all distributors \
         (err-mimir-tenant-max-ingestion-rate). To adjust the related per-tenant limit, configure \
         -distributor.ingestion-burst-size, or contact your service administrator.\n",
    );
    assert_eq!(statuses(edge, "samples", 10, 10), [200; 10]);
    let over_rate = edge.push("samples", &samples(10).bytes);
    is_mimirs(
        &over_rate,
        "ingestion_rate",
        "the request has been rejected because the tenant exceeded the ingestion rate limit, set to 0.001 items/s \
         with a maximum allowed burst of 100. This limit is applied on the total number of samples, exemplars and \
         metadata received across all distributors (err-mimir-tenant-max-ingestion-rate). To adjust the related \
         per-tenant limits, configure -distributor.ingestion-rate-limit and -distributor.ingestion-burst-size, or \
         contact your service administrator.\n",
    );
    assert_eq!(edge.push("samples", &samples(1).bytes).status, 429);
    let arrived: u64 = edge.upstream.requests_of("samples").iter().map(|arrival| arrival.counts().samples).sum();
    assert_eq!(arrived, 100);
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(100.0 + 10.0 + refilled(edge)));
}

/// Samples of the other tenants that passed, at one a push.
fn refilled(edge: &Edge) -> f64 {
    edge.upstream.requests_of("refilled").len() as f64
}

#[track_caller]
fn is_mimirs(answer: &Response, reason: &str, text: &str) {
    assert_eq!((answer.status, answer.reason().as_deref()), (429, Some(reason)), "{}", answer.text());
    assert_eq!(answer.text(), text);
    assert_eq!(answer.headers.all("content-type").collect::<Vec<_>>(), [b"text/plain; charset=utf-8"]);
    let waits: Vec<u32> =
        answer.headers.all("retry-after").filter_map(|value| String::from_utf8_lossy(value).parse().ok()).collect();
    assert!(matches!(waits.as_slice(), [1..=96]), "{waits:?}");
    assert_eq!(answer.headers.names().find(|name| name.starts_with("x-envoy")), None);
}

fn both_calls_drain_one_bucket(edge: &Edge) {
    let caller = RateLimitCaller::connect(edge.rls.grpc_port());
    let answer = caller.charge("tenant", "a|a", 60);
    assert_eq!(answer.overall_code(), Code::Ok);
    assert_eq!(answer.statuses.iter().map(|status| status.limit_remaining).collect::<Vec<_>>(), [40]);
    assert_eq!(statuses(edge, "a", 5, 10), [200, 200, 200, 200, 429]);
    assert_eq!(statuses(edge, "a|a", 1, 1), [429]);

    let denied = caller.charge("tenant", "a", 1);
    assert_eq!(denied.overall_code(), Code::OverLimit);
    assert!(String::from_utf8_lossy(&denied.raw_body).contains("err-mimir-tenant-max-ingestion-rate"), "{denied:?}");

    assert_eq!(caller.charge("tenant_requests", "b", 6).overall_code(), Code::Ok);
    assert_eq!(statuses(edge, "b|b", 5, 1), [200, 200, 200, 200, 429]);
    assert_eq!(caller.charge("tenant_requests", "b", 1).overall_code(), Code::OverLimit);
}

#[test]
fn limits_hold_to_the_sample_when_check_charges() {
    let edge = by_check();
    ten_of_thirty_pushes_get_through(&edge);
    ten_and_what_comes_back_get_through(&edge);
    a_hundred_samples_get_through(&edge);
}

#[test]
fn limits_hold_to_the_sample_when_rate_limit_charges() {
    let edge = by_rate_limit();
    ten_of_thirty_pushes_get_through(&edge);
    ten_and_what_comes_back_get_through(&edge);
    a_hundred_samples_get_through(&edge);
}

#[test]
fn check_and_should_rate_limit_share_one_bucket() {
    both_calls_drain_one_bucket(&by_check());
}

#[test]
fn check_and_the_rate_limit_filter_share_one_bucket() {
    both_calls_drain_one_bucket(&by_rate_limit());
}
