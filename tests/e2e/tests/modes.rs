//! Modes and limits of the edge config: what is enforced, what is only counted, and what is not charged.

use e2e::{Body, Edge, Request, Tally, noisy, push_request, samples, series, until};

const LIMITS: &str = "
overrides:
  shadowed: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
  drained: { ingestion_rate: 0.001, ingestion_burst_size: 10 }
  left-alone: { request_rate: 0.001, request_burst_size: 1, ingestion_rate: 0.001, ingestion_burst_size: 10 }
  sized: { ingestion_rate: 0.001, ingestion_burst_size: 10 }
";

#[track_caller]
fn counted(edge: &Edge, decision: &str, mode: &str, reason: &str) -> f64 {
    let series = format!(r#"rls_decisions_total{{decision="{decision}",mode="{mode}",reason="{reason}"}}"#);
    edge.rls.metric(&series).unwrap_or_else(|| unreachable!("there is no series {series}"))
}

/// The client sees nothing, the push arrives as it was sent, and one more would-deny is counted.
#[track_caller]
fn only_counted(edge: &Edge, request: &Request, body: &Body, reason: &str) {
    let (before, arrived) = (counted(edge, "deny", "shadow", reason), edge.upstream.requests().len());
    let answer = edge.send(request);
    assert_eq!((answer.status, answer.reason()), (200, None), "{reason}: {}", answer.text());
    let arrivals = edge.upstream.requests();
    assert_eq!(arrivals.len(), arrived + 1, "{reason}");
    let arrival =
        arrivals.last().map(|arrival| (&arrival.body, arrival.headers.get("x-envoy-auth-failure-mode-allowed")));
    assert!(arrival == Some((&body.bytes, None)), "{reason}: the push was changed or not checked");
    assert_eq!(counted(edge, "deny", "shadow", reason), before + 1.0, "{reason}");
}

#[test]
fn a_shadow_tenant_far_over_its_limits_is_only_counted() {
    let edge = Edge::builder()
        .edge_config("{ mode: enforce, tenants: { shadowed: { mode: shadow }, drained: { mode: shadow } } }")
        .start(LIMITS);
    let (large, small) = (samples(10_000), samples(10));
    for _ in 0..20 {
        only_counted(&edge, &push_request("shadowed", &large.bytes), &large, "ingestion_burst");
    }
    assert_eq!(edge.push("drained", &small.bytes).status, 200);
    for _ in 0..20 {
        only_counted(&edge, &push_request("drained", &small.bytes), &small, "ingestion_rate");
    }
    assert_eq!(edge.push("left-alone", &samples(11).bytes).status, 429);
}

#[test]
fn shadow_mode_only_counts_a_push_without_a_valid_tenant() {
    let edge = Edge::builder().edge_config("mode: shadow").start(LIMITS);
    let body = samples(10);
    let push = |tenants: &[&str]| {
        let request = Request::new("POST", "/api/v1/push").header("Content-Type", "application/x-protobuf");
        tenants.iter().fold(request, |request, tenant| request.header("X-Scope-OrgID", tenant)).body(&body.bytes)
    };
    only_counted(&edge, &push(&["a", "b"]), &body, "tenant_header_repeated");
    only_counted(&edge, &push(&["a b"]), &body, "tenant_invalid");
    only_counted(&edge, &push(&["."]), &body, "tenant_invalid");
    only_counted(&edge, &push(&["a|b"]), &body, "too_many_tenants");
    only_counted(&edge, &push(&[]), &body, "tenant_missing");
}

#[test]
fn a_mirror_allows_and_counts_a_push_of_20_mb() {
    let edge = Edge::builder().mirror().edge_config("mode: shadow").start(LIMITS);
    let body = noisy(20_000_000);
    assert!(body.bytes.len() > 19_000_000, "{}", body.bytes.len());
    only_counted(&edge, &push_request("large", &body.bytes), &body, "body_too_large");
    only_counted(&edge, &push_request("large", &body.bytes).chunked(1 << 20), &body, "body_too_large");
    // What mimir-rls reads is judged for what it holds.
    let body = noisy(10_000_000);
    only_counted(&edge, &push_request("shadowed", &body.bytes), &body, "ingestion_burst");
}

#[test]
fn a_mirror_accepts_twelve_large_pushes_at_once() {
    let edge = Edge::builder().mirror().edge_config("mode: shadow").start(LIMITS);
    let push = push_request("shadowed", &noisy(2_000_000).bytes);
    let answers = Tally::of_pushes_at_once(edge.port(), 12, &push);
    assert_eq!((answers.of(200), answers.errors.len()), (12, 0), "{answers:?}");
    assert_eq!(counted(&edge, "deny", "shadow", "ingestion_burst"), 12.0);
}

#[test]
fn a_tenant_that_is_off_is_charged_nothing() {
    let edge = Edge::builder().edge_config("{ mode: enforce, tenants: { left-alone: { mode: off } } }").start(LIMITS);
    let statuses = [(); 5].map(|()| edge.push("left-alone", &samples(100).bytes).status);
    assert_eq!(statuses, [200; 5]);
    assert_eq!(counted(&edge, "allow", "off", "mode_off"), 5.0);
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(0.0));

    // Its buckets are as full as those of a tenant that never pushed: one request, ten samples.
    edge.edge_config.swap("mode: enforce");
    until("the tenant is enforced", || edge.push("left-alone", &samples(11).bytes).status == 429);
    assert_eq!(counted(&edge, "deny", "enforce", "ingestion_burst"), 1.0);
    assert_eq!(edge.push("left-alone", &samples(1).bytes).reason().as_deref(), Some("request_rate"));
}

#[test]
fn edge_limits_deny_what_mimir_would_accept() {
    let edge = Edge::builder()
        .edge_config("{ mode: enforce, tenants: { sized: { edge_limits: { max_body_bytes: 2000, max_series_per_request: 10 } } } }")
        .start(LIMITS);
    let too_large = edge.push("sized", &noisy(5000).bytes);
    assert_eq!((too_large.status, too_large.reason().as_deref()), (413, Some("edge_max_body_bytes")));

    let too_many = series(11);
    assert!(too_many.bytes.len() < 2000, "{}", too_many.bytes.len());
    let denied = edge.push("sized", &too_many.bytes);
    assert_eq!((denied.status, denied.reason().as_deref()), (400, Some("edge_max_series_per_request")));
    assert!(denied.text().contains("err-edge-max-series-per-request"), "{}", denied.text());
    assert_eq!(edge.upstream.requests().len(), 0);

    // Neither was charged: all ten samples of the burst are there. A push within the edge's limits still meets Mimir's.
    assert_eq!(edge.push("sized", &series(10).bytes).status, 200);
    assert_eq!(edge.push("sized", &series(1).bytes).reason().as_deref(), Some("ingestion_rate"));
    assert_eq!(edge.push("other", &series(11).bytes).status, 200);
    assert_eq!(edge.push("other", &noisy(5000).bytes).status, 200);
}
