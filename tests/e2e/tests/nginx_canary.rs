//! Step 2 with the real NGINX: who goes through the edge, and what a client sees of it.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::borrow::Cow;
use std::collections::BTreeSet;

use e2e::{
    ComparableResponse, Connection, Edge, Nginx, ProxyBackends, Request, Upstream, noisy, push_request, samples, send,
    until,
};

const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

const SHARE: &str = "split_clients $tenant $by_share { 1% mimir_envoy; * mimir_distributor; }";

/// The edit that an operator makes.
fn share(text: String, percent: &str, key: &str) -> String {
    assert!(text.contains(SHARE), "canary.conf has no {SHARE}");
    text.replace(SHARE, &SHARE.replace("1%", percent).replace("$tenant", key))
}

/// NGINX between two sinks.
struct Sides {
    nginx: Nginx,
    mimir: Upstream,
    edge: Upstream,
}

impl Sides {
    fn start(percent: &str, key: &str) -> Self {
        let (mimir, edge) = (Upstream::start(), Upstream::start());
        let backends = ProxyBackends::new(mimir.port(), edge.port());
        Self { nginx: Nginx::start_edited("canary.conf", backends, |text| share(text, percent, key)), mimir, edge }
    }

    /// Sends these on one connection; each has to be answered with 200.
    fn send_all(&self, requests: impl Iterator<Item = Request>) {
        let mut connection = Connection::open(self.nginx.port()).expect("NGINX listens");
        for request in requests {
            assert_eq!(connection.send(&request).expect("a push is answered").status, 200);
        }
    }

    /// The tenants, as they were spelled, that went through the edge.
    fn tenants_at_edge(&self) -> BTreeSet<String> {
        self.edge.requests().iter().filter_map(|push| push.headers.get("x-scope-orgid")).map(Cow::into_owned).collect()
    }
}

/// A share of `count` draws of which each comes true with this probability lies within `z` standard deviations but for one run in 1.7 million (z = 5).
#[track_caller]
fn is_binomial(seen: usize, count: usize, probability: f64) {
    const Z: f64 = 5.0;
    let expected = count as f64 * probability;
    let bound = Z * (expected * (1.0 - probability)).sqrt();
    assert!((seen as f64 - expected).abs() <= bound, "{seen} of {count}, expected {expected} +- {bound:.0}");
}

fn tenants(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("tenant-{number}")).collect()
}

#[test]
fn a_share_of_the_pushes_goes_through_the_edge() {
    const PUSHES: usize = 4_000;
    let sides = Sides::start("10%", "$request_id");
    let request = push_request("team", &samples(1).bytes);
    sides.send_all((0..PUSHES).map(|_| request.clone()));

    let (edge, mimir) = (sides.edge.requests().len(), sides.mimir.requests().len());
    assert_eq!(edge + mimir, PUSHES);
    // 400 of 4,000, give or take 95.
    is_binomial(edge, PUSHES, 0.1);
}

#[test]
fn tenants_stay_at_the_edge_as_their_share_grows() {
    const TENANTS: usize = 1_000;
    let sides = Sides::start("10%", "$tenant");
    let body = samples(1).bytes;
    let pushes =
        || tenants(TENANTS).into_iter().flat_map(|tenant| [push_request(&tenant, &body), push_request(&tenant, &body)]);
    sides.send_all(pushes());
    let first = sides.tenants_at_edge();
    // 100 of 1,000, give or take 47, each with both of its pushes.
    is_binomial(first.len(), TENANTS, 0.1);
    assert_eq!(sides.edge.requests().len(), 2 * first.len());

    sides.nginx.switch_to_edited("canary.conf", |text| share(text, "25%", "$tenant"));
    sides.send_all(pushes());
    let second = sides.tenants_at_edge();
    is_binomial(second.len(), TENANTS, 0.25);
    assert!(first.is_subset(&second), "{:?} left the edge", first.difference(&second));
    assert_eq!(sides.edge.requests().len(), 2 * first.len() + 2 * second.len());
}

#[test]
fn every_spelling_of_a_tenant_goes_where_the_tenant_goes() {
    let sides = Sides::start("50%", "$tenant");
    let body = samples(1).bytes;
    for tenant in tenants(100) {
        let before = sides.edge.requests().len();
        let spellings =
            [format!("{tenant}|{tenant}"), format!("{tenant}:k=v"), format!("  {tenant}  "), format!("{tenant},other")];
        let twice = push_request(&tenant, &body).header("x-scope-orgid", "other");
        let all =
            spellings.iter().map(|spelling| push_request(spelling, &body)).chain([push_request(&tenant, &body), twice]);
        sides.send_all(all);
        let at_edge = sides.edge.requests().len() - before;
        assert!(at_edge == 0 || at_edge == 6, "{tenant}: {at_edge} of 6 spellings went through the edge");
    }
    assert!(!sides.edge.requests().is_empty() && !sides.mimir.requests().is_empty());
}

#[test]
fn some_tenants_are_always_in_and_some_never() {
    let body = samples(1).bytes;
    let listed = [
        "canary-team",
        "canary-team|canary-team",
        "canary-team:k=v",
        "vip-team",
        "vip-team:k=v",
        "Canary-Team",
        "canary-team2",
    ];
    // By requests, of which nearly all go to the other side, the lists show.
    for (percent, others_at_edge) in [("0.01%", false), ("99.99%", true)] {
        let sides = Sides::start(percent, "$request_id");
        sides.send_all(listed.iter().map(|tenant| push_request(tenant, &body)));
        let at_edge = sides.tenants_at_edge();
        let expected = listed.iter().filter(|tenant| {
            let bare = tenant.split(['|', ':']).next().unwrap_or_default();
            bare == "canary-team" || (others_at_edge && bare != "vip-team")
        });
        assert_eq!(at_edge, expected.map(|tenant| (*tenant).to_owned()).collect());
    }
}

#[test]
fn only_pushes_go_through_the_edge_and_they_are_marked() {
    let sides = Sides::start("100%", "$tenant");
    let others = ["/prometheus/api/v1/query?query=up", "/api/v1/push/influx/write", "/otlp/v1/metrics", "/"];
    sides.send_all(others.iter().map(|target| Request::new("POST", target).header("X-Scope-OrgID", "team").body(b"x")));
    let push = push_request("team", &samples(1).bytes)
        .header("X-Mimir-Edge-Traffic", "mirror")
        .header("X-Mimir-Edge-Traffic", "mirror");
    sides.send_all([push].into_iter());

    assert_eq!(sides.mimir.requests().len(), others.len());
    let pushes = sides.edge.requests();
    let marks: Vec<&[u8]> = pushes.iter().flat_map(|push| push.headers.all("x-mimir-edge-traffic")).collect();
    assert_eq!(marks, [b"live"]);
}

/// NGINX that sends all pushes through a real edge; both forward to the same upstream in place of Mimir.
fn whole(edge: &Edge) -> Nginx {
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    Nginx::start_edited("canary.conf", backends, |text| share(text, "100%", "$tenant"))
}

#[test]
fn a_denial_reaches_the_client_unchanged() {
    let edge = Edge::start(LIMITS);
    let nginx = whole(&edge);
    let request = push_request("over", &samples(10).bytes);
    let (through, straight) = (send(nginx.port(), &request), edge.send(&request));
    assert_eq!(through.status, 429);
    assert_eq!(through.reason().as_deref(), Some("ingestion_burst"));
    assert_eq!(ComparableResponse::from(&through), ComparableResponse::from(&straight));
    assert!(through.headers.get("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn the_edge_decides_behind_nginx_as_without_it() {
    let edge = Edge::start(LIMITS);
    let nginx = whole(&edge);
    let body = samples(10).bytes;
    let push = || push_request("over", &body);
    let spelled = |target: &str| Request::new("POST", target).header("X-Scope-OrgID", "over").body(&body);
    let mut requests = vec![
        push().header("X-Scope-OrgID", "team"),
        push_request("team", &body).header("x-scope-orgid", "over"),
        Request::new("POST", "/api/v1/push").body(&body),
        push().header("X-Scope-OrgID", "").chunked(7),
        push_request("team", b"no snappy"),
        // Over the 16 MiB that Envoy takes, and under what NGINX and HAProxy do.
        push_request("team", &noisy(17 << 20).bytes),
        push_request("team", &noisy(17 << 20).bytes).chunked(100_000),
        Request::new("GET", "/api/v1/push").header("X-Scope-OrgID", "over"),
    ];
    requests.extend(
        ["over,team", "over|over", "over:k=v", "over|team", "", "a\u{ff}", "over:", "..", "|over"]
            .map(|tenant| push_request(tenant, &body)),
    );
    let targets = [
        "//api/v1/push",
        "/api//v1/push",
        "/api/./v1/push",
        "/x/../api/v1/push",
        "/api/v1/%70ush",
        "/api/v1/push?x=1",
        "/api%2Fv1%2Fpush",
        "/api/v1/push?",
    ];
    requests.extend(targets.map(spelled));
    let mut allowed = 0;
    for request in requests {
        let (through, straight) = (send(nginx.port(), &request), edge.send(&request));
        assert_eq!(
            ComparableResponse::from(&through),
            ComparableResponse::from(&straight),
            "{request}: {}",
            through.text()
        );
        allowed += usize::from(through.status == 200);
    }
    // `over:` is no tenant with metadata: the edge leaves it to Mimir.
    assert_eq!((allowed, edge.upstream.requests().len()), (1, 2));
}

#[test]
fn mimir_gets_the_pushes_when_envoy_is_down() {
    let mut edge = Edge::start(LIMITS);
    let nginx = whole(&edge);
    let request = push_request("over", &samples(10).bytes);
    assert_eq!(send(nginx.port(), &request).status, 429);
    edge.envoy.process.kill();
    for _ in 0..10 {
        assert_eq!(send(nginx.port(), &request).status, 200);
    }
    assert_eq!(edge.upstream.requests().len(), 10);
    let (mimir, envoy) = (edge.upstream.port(), edge.port());
    let both = format!("to=\"127.0.0.1:{envoy}, 127.0.0.1:{mimir}\" upstream_status=\"502, 200\"");
    let one = format!("to=\"127.0.0.1:{mimir}\" upstream_status=\"200\"");
    // NGINX writes a push down a moment after its answer.
    until("all pushes are in the log", || nginx.access_log("mimir.log").len() == 11);
    let log = nginx.access_log("mimir.log");
    let of = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    // After max_fails nobody asks Envoy for a while.
    assert_eq!([of(&both), of(&one)], [3, 7], "{log:?}");
}

#[test]
fn no_push_bypasses_an_edge_that_cannot_decide() {
    let mut edge = Edge::start(LIMITS);
    let nginx = whole(&edge);
    edge.rls.process.kill();
    edge.envoy.wait_for_healthy_rls(0);
    let answers: Vec<u16> =
        (0..10).map(|_| send(nginx.port(), &push_request("over", &samples(1).bytes)).status).collect();
    assert_eq!(answers, [503; 10]);
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_push_that_was_sent_is_not_sent_again() {
    let edge = Edge::start(LIMITS);
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    let nginx = Nginx::start_edited("canary.conf", backends, |text| {
        assert!(text.contains("proxy_read_timeout 40s;"), "canary.conf has another timeout");
        share(text, "100%", "$tenant").replace("proxy_read_timeout 40s;", "proxy_read_timeout 500ms;")
    });
    edge.envoy.process.signal(e2e::Signal::STOP);
    let answers: Vec<u16> =
        (0..5).map(|_| send(nginx.port(), &push_request("team", &samples(1).bytes)).status).collect();
    edge.envoy.process.signal(e2e::Signal::CONT);
    // Three were sent and had no answer; then Envoy counts as down.
    assert_eq!(answers, [504, 504, 504, 200, 200]);
}
