//! Bodies of every size and in every framing: charged for what they hold, and forwarded to the byte or not at all.

use e2e::{Body, Edge, Request, Tally, noisy, push_request, samples};

/// An edge whose tenant `exact` may send exactly this body once.
fn edge_for(body: &Body) -> Edge {
    Edge::start(&format!("overrides:\n  exact: {{ ingestion_rate: 0.001, ingestion_burst_size: {} }}\n", body.samples))
}

#[track_caller]
fn arrives_whole_and_is_charged(body: &Body, request: &Request) {
    let edge = edge_for(body);
    assert_eq!(edge.send(request).status, 200);
    let arrivals = edge.upstream.requests_of("exact");
    assert_eq!(arrivals.len(), 1);
    assert!(arrivals.iter().all(|arrival| arrival.body == body.bytes), "the body was changed on its way");
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(body.samples as f64));

    // The bucket held these samples and no more: nothing but a full charge explains the denial.
    assert_eq!(edge.push("exact", &samples(1).bytes).status, 429);
    assert_eq!(edge.upstream.requests_of("exact").len(), 1);
}

#[test]
fn a_body_of_5_mb_is_charged_and_arrives() {
    let body = noisy(5_000_000);
    assert!(body.bytes.len() > 4_900_000, "{}", body.bytes.len());
    arrives_whole_and_is_charged(&body, &push_request("exact", &body.bytes));
}

#[test]
fn a_body_of_15_mb_is_charged_and_arrives() {
    let body = noisy(15_000_000);
    assert!(body.bytes.len() > 14_700_000, "{}", body.bytes.len());
    arrives_whole_and_is_charged(&body, &push_request("exact", &body.bytes));
}

#[test]
fn a_chunked_body_is_charged_and_arrives() {
    let body = noisy(300_000);
    arrives_whole_and_is_charged(&body, &push_request("exact", &body.bytes).chunked(1000));
}

#[test]
fn many_small_chunked_pushes_pass_where_huge_ones_may() {
    let edge = Edge::builder().max_request_bytes(100 << 20).start("overrides: { team: {} }");
    let request = push_request("team", &samples(10).bytes).chunked(100);
    let tally = Tally::of_pushes_at_once(edge.port(), 30, &request);
    assert_eq!((tally.of(200), tally.errors.len()), (30, 0), "{tally:?}");
}

#[test]
fn a_body_over_envoys_limit_gets_413() {
    const CAP: usize = 100_000;
    let edge = Edge::builder().max_request_bytes(CAP).start("overrides: { team: {} }");
    let (below, above) = (noisy(CAP - 10_000), noisy(CAP + 10_000));
    assert!(below.bytes.len() < CAP && above.bytes.len() > CAP);

    assert_eq!(edge.push("team", &below.bytes).status, 200);
    assert_eq!(edge.push("team", &above.bytes).status, 413);
    assert_eq!(edge.send(&push_request("team", &above.bytes).chunked(5000)).status, 413);
    let arrived: Vec<usize> = edge.upstream.requests().iter().map(|arrival| arrival.body.len()).collect();
    assert_eq!(arrived, [below.bytes.len()]);
}

#[test]
fn a_body_over_the_limit_of_mimir_rls_gets_413() {
    let edge = Edge::builder().rls_arguments(&["--max-request-bytes=50000"]).start("overrides: { team: {} }");
    let answer = edge.push("team", &noisy(60_000).bytes);

    assert_eq!((answer.status, answer.reason().as_deref()), (413, Some("body_too_large")));
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_body_that_is_no_push_is_denied() {
    let edge = Edge::start("overrides: { team: {} }");
    let no_protobuf = snap::raw::Encoder::new().compress_vec(b"no protobuf at all").expect("it is short");
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let mut cut = samples(100).bytes;
    cut.truncate(cut.len() / 2);
    for (what, body) in
        [("garbage", b"garbage".as_slice()), ("no protobuf", &no_protobuf), ("a bomb", &bomb), ("half a push", &cut)]
    {
        let answer = edge.push("team", body);
        assert_eq!(
            (answer.status, answer.reason().as_deref()),
            (400, Some("unreadable_body")),
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(edge.upstream.requests().len(), 0);
}
