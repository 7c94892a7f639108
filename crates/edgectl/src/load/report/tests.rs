//! The arithmetic of a report, on counts made up for it.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::Report;
use crate::args::{Command, LoadArgs, parse};
use crate::load::connection::Response;
use crate::load::tally::{Failure, Tally};

fn config(line: &str) -> LoadArgs {
    let words = ["edgectl", "load-remote-write"].into_iter().chain(line.split_whitespace());
    match parse(words.map(Into::into)) {
        Ok(Command::LoadRemoteWrite(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn push(tally: &mut Tally, tenant: usize, at: u64, status: u16, text: &str) {
    tally.sent(tenant, ms(at), ms(at));
    let response = Response { status: StatusCode::from_u16(status).unwrap(), text: text.to_owned() };
    tally.answered(tenant, response, ms(at + 10), ms(10));
    tally.completed(ms(at - 5), ms(at + 10));
}

fn report_of(config: &LoadArgs, tally: &Tally, interrupted: bool) -> Report {
    Report::new(config, config.named_tenants.iter(), tally, interrupted)
}

/// Two tenants, 50 samples a push, sent from 100 ms on; the last answer at 2,100 ms is a denial.
fn sample_run() -> (LoadArgs, Tally) {
    let config = config("--tenant a --tenant b --series 25 --samples-per-series 2 --rate 100 --duration 3s");
    let mut tally = Tally::new(2).unwrap();
    push(&mut tally, 0, 100, 200, "");
    push(&mut tally, 1, 600, 429, "too\nfast");
    push(&mut tally, 0, 1590, 204, "");
    push(&mut tally, 1, 2090, 429, "too fast, again");
    tally.sent(0, ms(2095), ms(2000));
    tally.failed(Failure::Timeout);
    (config, tally)
}

fn as_json(report: &Report) -> Value {
    let mut out = Vec::new();
    report.write_json(&mut out).unwrap();
    assert_eq!(out.last(), Some(&b'\n'));
    serde_json::from_slice(&out).unwrap()
}

fn as_text(report: &Report) -> String {
    let mut out = Vec::new();
    report.write_text(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn close(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    assert!((value - expected).abs() < expected / 1000.0, "{value} is not {expected}");
}

#[test]
fn counts_add_up_in_pushes_and_samples() {
    let (config, tally) = sample_run();
    let report = as_json(&report_of(&config, &tally, false));
    let sums = [
        ("pushes_sent", 5),
        ("pushes_accepted", 2),
        ("pushes_denied", 2),
        ("pushes_unanswered", 1),
        ("pushes_unsent", 1),
    ];
    let samples =
        [("samples_offered", 250), ("samples_accepted", 100), ("samples_denied", 100), ("samples_unanswered", 50)];
    for (name, expected) in sums.into_iter().chain(samples) {
        assert_eq!(report[name], json!(expected), "{name}");
    }
    assert_eq!(report["pushes_by_status"], json!({"200": 1, "204": 1, "429": 2}));
    assert_eq!(report["first_answers"], json!({"429": "too\nfast"}));
    assert_eq!((&report["timeouts"], &report["connection_errors"]), (&json!(1), &json!(0)));
}

#[test]
fn rates_span_first_push_to_last_answer() {
    let (config, tally) = sample_run();
    let report = as_json(&report_of(&config, &tally, false));
    close(&report["elapsed_seconds"], 2.0);
    close(&report["accepted_elapsed_seconds"], 1.5);
    close(&report["samples_accepted_per_second"], 50.0);
    close(&report["samples_offered_per_second"], 125.0);
    close(&report["pushes_sent_per_second"], 2.5);
    close(&report["longest_delay_seconds"], 0.095);
    for quantile in ["p50", "p90", "p99", "p999", "max"] {
        close(&report["service_seconds"][quantile], 0.010);
        close(&report["latency_seconds"][quantile], 0.015);
    }
}

#[test]
fn each_tenant_has_counts_of_its_own() {
    let (config, tally) = sample_run();
    let report = as_json(&report_of(&config, &tally, false));
    let of = |index: usize, name: &str| report["tenants"][index][name].clone();
    assert_eq!((of(0, "tenant"), of(1, "tenant")), (json!("a"), json!("b")));
    assert_eq!((of(0, "samples_accepted"), of(0, "samples_unanswered")), (json!(100), json!(50)));
    assert_eq!((of(1, "samples_accepted"), of(1, "samples_denied")), (json!(0), json!(100)));
}

#[test]
fn text_says_the_same_in_words() {
    let (config, tally) = sample_run();
    let text = as_text(&report_of(&config, &tally, true));
    for line in [
        "elapsed   2.000 s from the first push to the last answer, 1.500 s to the last accepting one; interrupted",
        "pushes    5 sent (2.5/s), 2 accepted, 2 denied, 1 unanswered; 50 samples each",
        "samples   250 offered (125.0/s), 100 accepted (50.0/s), 100 denied, 50 unanswered",
        "status    200: 1",
        "status    429: 2, the first said: too fast",
        "tenant    a: 2 of 3 pushes accepted, 100 of 150 samples",
        "latency   from when a push was due:  p50 15.01 ms, p90 15.01 ms, p99 15.01 ms, p99.9 15.01 ms, max 15.01 ms",
        "service   from when a push was sent: p50 10.01 ms, p90 10.01 ms, p99 10.01 ms, p99.9 10.01 ms, max 10.01 ms",
        "timeouts  1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing in:\n{text}");
    }
}

#[test]
fn text_lists_twenty_tenants_and_counts_the_rest() {
    let names: Vec<_> = (0..23).map(|number| format!("--tenant t{number}")).collect();
    let config = config(&names.join(" "));
    let text = as_text(&report_of(&config, &Tally::new(23).unwrap(), false));
    assert_eq!(text.lines().filter(|line| line.starts_with("tenant    t")).count(), 20);
    assert!(text.contains("tenants   3 more, which --json lists\n"), "{text}");
}

#[test]
fn a_run_without_an_answer_proves_nothing_and_says_why() {
    let config = config("");
    let mut tally = Tally::new(0).unwrap();
    let fault = |tally: &Tally, interrupted| report_of(&config, tally, interrupted).failure().expect("a fault");
    assert!(fault(&tally, true).contains("interrupted"));
    tally.sent(0, ms(1), ms(0));
    tally.failed(Failure::Timeout);
    assert!(fault(&tally, false).contains("--timeout"));
    tally.failed(Failure::Connection("connection refused".to_owned()));
    assert!(fault(&tally, false).contains("connection refused"));
    let report = as_json(&report_of(&config, &tally, false));
    assert_eq!((&report["elapsed_seconds"], &report["samples_offered_per_second"]), (&json!(0.0), &json!(0.0)));
    assert_eq!((&report["rate"], &report["pushes_unsent"]), (&Value::Null, &Value::Null));
}

#[test]
fn any_answer_makes_a_run_worth_something() {
    let mut tally = Tally::new(0).unwrap();
    push(&mut tally, 0, 5, 503, "no");
    tally.failed(Failure::Connection("reset".to_owned()));
    let report = report_of(&config(""), &tally, false);
    assert_eq!(report.failure(), None);
    assert!(as_text(&report).contains("errors    connection errors: 1, the first: reset"));
}
