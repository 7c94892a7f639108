//! Which pushes are denied, judged by the response and by what reaches the upstream.

use std::thread;

use e2e::{Edge, Load, push_request, samples};

const LIMITS: &str = "
overrides:
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
  within: { ingestion_rate: 1000000, ingestion_burst_size: 1000000 }
  requests: { request_rate: 0.001, request_burst_size: 3 }
";

#[test]
fn a_tenant_over_its_limit_is_denied_and_another_allowed() {
    let edge = Edge::start(LIMITS);
    let body = samples(10);
    let load = Load::start(
        edge.port(),
        ["over", "within", "over", "within"].iter().map(|tenant| push_request(tenant, &body.bytes)).collect(),
    );
    load.wait_for_more_of(200, 200);
    load.wait_for_more_of(429, 200);
    let tally = load.stop();

    assert_eq!(tally.of(200) + tally.of(429), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    assert_eq!(edge.upstream.requests_of("within").len(), tally.of(200));
    assert_eq!(edge.upstream.requests_of("over").len(), 0);
}

#[test]
fn a_denial_is_mimirs_response() {
    let edge = Edge::start(LIMITS);
    let answer = edge.push("over", &samples(10).bytes);

    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.text(),
        "the request has been rejected because the tenant exceeded the ingestion burst size limit, set to 5, with 10 items. \
         This limit is applied on the total number of samples, exemplars and metadata received across all distributors \
         (err-mimir-tenant-max-ingestion-rate). To adjust the related per-tenant limit, configure \
         -distributor.ingestion-burst-size, or contact your service administrator.\n"
    );
    assert_eq!(answer.headers.get("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.headers.get("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(answer.reason().as_deref(), Some("ingestion_burst"));
    let seconds = answer.headers.get("retry-after").and_then(|text| text.parse().ok());
    assert!(seconds.is_some_and(|seconds: u32| (1..=96).contains(&seconds)), "{seconds:?}");
    assert_eq!(answer.headers.get("server"), None);
    assert_eq!(answer.headers.names().find(|name| name.starts_with("x-envoy")), None);
}

#[test]
fn the_request_rate_is_charged_once_for_each_push() {
    let edge = Edge::start(LIMITS);
    let body = samples(1);
    let statuses: Vec<u16> = (0..5).map(|_| edge.push("requests", &body.bytes).status).collect();

    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(edge.upstream.requests_of("requests").len(), 3);
}

#[test]
fn tenants_never_share_a_bucket() {
    const TENANTS: usize = 60;
    const CLIENTS: usize = 4;
    let limits: String = (0..TENANTS)
        .map(|index| format!("  tenant-{index}: {{ ingestion_rate: 0.001, ingestion_burst_size: 7 }}\n"))
        .collect();
    let edge = Edge::start(&format!("overrides:\n{limits}"));
    let body = samples(7);

    // Each tenant's bucket holds one push exactly. Were two tenants to share one, one of them would get nothing.
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (edge, body) = (&edge, &body);
            scope.spawn(move || {
                for index in (client..TENANTS).step_by(CLIENTS) {
                    let tenant = format!("tenant-{index}");
                    let statuses = [(); 3].map(|()| edge.push(&tenant, &body.bytes).status);
                    assert_eq!(statuses, [200, 429, 429], "{tenant}");
                }
            });
        }
    });
    for index in 0..TENANTS {
        assert_eq!(edge.upstream.requests_of(&format!("tenant-{index}")).len(), 1, "tenant-{index}");
    }
}
