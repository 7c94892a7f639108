//! Step 1 with the real NGINX: Mimir gets every push once, the edge gets a copy, and the client sees nothing of it.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{
    Edge, Nginx, PUSH_ID, ProxyBackends, ProxyClient, ProxyLoad, ProxyTally, Request, Upstream, UpstreamRequest,
    let_time_pass, noisy, push_request, samples, send, until,
};

const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

/// The most that NGINX waits for the mirror: 0.1 s to connect and 0.5 s for a response. The rest is for a machine that also compiles.
const HELD: Duration = Duration::from_millis(600 + 400);

/// NGINX in front of an upstream in place of Mimir, and of an edge that gets copies.
struct Setup {
    nginx: Nginx,
    mimir: Upstream,
    edge: Edge,
}

impl Setup {
    fn start() -> Self {
        let (mimir, edge) = (Upstream::start(), Edge::builder().mirror().start(LIMITS));
        let backends = ProxyBackends::new(mimir.port(), edge.port());
        Self { nginx: Nginx::start("mirror.conf", backends), mimir, edge }
    }

    /// Four clients that push for as long as `during` takes; every push is answered by Mimir, and reaches it once.
    #[track_caller]
    fn load(&self, tenant: &str, during: impl FnOnce(&ProxyLoad)) -> ProxyTally {
        let load = ProxyLoad::start(self.nginx.port(), vec![ProxyClient::new(tenant, 5, Duration::from_millis(5)); 4]);
        load.wait_for_more(50);
        during(&load);
        let tally = load.stop();
        assert_eq!(tally.errors, [""; 0]);
        assert_eq!(tally.other_than(&[200]).len(), 0, "{:?}", tally.other_than(&[200]));
        let arrived: Vec<String> = self.mimir.requests_of(tenant).iter().map(|arrival| id(arrival)).collect();
        let distinct: BTreeSet<&str> = arrived.iter().map(String::as_str).collect();
        assert_eq!(arrived.len(), distinct.len(), "a push reached Mimir twice");
        assert_eq!(distinct, tally.pushed.iter().map(|push| push.id.as_str()).collect());
        tally
    }
}

fn id(arrival: &UpstreamRequest) -> String {
    arrival.headers.get(PUSH_ID).unwrap_or_default().into_owned()
}

#[test]
fn mimir_gets_each_push_once_and_the_edge_a_copy() {
    let setup = Setup::start();
    let tally = setup.load("team", |load| load.wait_for_more(200));
    until("the edge has decided on all of them", || setup.edge.rls.decisions("allow") == tally.pushed.len() as f64);
    assert_eq!(setup.edge.upstream.requests().len(), 0, "a copy was ingested");
}

#[test]
fn a_copy_is_the_push_plus_the_traffic_header() {
    let (mimir, shadow) = (Upstream::start(), Upstream::start());
    let backends = ProxyBackends::new(mimir.port(), shadow.port());
    let nginx = Nginx::start("mirror.conf", backends);
    // Over client_body_buffer_size it is on disk.
    let bodies = [samples(3).bytes, noisy(3 << 20).bytes, Vec::new()];
    for body in &bodies {
        let request =
            push_request("team", body).header("X-Scope-OrgID", "other").header("X-Mimir-Edge-Traffic", "live");
        assert_eq!(send(nginx.port(), &request).status, 200);
        assert_eq!(send(nginx.port(), &request.header("x-mimir-edge-traffic", "live").chunked(1000)).status, 200);
    }
    let spelled = Request::new("POST", "//api/v1/%70ush?x=1%2F2").header("X-Scope-OrgID", "team");
    assert_eq!(send(nginx.port(), &spelled).status, 200);

    until("all copies have arrived", || shadow.requests().len() == 7);
    let (originals, copies) = (mimir.requests(), shadow.requests());
    assert_eq!(originals.len(), 7);
    for original in &originals {
        let same =
            |copy: &&std::sync::Arc<UpstreamRequest>| copy.target == original.target && copy.body == original.body;
        let copy = copies.iter().find(same).expect("each push has a copy");
        for name in ["x-scope-orgid", "content-type", "content-encoding", "user-agent"] {
            assert!(original.headers.all(name).eq(copy.headers.all(name)), "{name}");
        }
    }
    let marks =
        |arrival: &UpstreamRequest| arrival.headers.all("x-mimir-edge-traffic").map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(copies.iter().all(|copy| marks(copy) == [b"mirror".to_vec()]));
    assert!(originals.iter().all(|original| marks(original).is_empty()));
}

#[test]
fn only_pushes_are_copied() {
    let (mimir, shadow) = (Upstream::start(), Upstream::start());
    let backends = ProxyBackends::new(mimir.port(), shadow.port());
    let nginx = Nginx::start("mirror.conf", backends);
    let others =
        ["/prometheus/api/v1/query?query=up", "/api/v1/push/influx/write", "/otlp/v1/metrics", "/api/v1/pushes", "/"];
    for target in others {
        assert_eq!(send(nginx.port(), &Request::new("POST", target).body(b"x")).status, 200, "{target}");
    }
    assert_eq!(send(nginx.port(), &Request::new("POST", "/mimir-edge-mirror").body(b"x")).status, 404);
    assert_eq!(send(nginx.port(), &push_request("team", &samples(1).bytes)).status, 200);

    until("the push is copied", || !shadow.requests().is_empty());
    assert_eq!(shadow.requests().iter().map(|copy| copy.target.clone()).collect::<Vec<_>>(), ["/api/v1/push"]);
    assert_eq!(mimir.requests().len(), others.len() + 1);
}

#[test]
fn no_denial_of_the_edge_reaches_the_client() {
    let setup = Setup::start();
    let tally = setup.load("over", |load| load.wait_for_more(100));
    assert!(tally.slowest() < HELD, "{:?}", tally.slowest());
    until("the edge denied most", || setup.edge.rls.decisions("deny") >= (tally.pushed.len() - 1) as f64);
}

#[test]
fn a_frozen_mirror_delays_a_client_no_longer_than_documented() {
    let setup = Setup::start();
    let tally = setup.load("team", |load| {
        setup.edge.envoy.process.freeze();
        // NGINX tries the frozen Envoy again after 5 s, so the load lasts most of that time.
        let_time_pass(Duration::from_secs(4));
        load.wait_for_more(100);
    });
    setup.edge.envoy.process.resume();
    assert!(tally.slowest() < HELD, "{:?}", tally.slowest());
    let held = tally.pushed.iter().filter(|push| push.took > Duration::from_millis(450)).count();
    eprintln!("frozen: slowest {:?}, {held} of {} held", tally.slowest(), tally.pushed.len());
    // 10 copies without an answer, and one for each of 4 clients that was under way.
    assert!((1..=14).contains(&held), "{held} of {} were held", tally.pushed.len());
    let nowhere =
        setup.nginx.access_log("mirror.log").iter().filter(|line| line.contains("upstream_status=\"204\"")).count();
    assert!(nowhere >= 100, "{nowhere}");
}

#[test]
fn a_killed_mirror_delays_no_client() {
    let mut setup = Setup::start();
    setup.edge.envoy.process.kill();
    let tally = setup.load("team", |load| load.wait_for_more(300));
    eprintln!("gone: slowest {:?}", tally.slowest());
    assert!(tally.slowest() < HELD, "{:?}", tally.slowest());
}

#[test]
fn a_reload_under_load_loses_no_push() {
    let setup = Setup::start();
    let tally = setup.load("team", |load| {
        for _ in 0..5 {
            setup.nginx.reload();
            load.wait_for_more(20);
        }
    });
    eprintln!("{} pushes, {} repeated", tally.pushed.len(), tally.repeated);
}
