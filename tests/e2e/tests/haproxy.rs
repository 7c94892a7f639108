//! The canary with the real HAProxy: which pushes go through the edge, and weights that change while clients push.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use e2e::{
    Edge, Haproxy, PUSH_ID, ProxyBackends, ProxyClient, ProxyLoad, ProxySplit, check_without_rls, push_request,
    pushes_to_compare, repository, response_through, samples, send,
};

const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

const BY_TENANT: &str = "    balance hash var(txn.tenant)\n    hash-type consistent\n";

fn by_request(name: &str, text: String) -> String {
    assert!(name != "haproxy.cfg" || text.contains(BY_TENANT), "haproxy.cfg has no {BY_TENANT}");
    text.replace(BY_TENANT, "    balance roundrobin\n")
}

/// HAProxy between two upstreams.
fn split(edit: impl Fn(&str, String) -> String) -> ProxySplit<Haproxy> {
    ProxySplit::start(|backends| Haproxy::start_edited(backends, edit), Haproxy::port)
}

#[test]
fn the_share_of_requests_is_the_weight() {
    let split = split(by_request);
    let request = push_request("team", &samples(1).bytes);
    let mut before = 0;
    for share in [0, 5, 10, 25, 50, 100, 0] {
        split.proxy.set_share(share);
        split.send_all((0..200).map(|_| request.clone()));
        let now = split.tenants_at_edge().len();
        // Round robin spreads by weights without chance; where it begins is one push more or less.
        assert!((now - before).abs_diff(2 * usize::from(share)) <= 1, "{share} %: {} of 200", now - before);
        before = now;
    }
    assert_eq!(split.mimir.requests().len() + before, 7 * 200);
}

#[test]
fn all_spellings_of_a_tenant_go_to_one_backend() {
    let split = split(|_, text| text);
    let body = samples(1).bytes;
    let tenants = || (0..1_000).map(|number| format!("tenant-{number}"));
    let mut before = BTreeSet::new();
    for share in [10, 25] {
        split.proxy.set_share(share);
        let seen = split.tenants_at_edge().len();
        split.send_all(tenants().map(|tenant| push_request(&tenant, &body)));
        let at_edge: BTreeSet<String> = split.tenants_at_edge().into_iter().skip(seen).collect();
        // The shares of a consistent hash are rough: 16 places on its ring for each weight.
        let expected = 10 * usize::from(share);
        eprintln!("{share} %: {} of 1000 tenants", at_edge.len());
        assert!((expected / 2..=expected * 2).contains(&at_edge.len()), "{share} %: {} of 1000 tenants", at_edge.len());
        let left = before.difference(&at_edge).count();
        assert!(left * 5 <= before.len(), "{left} of {} tenants left the edge as its share grew", before.len());
        before = at_edge;
    }
    for tenant in tenants().take(100) {
        let spellings =
            [format!("{tenant}|{tenant}"), format!("{tenant}:k=v"), format!("  {tenant} "), format!("{tenant},other")];
        let twice = push_request(&tenant, &body).header("x-scope-orgid", "other");
        let seen = split.tenants_at_edge().len();
        split.send_all(spellings.iter().map(|spelling| push_request(spelling, &body)).chain([twice]));
        let now = split.tenants_at_edge().len() - seen;
        assert_eq!(now, if before.contains(&tenant) { 5 } else { 0 }, "{tenant}");
    }
}

#[test]
fn listed_tenants_are_always_or_never_at_the_edge() {
    let listed = |name: &str, text: String| match name {
        "always.lst" => text + "canary-team\n",
        "never.lst" => text + "vip-team\n",
        _ => text,
    };
    let split = split(listed);
    let body = samples(1).bytes;
    for (share, expected) in
        [(0, vec!["canary-team", "canary-team:k=v"]), (100, vec!["canary-team", "canary-team:k=v", "Canary-Team"])]
    {
        split.proxy.set_share(share);
        let seen = split.tenants_at_edge().len();
        let tenants = ["canary-team", "canary-team:k=v", "vip-team", "vip-team|vip-team", "Canary-Team"];
        split.send_all(tenants.iter().map(|tenant| push_request(tenant, &body)));
        assert_eq!(split.tenants_at_edge().split_off(seen), expected);
    }
}

#[test]
fn only_pushes_go_through_the_edge_and_are_marked() {
    let split = split(|_, text| text);
    split.proxy.set_share(100);
    split.check_only_pushes_reach_the_edge();
}

/// HAProxy in front of a real edge; both forward to the same upstream in place of Mimir.
fn haproxy_before(edge: &Edge, share: u8) -> Haproxy {
    let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
    let haproxy = Haproxy::start_edited(backends, by_request);
    haproxy.wait_for("pushes/edge", true);
    haproxy.set_share(share);
    haproxy
}

#[test]
fn the_edge_decides_alike_behind_haproxy() {
    let edge = Edge::start(LIMITS);
    let haproxy = haproxy_before(&edge, 100);
    for request in pushes_to_compare() {
        assert_ne!(response_through(haproxy.port(), &edge, &request).status, 200, "{request}");
    }
    assert_eq!(edge.upstream.requests().len(), 0);
}

/// Checks that no push is lost or ingested twice, and that each is answered with 200, except at most `broken` that were in flight at a kill.
#[track_caller]
fn check_nothing_is_lost(load: ProxyLoad, edge: &Edge, broken: usize) {
    let tally = load.stop();
    assert_eq!(tally.errors, [""; 0]);
    assert!(
        tally.other_than(&[200, 502]).is_empty() && tally.of("team", 502).count() <= broken,
        "{:?}",
        tally.other_than(&[200])
    );
    let arrivals = edge.upstream.requests_of("team");
    let distinct: BTreeSet<String> =
        arrivals.iter().filter_map(|push| push.headers.get(PUSH_ID)).map(Cow::into_owned).collect();
    assert!(
        arrivals.len() - distinct.len() <= broken,
        "{} pushes were ingested twice",
        arrivals.len() - distinct.len()
    );
    let accepted: BTreeSet<String> = tally.of("team", 200).map(|push| push.id.clone()).collect();
    assert!(accepted.is_subset(&distinct), "lost: {:?}", accepted.difference(&distinct));
    assert!(broken > 0 || accepted == distinct, "denied and ingested: {:?}", distinct.difference(&accepted));
    eprintln!(
        "{} pushes, {} of them 502, slowest {:?}",
        tally.pushed.len(),
        tally.of("team", 502).count(),
        tally.slowest()
    );
}

#[test]
fn the_rollback_moves_all_tenants_and_loses_no_push() {
    let text = fs::read_to_string(repository().join("ops/haproxy/haproxy.cfg")).expect("it can be read");
    let (_, rest) = text.split_once("The rollback").expect("haproxy.cfg describes the rollback");
    let command = rest.split('\'').nth(1).expect("the rollback is a command");
    for share in [50, 100] {
        let mut edge = Edge::start(LIMITS);
        let backends = ProxyBackends::new(edge.upstream.port(), edge.port());
        let always = |name: &str, text: String| if name == "always.lst" { text + "over\n" } else { text };
        let haproxy = Haproxy::start_edited(backends, always);
        haproxy.set_share(share);
        let over = push_request("over", &samples(10).bytes);
        assert_eq!(send(haproxy.port(), &over).status, 429);

        let load = load(&haproxy);
        assert_eq!(haproxy.command(command), "");
        load.wait_for_more(100);
        assert_eq!(send(haproxy.port(), &over).status, 200);
        edge.envoy.process.kill();
        load.wait_for_more(100);
        check_nothing_is_lost(load, &edge, 0);
    }
}

fn load(haproxy: &Haproxy) -> ProxyLoad {
    let load = ProxyLoad::start(haproxy.port(), vec![ProxyClient::new("team", 5, Duration::from_millis(4)); 6]);
    load.wait_for_more(100);
    load
}

#[test]
fn changing_weights_under_load_loses_no_push() {
    let mut edge = Edge::start(LIMITS);
    let haproxy = haproxy_before(&edge, 0);
    let load = load(&haproxy);
    for share in [1, 5, 10, 25, 50, 100, 50, 0] {
        haproxy.set_share(share);
        load.wait_for_more(100);
    }
    // All pushes through the edge have ended, so the edge is not needed any more.
    load.wait_for_more(100);
    edge.envoy.process.kill();
    load.wait_for_more(200);
    check_nothing_is_lost(load, &edge, 0);
}

#[test]
fn reloading_an_edited_share_under_load_loses_no_push() {
    let edge = Edge::start(LIMITS);
    let haproxy = haproxy_before(&edge, 0);
    let load = load(&haproxy);
    let mut share = (1, 99);
    for percent in [25, 100, 0] {
        let weights = |(edge, mimir): (u8, u8)| (format!(" weight {edge} check"), format!(" weight {mimir}\n"));
        let (before, after) = (weights(share), weights((percent, 100 - percent)));
        haproxy.reload_edited(|text| {
            assert!(text.contains(&before.0) && text.contains(&before.1), "haproxy.cfg has no {before:?}");
            text.replace(&before.0, &after.0).replace(&before.1, &after.1)
        });
        share = (percent, 100 - percent);
        load.wait_for_more(150);
    }
    check_nothing_is_lost(load, &edge, 0);
}

#[test]
fn pushes_go_to_mimir_while_envoy_is_down() {
    let edge = Edge::start(LIMITS);
    for share in [50, 100] {
        let haproxy = haproxy_before(&edge, share);
        let over = push_request("over", &samples(10).bytes);
        let status = || send(haproxy.port(), &over).status;
        assert!([status(), status()].contains(&429));
        edge.envoy.process.freeze();
        haproxy.wait_for("pushes/edge", false);
        assert_eq!([status(), status()], [200; 2], "{share}");
        edge.envoy.process.resume();
        haproxy.wait_for("pushes/edge", true);
        assert!([status(), status()].contains(&429));
    }
}

#[test]
fn a_push_whose_connection_is_refused_goes_to_mimir() {
    for share in [50, 100] {
        let mut edge = Edge::start(LIMITS);
        let haproxy = haproxy_before(&edge, share);
        let load = load(&haproxy);
        edge.envoy.process.kill();
        load.wait_for_more(300);
        // What Envoy had when it was killed, one push of each client: it may have sent it on. And one that the kernel had taken for it. HAProxy
        // answers such a push with 502, or closes the connection, and clients repeat it.
        check_nothing_is_lost(load, &edge, 12);
    }
}

#[test]
fn no_push_bypasses_an_edge_that_cannot_decide() {
    let mut edge = Edge::start(LIMITS);
    let haproxy = haproxy_before(&edge, 100);
    check_without_rls(haproxy.port(), &mut edge);
}
