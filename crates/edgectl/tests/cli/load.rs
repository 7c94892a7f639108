//! `edgectl load-remote-write` against a server that counts for itself.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Instant;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use remote_write::Protocol;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::server::{Push, Server};
use crate::{Finished, edgectl};

pub(crate) fn ok(_: usize, _: &Push) -> Response {
    StatusCode::OK.into_response()
}

/// Runs `load-remote-write` against `url` while the test's own server goes on serving.
pub(crate) async fn load(url: &str, arguments: &str) -> Finished {
    let line = format!("load-remote-write --url {url} {arguments}");
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || crate::run(&words.iter().map(String::as_str).collect::<Vec<_>>()))
        .await
        .expect("edgectl runs")
}

pub(crate) fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} is no count in {report}"))
}

pub(crate) fn seconds(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {report}"))
}

#[tokio::test]
async fn offers_the_rate_and_counts_what_arrived() {
    let server = Server::start(ok).await;
    let finished =
        load(&server.url, "--tenant a --rate 2000 --series 50 --samples-per-series 2 --duration 1s --json").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let (report, pushes) = (finished.json(), server.pushes());
    // 2,000 samples/s in pushes of 100 for 1 s are 20 pushes; a machine that stalls at the end leaves the last ones unsent.
    assert_eq!(number(&report, "pushes_sent") + number(&report, "pushes_unsent"), 20, "{report}");
    assert_eq!(number(&report, "pushes_sent"), pushes.len() as u64);
    let arrived: u64 = pushes.iter().map(|push| push.counts.samples).sum();
    assert_eq!((number(&report, "samples_offered"), number(&report, "samples_accepted")), (arrived, arrived));
    assert!(pushes.iter().all(|push| (push.counts.series, push.counts.items()) == (50, 100)), "{pushes:?}");
    assert_eq!(report["pushes_by_status"], json!({"200": pushes.len()}));
}

#[tokio::test]
async fn speaks_both_protocols_as_prometheus_does() {
    for (version, protocol, content_type, version_header) in [
        ("1.0", Protocol::V1, "application/x-protobuf", "0.1.0"),
        ("2.0", Protocol::V2, "application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    ] {
        let server = Server::start(ok).await;
        let finished = load(
            &format!("{}?a=b", server.url),
            &format!("--tenant team-a --protocol {version} --duration 50ms --series 3"),
        )
        .await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let pushes = server.pushes();
        let push = pushes.first().expect("a push");
        assert_eq!((push.method.clone(), push.target.to_string().as_str()), (Method::POST, "/api/v1/push?a=b"));
        assert_eq!((push.protocol == protocol, push.counts.samples), (true, 3));
        assert_eq!(push.header("content-type"), [content_type]);
        assert_eq!(push.header("x-prometheus-remote-write-version"), [version_header]);
        assert_eq!(push.header("content-encoding"), ["snappy"]);
        assert_eq!(push.header("x-scope-orgid"), ["team-a"]);
        assert!(server.url.contains(push.header("host")[0]));
    }
}

#[tokio::test]
async fn takes_tenants_in_turn_with_single_dash_flags_too() {
    let server = Server::start(ok).await;
    let finished =
        load(&server.url, "-tenant a -tenant=b -tenant c -rate=60 -series 1 -concurrency 3 -duration=500ms -json")
            .await;
    let (report, pushes) = (finished.json(), server.pushes());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for (index, tenant) in ["a", "b", "c"].into_iter().enumerate() {
        let arrived = pushes.iter().filter(|push| push.header("x-scope-orgid") == [tenant]).count();
        let of_tenant = &report["tenants"][index];
        assert_eq!((&of_tenant["tenant"], &of_tenant["pushes_sent"]), (&json!(tenant), &json!(arrived)));
        assert!(arrived.abs_diff(pushes.len() / 3) <= 1, "{arrived} of {}", pushes.len());
    }
}

#[tokio::test]
async fn headers_can_be_left_out_replaced_and_doubled() {
    let server = Server::start(ok).await;
    load(&server.url, "--duration 20ms").await;
    assert!(server.pushes().iter().all(|push| push.header("x-scope-orgid").is_empty()));
    let server = Server::start(ok).await;
    load(
        &server.url,
        "--duration 20ms --tenant a --header X-Scope-OrgID:b --header x-scope-orgid:c --header User-Agent:me",
    )
    .await;
    let pushes = server.pushes();
    assert!(!pushes.is_empty());
    assert!(
        pushes.iter().all(|push| push.header("x-scope-orgid") == ["b", "c"] && push.header("user-agent") == ["me"])
    );
}

#[tokio::test]
async fn tells_denied_pushes_from_accepted_ones() {
    let server = Server::start(|number, _| match number % 4 {
        0 => StatusCode::NO_CONTENT.into_response(),
        1 => (StatusCode::TOO_MANY_REQUESTS, "slow down\n").into_response(),
        2 => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
    .await;
    let finished = load(&server.url, "--tenant a --rate 1000 --series 10 --duration 400ms --json").await;
    let (report, pushes) = (finished.json(), server.pushes());
    let accepted = pushes.len().div_ceil(4) as u64;
    assert_eq!(number(&report, "pushes_accepted"), accepted);
    assert_eq!(number(&report, "samples_accepted"), accepted * 10);
    assert_eq!(number(&report, "samples_denied"), (pushes.len() as u64 - accepted) * 10);
    assert_eq!(report["first_answers"]["429"], json!("slow down"));
    assert!(pushes.iter().all(|push| push.target == "/api/v1/push"), "a redirect was followed");
}

/// A bucket like Mimir's, on the server's clock, so that the claim of the report can be checked.
struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn take(&mut self, cost: f64, now: Instant) -> bool {
        let gained = self.at.map_or(self.burst, |before| (now - before).as_secs_f64() * self.rate);
        self.tokens = (self.tokens + gained).min(self.burst);
        self.at = Some(now);
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }
}

#[tokio::test]
async fn accepted_samples_are_rate_times_elapsed_plus_burst() {
    const RATE: f64 = 4000.0;
    const BURST: f64 = 20_000.0;
    const PUSH: f64 = 50.0;
    let bucket = Mutex::new(Bucket { rate: RATE, burst: BURST, tokens: 0.0, at: None });
    let server = Server::start(move |_, push| match bucket.lock().unwrap().take(PUSH, push.at) {
        true => StatusCode::OK.into_response(),
        false => StatusCode::TOO_MANY_REQUESTS.into_response(),
    })
    .await;
    let finished = load(&server.url, "--tenant a --rate 40000 --series 50 --concurrency 2 --duration 2s --json").await;
    let (report, pushes) = (finished.json(), server.pushes());
    let accepted = seconds(&report, "samples_accepted");
    // What the bucket had to give from its first to its last push, and what it gave: all but less than a push of it.
    let span = (pushes.last().expect("pushes").at - pushes[0].at).as_secs_f64();
    assert!(accepted > BURST + RATE * span - PUSH - 1.0, "{accepted} over {span} s at the server: {report}");
    // The report's time begins before the first push is at the server and ends after the last, so it never shows too much.
    let elapsed = seconds(&report, "elapsed_seconds");
    assert!(elapsed >= span, "{elapsed} < {span}");
    assert!(accepted <= BURST + RATE * elapsed, "{accepted} in {elapsed} s: {report}");
    assert!(seconds(&report, "accepted_elapsed_seconds") <= elapsed);
}

#[tokio::test]
async fn keeps_to_one_connection_for_each_worker() {
    let server = Server::start(ok).await;
    let finished = load(&server.url, "--tenant a --concurrency 3 --duration 300ms --json").await;
    assert!(number(&finished.json(), "pushes_sent") > 3, "{finished:?}");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_costs_no_push() {
    let server = Server::start(|_, _| (StatusCode::OK, [("connection", "close")]).into_response()).await;
    let finished = load(&server.url, "--tenant a --rate 5000 --duration 300ms --json").await;
    let report = finished.json();
    assert_eq!((number(&report, "connection_errors"), number(&report, "pushes_unanswered")), (0, 0), "{report}");
    assert_eq!(server.connections(), server.pushes().len());
}

#[tokio::test]
async fn without_any_answer_it_ends_with_1_and_the_reason() {
    // The port was bound and released: no server listens there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let finished = load(&format!("http://{free}/push"), "--tenant a --duration 150ms --json").await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let report = finished.json();
    assert!(number(&report, "connection_errors") > 0 && number(&report, "pushes_sent") == 0, "{report}");
    assert!(report["first_connection_error"].as_str().unwrap().contains(&free.port().to_string()), "{report}");
    assert!(finished.err.contains("edgectl: no push got an answer: connect to 127.0.0.1"), "{finished:?}");
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", silent.local_addr().unwrap());
    let finished = load(&url, "--tenant a --rate 100 --duration 100ms --timeout 100ms --json").await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let report = finished.json();
    assert_eq!((number(&report, "timeouts"), number(&report, "pushes_unanswered")), (1, 1), "{report}");
    assert_eq!(number(&report, "samples_unanswered"), 100);
    assert!(finished.err.contains("--timeout"), "{finished:?}");
}

#[tokio::test]
async fn progress_goes_to_standard_error_only_when_asked() {
    let server = Server::start(ok).await;
    let shown = load(&server.url, "--tenant a --rate 10 --series 1 --duration 1500ms --progress").await;
    assert!(shown.err.contains("s: ") && shown.err.contains(" pushes sent"), "{shown:?}");
    assert!(shown.out.starts_with(&format!("target    {}", server.url)), "{shown:?}");
    let silent = load(&server.url, "--tenant a --rate 10 --series 1 --duration 1100ms").await;
    assert_eq!(silent.err, format!("edgectl: pushes to {} as tenant a\n", server.url));
}

#[tokio::test]
async fn ctrl_c_ends_early_and_still_reports() {
    let server = Server::start(ok).await;
    let arguments =
        ["load-remote-write", "--url", &server.url, "--tenant", "a", "--duration", "10m", "--rate", "100", "--json"];
    let child = edgectl(&arguments).spawn().expect("edgectl starts");
    server.first_push().await;
    signal(&child, "INT");
    let finished = wait(child).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let report = finished.json();
    assert_eq!((&report["interrupted"], number(&report, "pushes_sent")), (&json!(true), server.pushes().len() as u64));
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", silent.local_addr().unwrap());
    let arguments =
        ["load-remote-write", "--url", &url, "--tenant", "a", "--duration", "10m", "--timeout", "10m", "--json"];
    let mut child = edgectl(&arguments).spawn().expect("edgectl starts");
    let (socket, _) = silent.accept().await.unwrap();
    socket.readable().await.unwrap();
    signal(&child, "INT");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = String::new();
    for _ in ["the target", "the signal"] {
        stderr.read_line(&mut lines).unwrap();
    }
    assert!(lines.contains("Ctrl-C again"), "{lines}");
    signal(&child, "TERM");
    let finished = wait(child).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let report = finished.json();
    assert_eq!((number(&report, "pushes_sent"), number(&report, "pushes_unanswered")), (1, 1), "{report}");
}

/// Sends a signal by the shell's own `kill`, which every system has.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().expect("a shell");
    assert!(sent.success());
}

pub(crate) async fn wait(child: Child) -> Finished {
    let wait = tokio::task::spawn_blocking(|| child.wait_with_output().expect("edgectl ends"));
    Finished::of(wait.await.expect("edgectl ends"))
}
