//! The mirror step: the edge, which gets copies, decides as the Mimir behind NGINX does, with many pushes over limits.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot do its part fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::{
    Envoy, EnvoySettings, Mimir, MimirRls, Nginx, ProxyBackends, ProxyClient, ProxyLoad, ProxyTally, Request,
    WatchedFile, noisy, push_request, until, wait_until,
};
use serde_json::Value;
use tempfile::tempdir;

/// In samples and requests a second: `over-rate` offers 4,000 samples, `over-requests` 100 requests, `over-burst` pushes of 60 samples.
const LIMITS: &str = "
overrides:
  within: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }
  over-rate: { ingestion_rate: 2000, ingestion_burst_size: 4000 }
  over-requests: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000, request_rate: 50, request_burst_size: 100 }
  over-burst: { ingestion_rate: 1e9, ingestion_burst_size: 50 }
";
const TENANTS: [(&str, usize); 4] = [("within", 100), ("over-rate", 100), ("over-requests", 10), ("over-burst", 60)];

/// Both deny what is larger.
const MAX_BYTES: usize = 1 << 20;
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 6;
const AGREEMENT: f64 = 0.02;

fn clients() -> Vec<ProxyClient> {
    let client = |tenant: &str, millis| {
        let samples = TENANTS.iter().find(|(name, _)| *name == tenant).map_or(0, |(_, samples)| *samples);
        ProxyClient::new(tenant, samples, Duration::from_millis(millis))
    };
    // A push in flight at the end of a window can count in Mimir and not yet at the edge: at most one in 200 of each client.
    let mut clients = vec![client("within", 50)];
    clients.push(client("over-rate", 25));
    clients.extend(vec![client("over-requests", 40); 4]);
    clients.extend(vec![client("over-burst", 200); 2]);
    clients.push(ProxyClient::of_requests("broken", Duration::from_millis(200), |_, number| {
        push_request(&format!("broken-{number}"), &vec![b'x'; broken_bytes(number)])
    }));
    clients.push(ProxyClient::of_requests("anonymous", Duration::from_millis(300), |_, number| {
        Request::new("POST", "/api/v1/push").body(&vec![b'x'; anonymous_bytes(number)])
    }));
    clients.push(ProxyClient::of_requests("large", Duration::from_secs(1), |_, number| {
        let mut body = noisy(MAX_BYTES + 100_000).bytes;
        body.resize(large_bytes(number), 0);
        push_request(&format!("large-{number}"), &body)
    }));
    clients.push(ProxyClient::of_requests("inflated", Duration::from_millis(500), |_, number| {
        push_request(&format!("inflated-{number}"), &inflated(number))
    }));
    clients
}

/// A small push that decompresses to more than both read.
fn inflated(number: u32) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&vec![0; 2 * MAX_BYTES + number as usize]).expect("zeros can be compressed")
}

/// A push that no bucket decides on has a size of its own, by which its line in the audit log is known.
fn broken_bytes(number: u32) -> usize {
    100 + number as usize
}

fn anonymous_bytes(number: u32) -> usize {
    5_000 + number as usize
}

fn large_bytes(number: u32) -> usize {
    MAX_BYTES + 200_000 + number as usize
}

/// NGINX gives up copies that a busy machine is late with, and then all of them for 5 s (tests/nginx_mirror.rs). Here each is to be compared.
fn with_patience(text: String) -> String {
    let timeouts = [("connect_timeout 100ms;", "connect_timeout 10s;"), ("read_timeout 500ms;", "read_timeout 10s;")];
    timeouts.iter().fold(text, |text, (short, long)| {
        assert!(text.contains(short), "mirror.conf has no {short}");
        text.replace(short, long)
    })
}

/// NGINX, which forwards to the real Mimir and mirrors to an Envoy.
struct Mirrored {
    nginx: Nginx,
    _envoy: Envoy,
    rls: MimirRls,
    mimir: Mimir,
}

impl Mirrored {
    fn start(folder: &Path, limits: &WatchedFile) -> Self {
        let max = format!("-distributor.max-recv-msg-size={MAX_BYTES}");
        let mimir = Mimir::start_with(&folder.join("mimir"), &limits.path(), &[&max]);
        let arguments = [
            format!("--max-request-bytes={MAX_BYTES}"),
            format!("--max-decoded-bytes={MAX_BYTES}"),
            format!("--audit-log={}", audit(folder).display()),
        ];
        let rls = MimirRls::start(folder, &limits.source(), &arguments);
        until("mimir-rls is ready", || rls.readiness() == Some(200));
        let settings = EnvoySettings {
            failure_mode_allow: true,
            max_request_bytes: 100 << 20,
            ..EnvoySettings::with_rls(vec![rls.grpc_port()])
        };
        let envoy = Envoy::start(folder, &settings);
        let backends = ProxyBackends::new(mimir.port(), envoy.port());
        Self { nginx: Nginx::start_edited("mirror.conf", backends, with_patience), _envoy: envoy, rls, mimir }
    }

    /// The samples that the edge would have accepted so far, and when that was.
    fn allowed(&self) -> MonotonicNanos {
        let asked = Instant::now();
        let page = self.rls.get("/metrics");
        let at = asked + asked.elapsed() / 2;
        let value = |tenant: &str| -> usize {
            let series = format!(r#"rls_tenant_decisions_total{{decision="allow",tenant="{tenant}"}}"#);
            let text = page.text();
            let line = text.lines().find_map(|line| line.strip_prefix(&series)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
        };
        MonotonicNanos { at, allowed: TENANTS.map(|(tenant, samples)| value(tenant) * samples) }
    }

    /// The samples that Mimir says it took of a tenant.
    fn taken(&self, tenant: &str) -> usize {
        let series = format!(r#"cortex_distributor_received_samples_total{{user="{tenant}"}}"#);
        self.mimir.metric(&series).unwrap_or_default() as usize
    }
}

/// The border of two windows.
struct MonotonicNanos {
    at: Instant,
    /// Samples, tenant by tenant as in [`TENANTS`].
    allowed: [usize; TENANTS.len()],
}

impl MonotonicNanos {
    /// The samples of pushes that Mimir had answered with 200. Its own counter has the same in the end, but its page takes too long to read for a
    /// border.
    fn taken(&self, tally: &ProxyTally, tenant: &str) -> usize {
        let before = tally.of(tenant, 200).filter(|push| push.started + push.took <= self.at);
        before.map(|push| push.samples).sum()
    }
}

fn audit(folder: &Path) -> std::path::PathBuf {
    folder.join("audit.jsonl")
}

/// Compares what both accepted between each border and the next.
#[track_caller]
fn agree(borders: &[MonotonicNanos], tally: &ProxyTally) {
    for (window, border) in borders.windows(2).enumerate() {
        let [from, to] = border else { unreachable!("windows of two") };
        for (index, (tenant, _)) in TENANTS.iter().enumerate() {
            let taken = to.taken(tally, tenant) - from.taken(tally, tenant);
            let allowed = to.allowed[index] - from.allowed[index];
            let apart = taken.abs_diff(allowed) as f64 / taken.max(allowed).max(1) as f64;
            eprintln!(
                "window {}, {tenant}: Mimir took {taken} samples, the edge would have {allowed}: {:.2} % apart",
                window + 1,
                apart * 100.0
            );
            assert!(apart <= AGREEMENT, "window {}, {tenant}: {taken} and {allowed}", window + 1);
        }
    }
}

/// Tenant, size and status of each denial that no bucket decided, with its text.
type Denials = BTreeMap<(Option<String>, usize), (u16, String)>;

fn rejections_of_mimir(tally: &ProxyTally) -> Denials {
    let denial = |push: &e2e::AnsweredPush| {
        let number = push.number;
        let (tenant, bytes) = match push.tenant.as_str() {
            "broken" => (Some(format!("broken-{number}")), broken_bytes(number)),
            "anonymous" => (None, anonymous_bytes(number)),
            "inflated" => (Some(format!("inflated-{number}")), inflated(number).len()),
            "large" => (Some(format!("large-{number}")), large_bytes(number)),
            _ => return None,
        };
        Some(((tenant, bytes), (push.answer.status, push.answer.text().trim_end().to_owned())))
    };
    tally.pushed.iter().filter_map(denial).collect()
}

fn denials_of_edge(folder: &Path) -> Denials {
    let text = fs::read_to_string(audit(folder)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let denials = lines
        .filter(|line| !matches!(line["reason"].as_str(), Some("request_rate" | "ingestion_rate" | "ingestion_burst")));
    let denial = |line: Value| {
        let number = |field: &str| line[field].as_u64().unwrap_or_default();
        let message = line["message"].as_str().unwrap_or_default().trim_end().to_owned();
        (
            (line["tenant"].as_str().map(str::to_owned), number("body_bytes") as usize),
            (number("status") as u16, message),
        )
    };
    denials.map(denial).collect()
}

/// Both deny it with the same text, except a push that is too large as sent: there the edge has a text of its own (docs/parity.md).
fn agrees((tenant, _): &(Option<String>, usize), by_mimir: &(u16, String), by_edge: Option<&(u16, String)>) -> bool {
    if tenant.as_ref().is_some_and(|tenant| tenant.starts_with("large-")) {
        return by_mimir.0 == 400 && by_edge.is_some_and(|(status, _)| *status == 413);
    }
    by_edge == Some(by_mimir)
}

#[test]
fn a_mirrored_edge_decides_as_mimir_does() {
    let folder = tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(LIMITS);
    let mirrored = Mirrored::start(folder.path(), &limits);
    let mut borders = vec![mirrored.allowed()];
    let load = ProxyLoad::start(mirrored.nginx.port(), clients());
    let started = Instant::now();
    for window in 1..=WINDOWS {
        // What is compared is what both allow in a window of time, so the window has to pass.
        wait_until(started + WINDOW * window as u32);
        borders.push(mirrored.allowed());
    }
    let tally = load.stop();

    assert_eq!(tally.errors, [""; 0]);
    let denied = tally.pushed.iter().filter(|push| push.answer.status == 429).count();
    eprintln!("{denied} of {} pushes were over limits, as Mimir said", tally.pushed.len());
    assert!(denied * 5 >= tally.pushed.len(), "less than 20 % are over limits: {denied} of {}", tally.pushed.len());
    agree(&borders, &tally);

    let by_mimir = rejections_of_mimir(&tally);
    until("the edge has decided on the last copies", || denials_of_edge(folder.path()).len() >= by_mimir.len());
    let by_edge = denials_of_edge(folder.path());
    for (status, part) in [(400, "corrupt"), (400, "(compressed)"), (400, "(uncompressed)"), (401, "no org id")] {
        let count = by_mimir.values().filter(|(rejected, text)| *rejected == status && text.contains(part)).count();
        eprintln!("{count} pushes were denied with {status}, ... {part} ...");
        assert!(count >= 50, "{part}: {:?}", by_mimir.values().next());
    }
    let apart: Vec<_> =
        by_mimir.iter().filter(|(push, rejection)| !agrees(push, rejection, by_edge.get(*push))).collect();
    assert!(apart.is_empty(), "{} have another denial, {:?}: {:?}", apart.len(), apart[0], by_edge.get(apart[0].0));
    assert_eq!(by_edge.len(), by_mimir.len());
    for (tenant, _) in TENANTS {
        assert_eq!(mirrored.taken(tenant), tally.accepted(tenant), "{tenant}: something was ingested twice, or lost");
    }
}
