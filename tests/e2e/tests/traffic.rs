//! Copies and real pushes that reach an Envoy of the wrong mode, and an Envoy that is about to stop.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::PathBuf;

use e2e::{Connection, Edge, Envoy, EnvoySettings, Load, Request, Signal, push_request, samples, until};

const TRAFFIC: &str = "X-Mimir-Edge-Traffic";
const LIMITS: &str = "overrides: { small: { ingestion_rate: 0.001, ingestion_burst_size: 10 } }";

fn samples_allowed(edge: &Edge) -> f64 {
    edge.rls.metric(r#"rls_samples_total{decision="allow"}"#).unwrap_or_default()
}

/// A folder for another Envoy.
fn folder(edge: &Edge) -> PathBuf {
    let folder = edge.folder().join("other-envoy");
    fs::create_dir(&folder).expect("a folder can be made");
    folder
}

#[test]
fn a_copy_is_decided_and_charged_and_never_reaches_mimir() {
    let edge = Edge::start(LIMITS);
    let copy = push_request("small", &samples(10).bytes).header(TRAFFIC, "mirror");
    let answer = edge.send(&copy);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
    assert_eq!(samples_allowed(&edge), 10.0);
    assert_eq!(edge.send(&copy).status, 429);
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_live_push_reaches_mimir_without_the_traffic_header() {
    let edge = Edge::start(LIMITS);
    assert_eq!(edge.send(&push_request("team", &samples(1).bytes).header(TRAFFIC, "live")).status, 200);
    assert_eq!(edge.send(&push_request("team", &samples(1).bytes)).status, 200);
    let arrivals = edge.upstream.requests();
    assert_eq!(arrivals.len(), 2);
    for arrival in arrivals {
        assert_eq!(arrival.headers.get(TRAFFIC), None);
    }
}

#[test]
fn a_mirror_envoy_answers_copies_and_denies_live_pushes() {
    let edge = Edge::start(LIMITS);
    let mirror = Envoy::start(&folder(&edge), &EnvoySettings::with_rls(vec![edge.rls.grpc_port()]));
    let push = push_request("small", &samples(10).bytes);
    let send =
        |request: &Request| Connection::open(mirror.port()).and_then(|mut it| it.send(request)).expect("Envoy answers");

    let answer = send(&push.clone().header(TRAFFIC, "live"));
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("only mirrors"), "{}", answer.text());
    assert_eq!(samples_allowed(&edge), 0.0);

    assert_eq!(send(&push.clone().header(TRAFFIC, "mirror")).status, 200);
    assert_eq!(samples_allowed(&edge), 10.0);
    assert_eq!(send(&push).status, 429);
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_draining_envoy_closes_its_clients_connections_before_it_exits() {
    let mut edge = Edge::start(LIMITS);
    let other = Envoy::start(
        &folder(&edge),
        &EnvoySettings {
            upstream_port: Some(edge.upstream.port()),
            ..EnvoySettings::with_rls(vec![edge.rls.grpc_port()])
        },
    );
    let push = push_request("team", &samples(1).bytes);
    let mut kept = Connection::open(edge.port()).expect("Envoy takes a connection");
    assert_eq!(kept.send(&push).expect("Envoy answers").headers.get("connection"), None);

    let load = Load::start(edge.port(), vec![push.clone(); 8]);
    load.wait_for_more_of(200, 50);
    edge.envoy.drain();
    until("the drained Envoy is not ready", || edge.envoy.readiness() == Some(503));
    let answer = kept.send(&push).expect("Envoy still answers");
    assert_eq!((answer.status, answer.headers.get("connection").as_deref()), (200, Some("close")));
    load.wait_for_more_of(200, 50);
    let elsewhere = Load::start(other.port(), vec![push; 8]);
    let tally = load.stop();
    assert_eq!((tally.of(200), tally.errors.len()), (tally.answers(), 0), "{tally:?}");

    edge.envoy.process.signal(Signal::TERM);
    edge.envoy.process.wait();
    elsewhere.wait_for_more_of(200, 50);
    let tally = elsewhere.stop();
    assert_eq!((tally.of(200), tally.errors.len()), (tally.answers(), 0), "{tally:?}");
}
