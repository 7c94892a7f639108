//! The profiles of `edgectl load-remote-write`, its many tenants, its latencies, its credentials and its bar.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use futures_util::stream;
use serde_json::{Value, json};

use crate::load::{load, number, ok, seconds, wait};
use crate::server::Server;
use crate::{Finished, edgectl};

/// Runs it with these variables.
async fn load_with(server: &Server, variables: &[(&str, &str)], flags: &[&str]) -> Finished {
    let arguments = [&["load-remote-write", "--url", &server.url], flags].concat();
    wait(edgectl(&arguments).envs(variables.iter().copied()).spawn().expect("edgectl starts")).await
}

#[tokio::test]
async fn generated_tenants_take_turns() {
    let server = Server::start(ok).await;
    let finished = load(&server.url, "--tenants 7 --rate 70 --series 1 --duration 500ms --json").await;
    let (report, pushes) = (finished.json(), server.pushes());
    let names: BTreeSet<_> = pushes.iter().map(|push| push.header("x-scope-orgid").concat()).collect();
    let expected: BTreeSet<_> = (1..=7).map(|number| format!("load-{number:06}")).collect();
    assert_eq!(names, expected, "{report}");
    assert_eq!(report["tenants"].as_array().map(Vec::len), Some(7));
}

#[tokio::test]
async fn a_burst_comes_at_once_and_keeps_the_rate() {
    let server = Server::start(ok).await;
    // 100 pushes a second in bursts of 25: at 0, 250, 500 and 750 ms.
    let flags = "--tenant a --rate 100 --series 1 --profile burst --burst-pushes 25 --duration 1s --json";
    let (report, pushes) = (load(&server.url, flags).await.json(), server.pushes());
    assert_eq!((number(&report, "concurrency"), &report["profile"]), (25, &json!("burst")));
    assert_eq!(number(&report, "pushes_sent") + number(&report, "pushes_unsent"), 100, "{report}");
    let mut times: Vec<_> = pushes.iter().map(|push| push.at).collect();
    times.sort();
    for (number, burst) in times.chunks(25).enumerate().take(3) {
        let (first, last) = (burst[0], burst[burst.len() - 1]);
        let due = times[0] + Duration::from_millis(250) * number as u32;
        assert!(first + Duration::from_millis(125) > due && last > first, "burst {number}: {report}");
    }
    // Between bursts nothing is sent: the gap is longer than the burst took on any machine that keeps up at all.
    let gaps = times.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(60)).count();
    assert!(gaps >= 3 || seconds(&report, "longest_delay_seconds") > 0.06, "{gaps} gaps: {report}");
}

#[tokio::test]
async fn a_retry_storm_ignores_retry_after_up_to_a_bound() {
    let server = Server::start(|_, push| match push.header("x-scope-orgid").concat().as_str() {
        "refused" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")]).into_response(),
        "broken" => StatusCode::BAD_REQUEST.into_response(),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let flags = "--tenant refused --tenant broken --tenant fine --rate 30 --series 1 --duration 1s --profile retry-storm --retries 3 --json";
    let (report, pushes) = (load(&server.url, flags).await.json(), server.pushes());
    let of = |tenant: &str| pushes.iter().filter(|push| push.header("x-scope-orgid") == [tenant]).collect::<Vec<_>>();
    let refused = of("refused");
    let attempts: Vec<_> = refused.iter().map(|push| push.header("retry-attempt").concat()).collect();
    for attempt in attempts.chunks(4) {
        assert!(
            ["", "1", "2", "3"].starts_with(&attempt.iter().map(String::as_str).collect::<Vec<_>>()),
            "{attempts:?}"
        );
    }
    assert!(refused.len() >= 4 && of("broken").iter().all(|push| push.header("retry-attempt").is_empty()));
    let again = attempts.iter().filter(|attempt| !attempt.is_empty()).count() as u64;
    assert_eq!((number(&report, "pushes_retried"), number(&report, "pushes_sent")), (again, pushes.len() as u64));
    let planned = number(&report, "pushes_sent") - again + number(&report, "pushes_unsent");
    assert_eq!(planned, 30, "what is sent again is no push of the schedule: {report}");
}

#[tokio::test]
async fn latency_counts_from_when_a_push_was_due() {
    // A server that takes 50 ms for a push, and a worker that has one due each 10 ms: the wait grows, the service time does not.
    let server = Server::start(|_, _| {
        let end = stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, Infallible>("late")
        });
        Body::from_stream(end).into_response()
    })
    .await;
    let report = load(&server.url, "--tenant a --rate 100 --series 1 --duration 1s --json").await.json();
    let of = |name: &str, quantile: &str| report[name][quantile].as_f64().expect("a quantile");
    assert!(of("service_seconds", "p50") < 0.2, "{report}");
    assert!(of("latency_seconds", "max") > 0.5, "the last push was due long before: {report}");
    assert!(of("latency_seconds", "p50") > 2.0 * of("service_seconds", "p50"), "{report}");
    let unpaced = load(&server.url, "--tenant a --series 1 --duration 200ms --json").await.json();
    assert_eq!(unpaced["latency_seconds"], Value::Null);
}

#[tokio::test]
async fn the_variables_of_mimirtool_are_sent_with_pushes() {
    let server = Server::start(ok).await;
    let variables = [
        ("MIMIR_ADDRESS", "http://127.0.0.1:1"),
        ("MIMIR_TENANT_ID", "team-a"),
        ("MIMIR_API_KEY", "k"),
        ("MIMIR_EXTRA_HEADERS", "X-One=1\nX-Two=2"),
        ("MIMIR_AUTH_TOKEN", ""),
    ];
    let finished = load_with(&server, &variables, &["--duration", "50ms"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let pushes = server.pushes();
    let push = pushes.first().expect("a push");
    for (name, value) in
        [("x-scope-orgid", "team-a"), ("authorization", "Basic dGVhbS1hOms="), ("x-one", "1"), ("x-two", "2")]
    {
        assert_eq!(push.header(name), [value], "{name}");
    }
    let both = [("MIMIR_API_KEY", "hunter2"), ("MIMIR_AUTH_TOKEN", "hunter3")];
    let finished = load_with(&server, &both, &["--duration", "50ms"]).await;
    assert_eq!(finished.code, Some(66), "{finished:?}");
    assert!(finished.err.contains("and not both") && !finished.err.contains("hunter"), "{finished:?}");
    let skipped = load_with(&server, &[("MIMIR_TLS_INSECURE_SKIP_VERIFY", "true")], &["--duration", "50ms"]).await;
    assert_eq!(skipped.code, Some(64), "{skipped:?}");
    assert!(skipped.err.contains("always verifies"), "{skipped:?}");
}

#[tokio::test]
async fn a_terminal_has_a_bar_without_colours() {
    let server = Server::start(ok).await;
    let line = format!(
        "{} load-remote-write --url {} --tenant a --rate 100 --series 1 --duration 1s",
        env!("CARGO_BIN_EXE_edgectl"),
        server.url
    );
    // `script` runs a command on a terminal of its own; each system with util-linux has it.
    let child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script starts");
    let shown = wait(child).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let bars = shown.out.split("\r\u{1b}[K").filter(|line| line.contains(" % [#") && line.contains("s of 1s: "));
    assert!(bars.count() > 0, "{shown:?}");
    assert!(!shown.out.contains("\u{1b}[3"), "coloured: {shown:?}");
    assert!(shown.out.contains("\u{1b}[Ktarget    http"), "the report begins on an empty line: {shown:?}");
}
