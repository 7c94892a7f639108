//! The metrics port: a flood there takes neither Envoy's memory nor its main thread, which runs the health checks of mimir-rls.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::{Connection, Edge, Request, connect_from, free_port, let_time_pass, until, until_within};

use super::neighbours::during;
use super::{ATTACKER, LIMITS, MIB, NEIGHBOURS_WAIT};

#[test]
fn unread_responses_leave_the_metrics_port_usable() {
    let edge = Edge::start(LIMITS);
    let before = edge.envoy.process.rss();
    let page = "GET /stats/prometheus HTTP/1.1\r\nHost: edge\r\n\r\n";
    let (open, seen) = during(edge.port(), || {
        let open: Vec<TcpStream> = (0..1000)
            .filter_map(|_| {
                let mut stream = connect_from(ATTACKER, edge.envoy.metrics_port()).ok()?;
                // Ten requests in a row on each connection. Envoy closes those beyond its limit.
                drop(stream.write_all(page.repeat(10).as_bytes()));
                Some(stream)
            })
            .collect();
        // A scrape and a probe of another address are answered meanwhile, and the health checks go on.
        for _ in 0..20 {
            assert_eq!(
                edge.envoy.metric(r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir_rls"}"#),
                Some(1.0)
            );
            assert_eq!(edge.envoy.readiness(), Some(200));
        }
        let_time_pass(Duration::from_secs(3));
        open
    });
    let grown = edge.envoy.process.peak_rss().saturating_sub(before);
    seen.is_within_the_band(
        &format!("10,000 requests for metrics with unread responses, Envoy's growth {} MiB", grown / MIB),
        NEIGHBOURS_WAIT,
    );
    assert!(grown < 150 * MIB, "Envoy grew by {} MiB", grown / MIB);
    assert_eq!(edge.envoy.metric(r#"envoy_cluster_health_check_failure{envoy_cluster_name="mimir_rls"}"#), Some(0.0));
    drop(open);
    let scrape = || {
        let mut scrape = Connection::open_from(ATTACKER, edge.envoy.metrics_port())?;
        scrape.send(&Request::new("GET", "/stats/prometheus"))
    };
    until_within(Duration::from_secs(20), "the attacker too may scrape", || {
        scrape().is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn a_flood_of_scrapes_leaves_the_health_checks_on_time() {
    let edge = Edge::start(LIMITS);
    let ((), seen) = during(edge.port(), || {
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Ok(mut scrape) = Connection::open_from(ATTACKER, edge.envoy.metrics_port()) else {
                            continue;
                        };
                        // Beyond its 16 connections Envoy closes them.
                        drop(scrape.send(&Request::new("GET", "/stats/prometheus")));
                    }
                });
            }
        });
    });
    seen.is_within_the_band("1,000 scrapes by 20 clients at once", NEIGHBOURS_WAIT);
    assert_eq!(edge.envoy.metric(r#"envoy_cluster_health_check_failure{envoy_cluster_name="mimir_rls"}"#), Some(0.0));
}

#[test]
fn the_metrics_port_takes_no_http_2() {
    let edge = Edge::start(LIMITS);
    let mut stream = TcpStream::connect(("127.0.0.1", edge.envoy.metrics_port())).expect("Envoy accepts");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("Envoy reads");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
}

#[test]
fn probes_are_answered_while_a_client_takes_their_places() {
    let port = free_port();
    let edge = Edge::builder().envoy_value("listeners.probePort", port.to_string().leak()).start(LIMITS);
    let ready = |client, port| {
        let answer = Connection::open_from(client, port).and_then(|mut it| it.send(&Request::new("GET", "/ready")));
        answer.ok().map(|answer| answer.status)
    };
    // The prober has the client's address, so both are of one class.
    let silent = |count, port| -> Vec<TcpStream> {
        (0..count).map(|_| connect_from(ATTACKER, port).expect("Envoy accepts")).collect()
    };
    assert_eq!(ready(ATTACKER, port), Some(200));
    let mut on_metrics = silent(20, edge.envoy.metrics_port());
    // Two workers that take a place at once may both count the other, and a place stays free.
    until("the client has all of its places", || {
        on_metrics.extend(silent(1, edge.envoy.metrics_port()));
        ready(ATTACKER, edge.envoy.metrics_port()).is_none()
    });
    for _ in 0..20 {
        assert_eq!(ready(ATTACKER, port), Some(200));
    }
    let on_probes = silent(300, port);
    assert_eq!(ready(Ipv4Addr::LOCALHOST, port), Some(200));
    // Silent connections end after a second there, and the client keeps its side of them.
    until_within(Duration::from_secs(5), "a probe finds a place", || ready(ATTACKER, port) == Some(200));
    assert_eq!(ready(ATTACKER, edge.envoy.metrics_port()), None);
    drop((on_metrics, on_probes));
}
