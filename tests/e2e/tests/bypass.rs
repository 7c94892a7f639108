//! No request gets a sample into Mimir that mimir-rls did not charge: a table of path spellings, headers, framings and mixtures of HTTP versions
//! through the real Envoy to the real Mimir, and what Mimir ingested compared with what mimir-rls charged.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod framings;
mod headers;
mod http2;
mod targets;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::{Edge, EdgeBuilder, Mimir, WatchedFile, report, samples, until};
use tempfile::tempdir;

/// Samples in each push. Each case may send several pushes.
const SAMPLES: usize = 7;
/// In a case's bytes: its tenant.
const TENANT: &str = "TENANT-0000";
/// Answers come within milliseconds. A request that is not complete for Envoy gets none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Cases at once.
const CLIENTS: usize = 16;

/// A request, or several on one connection.
struct Case {
    name: String,
    bytes: Vec<u8>,
    http2: bool,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes, http2: false }
    }

    /// The bytes with a tenant of the same length in place of [`TENANT`].
    fn of_tenant(&self, tenant: &str) -> Vec<u8> {
        assert_eq!(tenant.len(), TENANT.len(), "lengths in the bytes stay true");
        let mut bytes = self.bytes.clone();
        let places: Vec<usize> = bytes
            .windows(TENANT.len())
            .enumerate()
            .filter(|(_, at)| *at == TENANT.as_bytes())
            .map(|(at, _)| at)
            .collect();
        for place in places {
            bytes.splice(place..place + TENANT.len(), tenant.bytes());
        }
        bytes
    }
}

fn push() -> Vec<u8> {
    samples(SAMPLES).bytes
}

/// A push over HTTP/1.1: the request line and header lines as they are, the length and the body added.
fn http1(lines: &[&[u8]]) -> Vec<u8> {
    let body = push();
    let length = format!("Content-Length: {}", body.len());
    let bytes = lines.iter().copied().chain([length.as_bytes(), b"", b""]).collect::<Vec<_>>().join(b"\r\n".as_slice());
    [bytes, body].concat()
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> =
        [targets::cases(), headers::cases(), framings::cases(), http2::cases()].into_iter().flatten().collect();
    assert!(cases.len() < 400, "mimir-rls counts 500 tenants that it allows");
    cases
}

/// Sends a case and reads what comes: to the end, or until nothing comes any more.
fn send(port: u16, case: &Case, tenant: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let bytes = case.of_tenant(tenant);
    if case.http2 {
        drop(stream.write_all(&bytes));
        drop(e2e::read_to_end_of_streams(&mut stream, http2::STREAMS));
        return Vec::new();
    }
    // A request behind the case makes Envoy close the connection when it has answered all.
    let last = b"GET /healthz HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    drop(stream.write_all(&[bytes.as_slice(), last].concat()));
    let mut answers = Vec::new();
    drop(stream.read_to_end(&mut answers));
    answers
}

/// The answers to each case, sent for a tenant of its own whose name begins so.
fn send_all(port: u16, cases: &[Case], kind: &str) -> Vec<Vec<u8>> {
    let next = AtomicUsize::new(0);
    let mut answers: Vec<(usize, Vec<u8>)> = thread::scope(|scope| {
        let client = || {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(number) else { return answers };
                answers.push((number, send(port, case, &tenant(kind, number))));
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client sends its cases")).collect()
    });
    answers.sort();
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn tenant(kind: &str, number: usize) -> String {
    format!("{kind}-{number:04}")
}

/// The value of each series of a metric, by one of its labels.
fn by_label(page: &str, metric: &str, label: &str, also: &str) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with(&format!("{metric}{{")) && line.contains(also)) {
        let Some((_, rest)) = line.split_once(&format!("{label}=\"")) else { continue };
        let (Some((name, _)), Some((_, value))) = (rest.split_once('"'), line.rsplit_once(' ')) else { continue };
        *values.entry(name.to_owned()).or_default() += value.parse::<f64>().unwrap_or_default();
    }
    values
}

/// The status of an answer to the case itself, if it has one.
fn status(answers: &[u8]) -> Option<u16> {
    std::str::from_utf8(answers.get(9..12)?).ok()?.parse().ok()
}

/// The same tenant in every request that names one besides its own.
const ANOTHER: &str = "other";

#[test]
fn no_request_gets_an_uncharged_sample_into_mimir() {
    ingests_only_what_is_charged("", Edge::builder());
}

#[test]
fn no_request_gets_an_uncharged_sample_past_a_passed_prefix() {
    let passes = [("paths[0].path", "/"), ("paths[0].match", "prefix"), ("paths[0].action", "pass")];
    let builder = passes.iter().fold(Edge::builder(), |builder, (name, value)| builder.envoy_value(name, value));
    ingests_only_what_is_charged("with a prefix that passes: ", builder);
}

#[test]
fn no_request_gets_an_uncharged_sample_past_failing_open() {
    let builder = Edge::builder().failing_open().charge_samples_in_rate_limit();
    ingests_only_what_is_charged("failing open, charged by the rate limit call: ", builder);
}

/// Samples by tenant.
type Samples = BTreeMap<String, f64>;

fn ingested(mimir: &Mimir) -> Samples {
    by_label(&mimir.metrics(), "cortex_distributor_received_samples_total", "user", "")
}

/// What Mimir ingested since `before`.
fn ingested_since(before: &Samples, mimir: &Mimir) -> Samples {
    let since = |(tenant, samples): (String, f64)| {
        let samples = samples - before.get(&tenant).copied().unwrap_or_default();
        (samples > 0.0).then_some((tenant, samples))
    };
    ingested(mimir).into_iter().filter_map(since).collect()
}

fn ingests_only_what_is_charged(how: &str, edge: EdgeBuilder) {
    let cases = cases();
    let over: String = (0..cases.len())
        .map(|number| format!("  {}: {{ ingestion_rate: 0.001, ingestion_burst_size: 1 }}\n", tenant("OVER-X", number)))
        .collect();
    let folder = tempdir().expect("a folder can be made");
    // Mimir itself limits nothing.
    let unlimited = WatchedFile::of("overrides: {}");
    let flags = ["-distributor.influx-endpoint-enabled=true", "-distributor.ingestion-rate-limit=1e12"];
    let mimir = Mimir::start_with(&folder.path().join("mimir"), &unlimited.path(), &flags);
    let edge = edge.upstream(mimir.port()).start(&format!("overrides:\n{over}"));

    drop(send_all(mimir.port(), &cases, "DIRECT"));
    let direct = ingested(&mimir);
    let answers = send_all(edge.port(), &cases, "WITHIN");
    drop(send_all(edge.port(), &cases, "OVER-X"));
    let active = r#"envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="push"}"#;
    until("Envoy is done with all of them", || edge.envoy.metric(active) == Some(0.0));
    let ingested = ingested_since(&direct, &mimir);

    let page = edge.rls.get("/metrics").text().into_owned();
    let pushes = by_label(&page, "rls_tenant_decisions_total", "tenant", "decision=\"allow\"");
    check_charged(&ingested, &pushes, &cases, &answers);
    let charged = edge.rls.metric(r#"rls_samples_total{decision="allow"}"#).unwrap_or_default();
    let through: f64 = ingested.values().sum();
    assert!(through <= charged, "Mimir ingested {through} samples, and mimir-rls charged {charged}");

    let outcomes = outcomes(&answers, &pushes);
    let direct = (0..cases.len()).filter(|number| direct.contains_key(&tenant("DIRECT", *number))).count();
    report(&format!("{how}{} cases, 0 uncharged ingests: {outcomes:?}; Mimir alone ingests {direct}", cases.len()));
    assert!(cases.len() > 200, "{}", cases.len());
    assert!(outcomes.get("charged").is_some_and(|charged| *charged > 40), "{outcomes:?}");
}

/// Mimir has samples only of tenants that the cases name, and of each no more than mimir-rls charged it for. It has less only of copies, which Envoy does
/// not forward.
fn check_charged(ingested: &Samples, pushes: &BTreeMap<String, f64>, cases: &[Case], answers: &[Vec<u8>]) {
    let of_cases = cases.iter().zip(answers).enumerate().map(|(number, (case, answer))| {
        (tenant("WITHIN", number), format!("{}: {}", case.name, answer.escape_ascii()))
    });
    let named: BTreeMap<String, String> = of_cases.chain([(ANOTHER.to_owned(), "any case".to_owned())]).collect();
    for (tenant, samples) in ingested {
        let case =
            named.get(tenant).unwrap_or_else(|| unreachable!("no case has the tenant {tenant:?}: {samples} samples"));
        let charged = pushes.get(tenant).copied().unwrap_or_default() * SAMPLES as f64;
        assert!(*samples <= charged, "{tenant}: {samples} samples, {charged} charged; {case}");
    }
}

/// How many cases ended in which way.
fn outcomes(answers: &[Vec<u8>], pushes: &BTreeMap<String, f64>) -> BTreeMap<&'static str, usize> {
    let mut outcomes = BTreeMap::new();
    for (number, answer) in answers.iter().enumerate() {
        let outcome = match (pushes.get(&tenant("WITHIN", number)).is_some_and(|pushes| *pushes > 0.0), status(answer))
        {
            (true, _) => "charged",
            (false, Some(404)) => "404",
            (false, Some(400..)) => "another denial",
            (false, Some(_)) => "answered, nothing ingested",
            (false, None) => "no answer, nothing ingested",
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}
