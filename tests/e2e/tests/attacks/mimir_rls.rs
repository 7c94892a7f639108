//! mimir-rls's own ports, and names that clients invent: what one client takes there, seen by those who push through Envoy.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{
    Connection, Edge, Http2Bytes, RateLimitCaller, Request, connect_from, let_time_pass, push_request, samples, until,
    wait_until,
};

use super::neighbours::{Seen, during};
use super::{ATTACKER, LIMITS, MIB, NEIGHBOURS_WAIT};

/// A page for each of the tables that grow with what clients do.
const PAGES: [&str; 4] = ["/metrics", "/api/v1/tenants?limit=1000", "/api/v1/denials?limit=1000", "/api/v1/problems"];
const FLOOD: Duration = Duration::from_secs(4);
/// MiB. The most of these attacks is 264, with rows for 347,000 tenants.
const MOST_MEMORY: u64 = 400;
/// More names than mimir-rls keeps buckets for, beside those with an override.
const OVERRIDDEN: usize = 97_000;
const INVENTED: usize = 250_000;

#[track_caller]
fn report(edge: &Edge, seen: &Seen, attack: &str) {
    let rls = edge.rls.process.peak_rss() / MIB;
    let envoy = edge.envoy.process.peak_rss() / MIB;
    let what = format!("{attack}; peak of mimir-rls {rls} MiB, of Envoy {envoy} MiB");
    seen.is_within_the_band(&what, NEIGHBOURS_WAIT);
    assert!(rls < MOST_MEMORY, "mimir-rls has taken {rls} MiB");
    let failed = r#"envoy_cluster_health_check_failure{envoy_cluster_name="mimir_rls"}"#;
    assert_eq!(edge.envoy.metric(failed), Some(0.0), "health checks are on time");
}

/// Limits of the neighbour, and of so many other tenants.
fn limits_of(tenants: usize) -> String {
    let other = |number| format!("  o{number}: {{ ingestion_rate: 0.001, ingestion_burst_size: 2 }}\n");
    let others: String = (0..tenants).map(other).collect();
    format!("overrides:\n  modest: {{ ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }}\n{others}")
}

fn connect_and_send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = connect_from(ATTACKER, port).expect("mimir-rls accepts");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
    // mimir-rls may close the connection, or stop reading.
    drop(stream.write_all(bytes));
    stream
}

/// 100 Check calls that claim 16 MiB and send 5 bytes.
fn claims(tenant: &str) -> Vec<u8> {
    let head: [(&str, &[u8]); 7] = [
        (":method", b"POST"),
        (":scheme", b"http"),
        (":path", b"/envoy.service.auth.v3.Authorization/Check"),
        (":authority", b"edge"),
        ("content-type", b"application/grpc"),
        ("te", b"trailers"),
        ("x-scope-orgid", tenant.as_bytes()),
    ];
    let claim = |bytes: Http2Bytes, number: u32| {
        let stream = 2 * number + 1;
        bytes.headers(stream, &head, false).data(stream, &[0, 1, 0, 0, 0], false)
    };
    (0..100).fold(Http2Bytes::new(&[]), claim).bytes()
}

#[test]
fn claimed_lengths_leave_room_for_neighbours() {
    let edge = Edge::start(LIMITS);
    let reserved = || edge.rls.metric("rls_in_flight_bytes").unwrap_or_default();
    let ((open, most), seen) = during(edge.port(), || {
        let claim = |number: usize| connect_and_send(edge.rls.grpc_port(), &claims(&format!("greedy-{number}")));
        let open: Vec<_> = (0..20).map(claim).collect();
        until("the calls are in flight", || reserved() >= 2_000.0 * 4_096.0);
        let most = reserved();
        let_time_pass(FLOOD);
        (open, most)
    });
    report(&edge, &seen, "2,000 calls that claim 16 MiB each");
    assert!(most < 32.0 * MIB as f64, "{most} bytes are reserved for what was only claimed");
    drop(open);
}

#[test]
fn silent_connections_to_both_ports_leave_room_for_neighbours() {
    let edge = Edge::start(LIMITS);
    let (open, seen) = during(edge.port(), || {
        let silent = |port: u16| (0..1_000).map(|_| connect_and_send(port, b"")).collect::<Vec<_>>();
        let open = (silent(edge.rls.grpc_port()), silent(edge.rls.http_port()));
        for _ in 0..20 {
            assert_eq!(edge.rls.readiness(), Some(200));
            drop(RateLimitCaller::connect(edge.rls.grpc_port()));
        }
        let_time_pass(FLOOD);
        open
    });
    report(&edge, &seen, "1,000 silent connections on each port");
    drop(open);
}

#[test]
fn floods_of_pages_leave_decisions_on_time() {
    let edge = Edge::start(LIMITS);
    let answered = AtomicUsize::new(0);
    let ((), seen) = during(edge.port(), || {
        let end = Instant::now() + FLOOD;
        thread::scope(|scope| {
            for client in 0..20 {
                let (edge, answered) = (&edge, &answered);
                scope.spawn(move || {
                    let mut pages = PAGES.into_iter().cycle().skip(client);
                    let Ok(mut open) = Connection::open_from(ATTACKER, edge.rls.http_port()) else { return };
                    while let Some(page) = pages.next().filter(|_| Instant::now() < end) {
                        if open.send(&Request::new("GET", page)).is_err() {
                            return;
                        }
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    });
    let answered = answered.into_inner();
    report(&edge, &seen, &format!("{answered} metrics and pages for 20 clients in 4 s"));
    assert!(answered > 100, "{answered}");
}

#[test]
fn unread_pages_hold_little_memory() {
    let edge = Edge::start(&limits_of(5_000));
    let before = edge.rls.process.rss();
    let request = PAGES.map(|page| format!("GET {page} HTTP/1.1\r\nHost: edge\r\n\r\n")).concat().repeat(20);
    let (open, seen) = during(edge.port(), || {
        let open: Vec<_> = (0..1_000).map(|_| connect_and_send(edge.rls.http_port(), request.as_bytes())).collect();
        until("those that do not read lose their connections", || {
            edge.rls.metric(r#"rls_http_connections_closed_total{reason="unread"}"#) >= Some(900.0)
        });
        open
    });
    let grown = edge.rls.process.peak_rss().saturating_sub(before) / MIB;
    report(&edge, &seen, &format!("80,000 requests for pages that nobody reads, mimir-rls's growth {grown} MiB"));
    assert!(grown < 150, "mimir-rls grew by {grown} MiB");
    drop(open);
}

#[test]
fn pages_of_many_tenants_leave_decisions_on_time() {
    // Buckets that fill slowly, so that none is evicted.
    let folder = tempfile::tempdir().expect("a folder can be made");
    let defaults = folder.path().join("mimir.yaml");
    fs::write(&defaults, "limits: { ingestion_rate: 0.001, ingestion_burst_size: 2 }").expect("a file can be written");
    let argument = format!("--default-limits={}", defaults.display());
    let edge = Edge::builder().rls_arguments(&[&argument]).start(&limits_of(OVERRIDDEN));
    let caller = RateLimitCaller::connect(edge.rls.grpc_port());
    caller.charge_each(&(0..INVENTED).map(|number| format!("invented-{number}")).collect::<Vec<_>>());
    caller.charge_each(&(0..OVERRIDDEN).map(|number| format!("o{number}")).collect::<Vec<_>>());
    let tenants = edge.rls.metric("rls_tenants").unwrap_or_default();
    let (pages, seen) = during(edge.port(), || {
        let begun = Instant::now();
        let page = |number: u32| {
            wait_until(begun + Duration::from_millis(20) * number);
            Connection::open_from(ATTACKER, edge.rls.http_port())
                .and_then(|mut open| open.send(&Request::new("GET", "/api/v1/tenants?limit=1")))
                .is_ok_and(|answer| answer.status == 200)
        };
        let pages = |first: u32| (first..200).step_by(10).filter(|number| page(*number)).count();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..10).map(|first| scope.spawn(move || pages(first))).collect();
            clients.into_iter().map(|client| client.join().expect("a client asks")).sum::<usize>()
        })
    });
    report(&edge, &seen, &format!("{pages} pages of one of {tenants} tenants, 50 a second"));
    assert!(tenants > 340_000.0, "{tenants} tenants");
    assert_eq!(pages, 200);
}

#[test]
fn invented_tenants_leave_denials_of_known_ones_on_record() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let audit = folder.path().join("audit.jsonl");
    let argument = format!("--audit-log={}", audit.display());
    let limits = "overrides: { modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 },\n\
                  known: { ingestion_rate: 0, ingestion_burst_size: 0 } }";
    let edge = Edge::builder().rls_arguments(&[&argument]).start(limits);
    let begun = Instant::now() + Duration::from_secs(1);
    let end = begun + FLOOD;
    let ((denied, invented), seen) = during(edge.port(), || {
        let flood = |client: usize| {
            let connect = || Connection::open_from(ATTACKER, edge.port()).expect("Envoy accepts");
            let (mut open, mut denied) = (connect(), 0);
            while Instant::now() < end {
                match open.send(&push_request(&format!("invented-{client}-{denied}"), b"unreadable")) {
                    Ok(answer) => {
                        assert_eq!(answer.status, 400, "{}", answer.text());
                        denied += 1;
                    }
                    Err(_) => open = connect(),
                }
            }
            denied
        };
        thread::scope(|scope| {
            let flood = &flood;
            let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || flood(client))).collect();
            // Ten a second are in the allowance of one tenant.
            let denied = (0..40_u32).filter(|number| {
                wait_until(begun + Duration::from_millis(100) * *number);
                edge.push("known", &samples(1).bytes).status == 429
            });
            (denied.count(), clients.into_iter().map(|client| client.join().expect("a client pushes")).sum::<usize>())
        })
    });
    report(&edge, &seen, &format!("{invented} denied pushes of as many invented tenants"));
    assert_eq!(denied, 40, "denials of the known tenant");
    assert!(invented > 500, "{invented} of invented ones");
    let of_known = || fs::read_to_string(&audit).unwrap_or_default().matches(r#""tenant":"known""#).count();
    until("the audit log has every denial of the known tenant", || of_known() == denied);
    let recent = edge.rls.get("/api/v1/denials?limit=1000&tenant=known").json();
    let rows = recent.pointer("/denials").and_then(|rows| rows.as_array()).map_or(0, Vec::len);
    assert_eq!(rows, denied, "rows of the known tenant");
}
