//! One push: series and metadata in one of the protocols, as bytes that may be corrupt, with headers that may be unusual.

use e2e::Request;
use remote_write::Protocol;
use remote_write::encode::{CONTENT_TYPE_V1, CONTENT_TYPE_V2, Encoder, Metadata, Series};

use super::damage;
use super::datapoints::{self, Clock};
use super::series::{NO_UTF8, Sender, Source};
use super::tenants::{Kind, METADATA, Tenant};
use crate::random::Random;

/// More than the edge of this test takes.
pub(crate) const TOO_LARGE: usize = 1 << 20;
/// Between the usual pushes of a tenant, so that most samples are in order.
const STEP_MS: i64 = 100;

/// The push of this number of a tenant, in a run that began at `start` (Unix milliseconds).
pub(crate) fn push(tenant: &mut Tenant, number: i64, start: i64) -> Request {
    let clock = Clock { start, now: start - 120_000 + number * STEP_MS };
    let protocol = if tenant.random.percent(40) { Protocol::V2 } else { Protocol::V1 };
    let (series, metadata) = content(tenant, protocol, clock);
    let random = &mut tenant.random;
    let mut plain = Encoder::new().encode_plain(protocol, &series, &metadata).to_vec();
    make_invalid_text(random, &mut plain);
    let body = match tenant.kind {
        Kind::TooLarge => incompressible(random, TOO_LARGE + 1),
        Kind::Usual if random.percent(12) => damage::damaged(random, protocol, plain),
        Kind::Usual | Kind::TwoHeaders => damage::compressed(&plain),
    };
    let mut request = tenants_header(tenant, Request::new("POST", "/api/v1/push"));
    request = other_headers(&mut tenant.random, protocol, request).body(&body);
    if tenant.random.percent(5) { request.chunked(tenant.random.count(1, 300)) } else { request }
}

fn content(tenant: &mut Tenant, protocol: Protocol, clock: Clock) -> (Vec<Series>, Vec<Metadata>) {
    let Tenant { limits, random, .. } = tenant;
    // Most pushes are valid, or else most are denied for their first fault; some are nothing but faults.
    let faults = random.of_values(&[0, 0, 0, 15, 15, 40, 100]);
    let source = Source { limits, clock, faults };
    let senders = [Sender::any(random), Sender::any(random)];
    let mixed = random.percent(25) && !(limits.ha_tracker_per_sample_dedupe && senders[0].rivals(&senders[1]));
    let count = random.of_values(&[0, 1, 1, 1, 1, 2, 2, 3, 4, 8]);
    let series: Vec<Series> = (0..count)
        .map(|_| {
            let sender = usize::from(mixed && random.percent(50));
            source.series(random, &senders[sender])
        })
        .collect();
    // In 2.0 they become series that have only a name.
    let chance = if protocol == Protocol::V1 { 20 } else { 8 };
    let entries = if random.percent(chance) { random.count(1, 4) } else { 0 };
    let metadata = (0..entries).map(|_| datapoints::metadata(random, limits)).collect();
    (series, metadata)
}

/// Puts bytes that are no UTF-8 where [`NO_UTF8`] is.
fn make_invalid_text(random: &mut Random, plain: &mut [u8]) {
    let bad = random.of_values(&[[0xff; 4], *b"\xc3(ab", *b"ab\xe2\x82", *b"\xed\xa0\x80x", *b"\xf4\x90\x80\x80"]);
    let marker = NO_UTF8.as_bytes();
    for at in 0..plain.len() {
        if plain[at..].starts_with(marker) {
            plain[at..at + marker.len()].copy_from_slice(&bad);
        }
    }
}

fn incompressible(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.byte()).collect()
}

/// The tenant, mostly spelled plainly. A value that is no tenant ID, or several, is denied for every tenant.
fn tenants_header(tenant: &mut Tenant, request: Request) -> Request {
    let id = tenant.id.clone();
    let spelled = |spelling: String| request.clone().header("X-Scope-OrgID", spelling);
    if tenant.kind == Kind::TwoHeaders {
        return spelled(id.clone()).header("X-Scope-OrgID", id);
    }
    match tenant.random.number(0, 99) {
        0..=3 => spelled(format!("{id}{METADATA}")),
        4 => spelled(format!("{id}:k=v")),
        5 => spelled(format!("{id}|{id}")),
        6 => spelled(format!(" {id} ")),
        7 => spelled(format!("{id}:k=v|{id}:k=v")),
        8 => spelled(format!("{id}|{id}{METADATA}")),
        9 => odd_tenant(tenant, request),
        _ => spelled(id),
    }
}

fn odd_tenant(tenant: &mut Tenant, request: Request) -> Request {
    let id = &tenant.id;
    let long = "x".repeat(tenant.random.count(150, 152));
    let spellings = [
        String::new(),
        ".".into(),
        "..".into(),
        "__mimir_cluster".into(),
        format!("{id}/"),
        format!("{id}|other"),
        format!("|{id}"),
        format!("{id}|"),
        format!("{id},{id}"),
        format!("{id}:"),
        format!("{id}:k"),
        format!("{id}:k=v:l=w"),
        format!("{id} x"),
        format!("{id}é"),
        long,
    ];
    match tenant.random.count(0, spellings.len()) {
        at if at < spellings.len() => request.header("X-Scope-OrgID", &spellings[at]),
        _ => request,
    }
}

fn other_headers(random: &mut Random, protocol: Protocol, mut request: Request) -> Request {
    let own = if protocol == Protocol::V1 { CONTENT_TYPE_V1 } else { CONTENT_TYPE_V2 };
    let odd = [
        "application/x-protobuf;proto=prometheus.WriteRequest",
        "application/x-protobuf; proto=io.prometheus.write.v2.Request",
        "application/x-protobuf;charset=utf-8;proto=io.prometheus.write.v2.Request",
        "application/x-protobuf;proto=io.prometheus.write.v3.Request",
        "application/x-protobuf;proto",
        "application/x-protobuf;a=b=c;proto=io.prometheus.write.v2.Request",
        "text/plain",
        "application/json",
        CONTENT_TYPE_V1,
        CONTENT_TYPE_V2,
        "",
    ];
    let content_type = if random.percent(6) { random.one(&odd) } else { own };
    if !content_type.is_empty() || random.percent(50) {
        request = request.header("Content-Type", content_type);
    }
    for (name, value, other) in [
        ("Content-Encoding", "snappy", "gzip"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0", "2.0.0"),
        ("User-Agent", "Prometheus/3.15.0", "curl/8"),
    ] {
        match random.number(0, 19) {
            0 => {}
            1 => request = request.header(name, other),
            _ => request = request.header(name, value),
        }
    }
    if random.percent(10) { request.header("Retry-Attempt", random.one(&["1", "3", "0", "x"])) } else { request }
}
