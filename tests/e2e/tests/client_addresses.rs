//! The address of a client behind the real NGINX and HAProxy: Envoy counts its pushes by the address of its connection, whatever it forges.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::net::Ipv4Addr;

use e2e::{
    Behaviour, Connection, DnsAnswer, DnsServer, ENVOY_PODS_NAME, Edge, FaultyUpstream, Haproxy, Nginx, ProxyBackends,
    ProxySplit, Request, Upstream, push_request, samples, until, until_some,
};

const LIMITS: &str = "overrides: { team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 } }";
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// In another class than the client.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// An Envoy that trusts one proxy. One client may have 20 pushes in it, all together 40. Mimir does not answer, so they stay.
fn edge_before(mimir: &FaultyUpstream) -> Edge {
    Edge::builder()
        .upstream(mimir.port())
        .envoy_value("limits.maxUploads", "20")
        .envoy_value("listeners.trustedProxies", "1")
        .start(LIMITS)
}

fn forging(push: Request, number: u8) -> Request {
    push.header("X-Forwarded-For", format!("198.51.100.{number}"))
}

/// 60 pushes of one client, each with another address in its header, are one client's for Envoy.
#[track_caller]
fn check_that_forged_addresses_have_one_clients_places(proxy: u16, edge: &Edge) {
    let begin = |number| {
        let mut connection = Connection::open_from(CLIENT, proxy).expect("the proxy accepts");
        connection.begin(&forging(push_request("team", &samples(1).bytes), number)).expect("the proxy reads");
        connection
    };
    let open: Vec<Connection> = (0..60).map(begin).collect();
    until("all but the client's 20 pushes are denied", || edge.envoy.denied_for_overload() >= 40.0);
    let status = |client| {
        let mut connection = Connection::open_from(client, proxy).expect("the proxy accepts");
        // mimir-rls answers it, if Envoy asks.
        connection.send(&forging(push_request("team", b"unreadable"), 99)).expect("a push is answered").status
    };
    assert_eq!((status(CLIENT), status(NEIGHBOUR)), (503, 400));
    drop(open);
}

#[test]
fn behind_nginx_forged_addresses_share_one_clients_places() {
    let mimir = FaultyUpstream::start(Behaviour::NoAnswer);
    let edge = edge_before(&mimir);
    let nginx = Nginx::start("full-fail-closed.conf", ProxyBackends::new(mimir.port(), edge.port()));
    check_that_forged_addresses_have_one_clients_places(nginx.port(), &edge);
}

#[test]
fn behind_haproxy_forged_addresses_share_one_clients_places() {
    let mimir = FaultyUpstream::start(Behaviour::NoAnswer);
    let edge = edge_before(&mimir);
    let haproxy = Haproxy::start_edited(ProxyBackends::new(mimir.port(), edge.port()), |_, text| text);
    haproxy.wait_for("pushes/edge", true);
    haproxy.set_share(100);
    check_that_forged_addresses_have_one_clients_places(haproxy.port(), &edge);
}

/// The client's address is the last that reaches Envoy, behind those that it sent in two lines.
#[track_caller]
fn check_that_the_clients_address_is_last(what: &str, proxy: u16, envoy: &Upstream) {
    let push = forging(forging(push_request("team", &samples(1).bytes), 7), 8);
    let mut connection = Connection::open_from(CLIENT, proxy).expect("the proxy accepts");
    assert_eq!(connection.send(&push).expect("a push is answered").status, 200, "{what}");
    let arrival = until_some("the push reaches Envoy", || envoy.requests_of("team").pop());
    let lines: Vec<String> =
        arrival.headers.all("x-forwarded-for").map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(lines.join(", "), "198.51.100.7, 198.51.100.8, 127.0.0.2", "{what}");
}

#[test]
fn each_step_of_nginx_appends_the_clients_address() {
    let everything = |text: String| text.replace("{ 1% mimir_envoy;", "{ 100% mimir_envoy;");
    for file in ["mirror.conf", "canary.conf", "full-fail-open.conf", "full-fail-closed.conf"] {
        let split = ProxySplit::start(|backends| Nginx::start_edited(file, backends, everything), Nginx::port);
        check_that_the_clients_address_is_last(file, split.proxy.port(), &split.edge);
    }
}

#[test]
fn both_files_of_haproxy_append_the_clients_address() {
    let split = ProxySplit::start(|backends| Haproxy::start_edited(backends, |_, text| text), Haproxy::port);
    split.proxy.set_share(100);
    check_that_the_clients_address_is_last("haproxy.cfg", split.proxy.port(), &split.edge);

    let (mimir, envoy, dns) = (Upstream::start(), Upstream::start(), DnsServer::start());
    dns.set(ENVOY_PODS_NAME, DnsAnswer::Addresses(vec![Ipv4Addr::LOCALHOST]));
    let backends = ProxyBackends::new(mimir.port(), envoy.port()).resolved_by(&dns);
    let everything = |_: &str, text: String| text.replace(" weight 57\n", " weight 0\n");
    let haproxy = Haproxy::start_file("sticky.cfg", backends, everything);
    haproxy.wait_for("pushes/edge1", true);
    check_that_the_clients_address_is_last("sticky.cfg", haproxy.port(), &envoy);
}
