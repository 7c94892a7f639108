//! Step 2 with the real NGINX: which pushes go through the edge, and what a client sees of it.

use std::collections::BTreeSet;

use e2e::{
    Edge, Nginx, ProxyBackends, ProxySplit, Request, check_without_rls, push_request, pushes_to_compare,
    response_through, samples, send, until,
};

const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

const SHARE: &str = "split_clients $tenant $by_share { 1% mimir_envoy; * mimir_push; }";

/// The edit that an operator makes.
fn share(text: String, percent: &str, key: &str) -> String {
    assert!(text.contains(SHARE), "canary.conf has no {SHARE}");
    text.replace(SHARE, &SHARE.replace("1%", percent).replace("$tenant", key))
}

/// NGINX between two upstreams.
fn split(percent: &str, key: &str) -> ProxySplit<Nginx> {
    let edit = |text| share(text, percent, key);
    ProxySplit::start(|backends| Nginx::start_edited("canary.conf", backends, edit), Nginx::port)
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
    let split = split("10%", "$request_id");
    let request = push_request("team", &samples(1).bytes);
    split.send_all((0..PUSHES).map(|_| request.clone()));

    let (edge, mimir) = (split.edge.requests().len(), split.mimir.requests().len());
    assert_eq!(edge + mimir, PUSHES);
    // 400 of 4,000, give or take 95.
    is_binomial(edge, PUSHES, 0.1);
}

#[test]
fn tenants_stay_at_the_edge_as_their_share_grows() {
    const TENANTS: usize = 1_000;
    let split = split("10%", "$tenant");
    let body = samples(1).bytes;
    let pushes =
        || tenants(TENANTS).into_iter().flat_map(|tenant| [push_request(&tenant, &body), push_request(&tenant, &body)]);
    split.send_all(pushes());
    let first = BTreeSet::from_iter(split.tenants_at_edge());
    // 100 of 1,000, give or take 47, each with both of its pushes.
    is_binomial(first.len(), TENANTS, 0.1);
    assert_eq!(split.edge.requests().len(), 2 * first.len());

    split.proxy.switch_to_edited("canary.conf", |text| share(text, "25%", "$tenant"));
    split.send_all(pushes());
    let second = BTreeSet::from_iter(split.tenants_at_edge());
    is_binomial(second.len(), TENANTS, 0.25);
    assert!(first.is_subset(&second), "{:?} left the edge", first.difference(&second));
    assert_eq!(split.edge.requests().len(), 2 * first.len() + 2 * second.len());
}

#[test]
fn all_spellings_of_a_tenant_go_to_one_backend() {
    let split = split("50%", "$tenant");
    let body = samples(1).bytes;
    for tenant in tenants(100) {
        let before = split.edge.requests().len();
        let spellings =
            [format!("{tenant}|{tenant}"), format!("{tenant}:k=v"), format!("  {tenant}  "), format!("{tenant},other")];
        let twice = push_request(&tenant, &body).header("x-scope-orgid", "other");
        let all =
            spellings.iter().map(|spelling| push_request(spelling, &body)).chain([push_request(&tenant, &body), twice]);
        split.send_all(all);
        let at_edge = split.edge.requests().len() - before;
        assert!(at_edge == 0 || at_edge == 6, "{tenant}: {at_edge} of 6 spellings went through the edge");
    }
    assert!(!split.edge.requests().is_empty() && !split.mimir.requests().is_empty());
}

#[test]
fn listed_tenants_are_always_or_never_at_the_edge() {
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
    // With a share of requests that sends nearly all to the other backend, the effect of the lists shows.
    for (percent, others_at_edge) in [("0.01%", false), ("99.99%", true)] {
        let split = split(percent, "$request_id");
        split.send_all(listed.iter().map(|tenant| push_request(tenant, &body)));
        let at_edge = BTreeSet::from_iter(split.tenants_at_edge());
        let expected = listed.iter().filter(|tenant| {
            let bare = tenant.split(['|', ':']).next().unwrap_or_default();
            bare == "canary-team" || (others_at_edge && bare != "vip-team")
        });
        assert_eq!(at_edge, expected.map(|tenant| (*tenant).to_owned()).collect());
    }
}

#[test]
fn only_pushes_go_through_the_edge_and_are_marked() {
    let split = split("100%", "$tenant");
    split.check_only_pushes_reach_the_edge();
}

/// NGINX that sends all pushes through a real edge; both forward to the same upstream in place of Mimir.
fn nginx_before(edge: &Edge) -> Nginx {
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    Nginx::start_edited("canary.conf", backends, |text| share(text, "100%", "$tenant"))
}

#[test]
fn a_denial_reaches_the_client_unchanged() {
    let edge = Edge::start(LIMITS);
    let nginx = nginx_before(&edge);
    let request = push_request("over", &samples(10).bytes);
    let through = response_through(nginx.port(), &edge, &request);
    assert_eq!(through.status, 429);
    assert_eq!(through.reason().as_deref(), Some("ingestion_burst"));
    assert!(through.headers.get("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn the_edge_decides_alike_behind_nginx() {
    let edge = Edge::start(LIMITS);
    let nginx = nginx_before(&edge);
    let body = samples(10).bytes;
    let mut requests = pushes_to_compare();
    requests.push(push_request("over:", &body));
    requests.push(Request::new("POST", "/x/../api/v1/push").header("X-Scope-OrgID", "over").body(&body));
    let statuses = requests.iter().map(|request| response_through(nginx.port(), &edge, request).status);
    let allowed = statuses.filter(|status| *status == 200).count();
    // `over:` is no tenant with metadata: the edge leaves it to Mimir.
    assert_eq!((allowed, edge.upstream.requests().len()), (1, 2));
}

#[test]
fn pushes_go_to_mimir_while_envoy_is_down() {
    let mut edge = Edge::start(LIMITS);
    let nginx = nginx_before(&edge);
    let request = push_request("over", &samples(10).bytes);
    assert_eq!(send(nginx.port(), &request).status, 429);
    edge.envoy.process.kill();
    for _ in 0..10 {
        assert_eq!(send(nginx.port(), &request).status, 200);
    }
    assert_eq!(edge.upstream.requests().len(), 10);
    let (mimir, envoy) = (edge.upstream.port(), edge.port());
    let both = format!("to=\"127.0.0.1:{envoy} : 127.0.0.1:{mimir}\" upstream_status=\"502 : 200\"");
    // NGINX writes a push down a moment after its answer.
    until("all pushes are in the log", || nginx.access_log("mimir.log").len() == 11);
    let log = nginx.access_log("mimir.log");
    let of = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    assert_eq!(of(&both), 10, "{log:?}");
    assert_eq!(nginx.access_log("unchecked.log").len(), 10);
}

#[test]
fn no_push_bypasses_an_edge_that_cannot_decide() {
    let mut edge = Edge::start(LIMITS);
    let nginx = nginx_before(&edge);
    check_without_rls(nginx.port(), &mut edge);
}

#[test]
fn a_push_that_was_sent_is_not_retried() {
    let edge = Edge::start(LIMITS);
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    let nginx = Nginx::start_edited("canary.conf", backends, |text| {
        assert!(text.contains("proxy_read_timeout 40s;"), "canary.conf has another timeout");
        share(text, "100%", "$tenant").replace("proxy_read_timeout 40s;", "proxy_read_timeout 500ms;")
    });
    edge.envoy.process.freeze();
    let answers: Vec<u16> =
        (0..5).map(|_| send(nginx.port(), &push_request("team", &samples(1).bytes)).status).collect();
    assert_eq!(edge.upstream.requests().len(), 0);
    edge.envoy.process.resume();
    assert_eq!(answers, [504; 5]);
    until("all pushes are in the log", || nginx.access_log("mimir.log").len() == 5);
    assert_eq!(nginx.access_log("unchecked.log"), [""; 0], "Mimir received none");
}
