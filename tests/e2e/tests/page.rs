//! The page in a real Chromium: what people find on it, by mouse and by keyboard, in both themes, on a desktop and a phone.
//!
//! tests/e2e/page/drive.cjs drives it. The clock of mimir-rls runs [`SPEED`] times as fast, so that a tenant has a past after seconds.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Edge, MimirRls, OverridesSync, report, repository, samples, tool, until, wait_until};
use serde_json::json;

const SPEED: u32 = 10;
const TENANTS: usize = 10_000;
const LONG: &str =
    "team-with-a-very-long-name-that-somebody-made-from-the-names-of-three-departments-and-a-region-eu-central-1";
const REFUSED: &str = "checkout";
const TOKEN: &str = "the-token-of-the-page";
/// How long the refused tenant sends less than its limit at first.
const CALM: Duration = Duration::from_secs(18);
/// Between two pushes of a tenant.
const PERIOD: Duration = Duration::from_millis(50);

/// What a tenant sends, in items a second of the fast clock: at first, and from the end of [`CALM`] on.
const LOADS: [(&str, usize, usize); 5] = [
    (REFUSED, 640, 1_480),
    ("payments-eu", 850, 850),
    ("search", 1_700, 2_200),
    ("inventory", 400, 400),
    (LONG, 90, 90),
];

const EDGE_CONFIG: &str = "{ mode: enforce, tenants: { search: { mode: shadow } } }";

/// Limits of the tenants that send something, of many others, and an entry that no push can have.
fn limits() -> String {
    let mut limits = format!(
        "overrides:
  {REFUSED}:
    ingestion_rate: 1000
    ingestion_burst_size: 5000
  payments-eu: {{ ingestion_rate: 1000, ingestion_burst_size: 40000 }}
  search: {{ ingestion_rate: 2000, ingestion_burst_size: 20000 }}
  inventory: {{ ingestion_rate: 2000, ingestion_burst_size: 20000 }}
  billing: {{ request_rate: 20, request_burst_size: 40 }}
  {LONG}: {{ ingestion_rate: 5000, ingestion_burst_size: 10000 }}
  c/tenant: {{ ingestion_rate: 1 }}
"
    );
    for number in 0..TENANTS {
        writeln!(limits, "  tenant-{number:05}: {{ ingestion_rate: {} }}", 100 * (1 + number % 50)).expect("a text");
    }
    limits
}

/// Pushes of all tenants until `stop`, at times that do not depend on how long a push takes.
fn play(edge: &Edge, stop: &AtomicBool) {
    let started = Instant::now();
    thread::scope(|scope| {
        for (tenant, calm, after) in LOADS {
            scope.spawn(move || {
                let per_push = |rate: usize| samples(rate * SPEED as usize * PERIOD.as_millis() as usize / 1_000).bytes;
                let (calm, after) = (per_push(calm), per_push(after));
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    wait_until(started + PERIOD * round);
                    let body = if started.elapsed() < CALM { &calm } else { &after };
                    let _ = edge.push(tenant, body);
                }
            });
        }
    });
}

/// An edge whose mimir-rls has a fast clock.
fn start(limits: &Path) -> Edge {
    let edge = Edge::builder().limits_from(&format!("file:{}", limits.display())).edge_config(EDGE_CONFIG);
    let edge = edge.forgetting_bodies().environment("LD_PRELOAD", &tool("libfaketime"));
    let speed = PathBuf::from(format!("+0 x{SPEED}"));
    edge.environment("FAKETIME", &speed).start("overrides: {}\n")
}

/// Where screenshots go: to the folder that PAGE_SCREENSHOTS names, as for `make screenshots`.
fn screenshots(folder: &Path) -> PathBuf {
    let place = env::var_os("PAGE_SCREENSHOTS").map_or_else(|| folder.join("screenshots"), PathBuf::from);
    fs::create_dir_all(&place).expect("a folder can be made");
    place
}

#[test]
fn people_find_who_is_refused_and_what_helps() {
    let folder = tempfile::Builder::new().prefix("mimir-").tempdir().expect("a folder can be made");
    let file = folder.path().join("runtime.yaml");
    fs::write(&file, limits()).expect("the limits can be written");
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).expect("the token can be written");
    let source = format!("file:{}", file.display());
    let secured = MimirRls::start(folder.path(), &source, &[format!("--http-token-file={}", token.display())]);
    let sync = OverridesSync::start(&folder.path().join("sync"), Path::new(""), &source, &[]);
    let edge = start(&file);
    let peers = format!("--peers=http://127.0.0.1:{},http://127.0.0.1:1", edge.rls.http_port());
    let lookout = MimirRls::start(folder.path(), &source, &[peers]);

    let stop = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| play(&edge, &stop));
        until("usage is counted", || edge.rls.get(&format!("/api/v1/usage/{REFUSED}")).status == 200);
        let address = |port: u16| format!("http://127.0.0.1:{port}");
        let settings = json!({
            "base": address(edge.rls.http_port()), "secured": address(secured.http_port()), "sync": address(sync.http_port()),
            "lookout": address(lookout.http_port()),
            "token": TOKEN, "refused": REFUSED, "long": LONG, "chromium": tool("chromium"), "out": screenshots(folder.path()),
        });
        let mut driver = Command::new(tool("page-driver"));
        let output =
            driver.arg(repository().join("tests/e2e/page/drive.cjs")).env("PAGE", settings.to_string()).output();
        stop.store(true, Ordering::Relaxed);
        output.expect("the driver runs")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    report(text(&output.stdout).trim_end());
    assert!(output.status.success(), "{}", text(&output.stderr));
}
