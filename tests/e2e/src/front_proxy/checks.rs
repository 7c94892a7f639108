//! What holds of an edge behind any proxy. The edge denies all pushes of the tenant `over`.

use std::collections::BTreeMap;

use crate::edge::Edge;
use crate::http1::{Request, Response, send};
use crate::push::{noisy, push_request, samples};

/// A response without the header lines that differ from one connection or moment to the next.
#[derive(Debug, PartialEq, Eq)]
struct ComparableResponse {
    status: u16,
    body: Vec<u8>,
    headers: BTreeMap<String, Vec<Vec<u8>>>,
}

impl From<&Response> for ComparableResponse {
    fn from(answer: &Response) -> Self {
        const VOLATILE: [&str; 6] =
            ["date", "server", "connection", "transfer-encoding", "content-length", "retry-after"];
        let names = answer.headers.names().filter(|name| !VOLATILE.contains(name));
        let headers = names.map(|name| (name.to_owned(), answer.headers.all(name).map(<[u8]>::to_vec).collect()));
        Self { status: answer.status, body: answer.body.clone(), headers: headers.collect() }
    }
}

/// Sends a request through the proxy and straight to the edge, and gives the response through the proxy.
///
/// # Panics
/// When the responses differ.
#[track_caller]
pub fn response_through(port: u16, edge: &Edge, request: &Request) -> Response {
    let (through, straight) = (send(port, request), edge.send(request));
    let comparable = ComparableResponse::from;
    assert_eq!(comparable(&through), comparable(&straight), "{request}: {}", through.text());
    through
}

/// Usual and unusual pushes, all of which the edge denies.
#[must_use]
pub fn pushes_to_compare() -> Vec<Request> {
    let body = samples(10).bytes;
    let push = || push_request("over", &body);
    let mut requests = vec![
        push(),
        push().header("X-Scope-OrgID", "team"),
        push_request("team", &body).header("x-scope-orgid", "over"),
        Request::new("POST", "/api/v1/push").body(&body),
        push().header("X-Scope-OrgID", "").chunked(7),
        push_request("team", b"no snappy"),
        // Over the 16 MiB that Envoy accepts, and under the bounds of NGINX and HAProxy.
        push_request("team", &noisy(17 << 20).bytes),
        push_request("team", &noisy(17 << 20).bytes).chunked(100_000),
        Request::new("GET", "/api/v1/push").header("X-Scope-OrgID", "over"),
    ];
    let tenants = ["over,team", "over|over", "over:k=v", "over|team", "", "a\u{ff}", "..", "|over"];
    requests.extend(tenants.map(|tenant| push_request(tenant, &body)));
    let targets = [
        "//api/v1/push",
        "/api//v1/push",
        "/api/./v1/push",
        "/api/v1/%70ush",
        "/api/v1/push?x=1",
        "/api%2Fv1%2Fpush",
        "/api/v1/push?",
    ];
    let of_over = |target: &str| Request::new("POST", target).header("X-Scope-OrgID", "over").body(&body);
    requests.extend(targets.map(of_over));
    requests
}

/// Checks that no push goes past an edge whose mimir-rls is gone.
///
/// # Panics
/// When one does.
#[track_caller]
pub fn check_without_rls(port: u16, edge: &mut Edge) {
    edge.rls.process.kill();
    edge.envoy.wait_for_healthy_rls(0);
    let push = push_request("over", &samples(1).bytes);
    let statuses: Vec<u16> = (0..10).map(|_| send(port, &push).status).collect();
    assert_eq!(statuses, [503; 10]);
    assert_eq!(edge.upstream.requests().len(), 0);
}
