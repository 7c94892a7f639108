//! The services of compose.yaml, without an engine: a push arrives, one is denied, and the dashboards' queries have results.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot do its part fails")]

mod stack;

use std::collections::BTreeSet;
use std::fs;

use e2e::{Request, push_of_1970, push_request, repository, samples, until};
use serde_json::Value;
use stack::Stack;

const RECEIVED: &str = r#"cortex_distributor_received_samples_total{user="demo"}"#;

#[test]
fn samples_within_the_limit_arrive_and_others_are_denied() {
    let stack = Stack::start();
    until("samples of Prometheus arrive in Mimir", || stack.metric("mimir:8080", RECEIVED) > Some(100.0));
    let push = push_request("demo", &samples(2).bytes);
    until("Envoy knows that mimir-rls is healthy", || stack.send("mimir-envoy:8080", &push).status != 503);

    let small = "{ ingestion_rate: 0.001, ingestion_burst_size: 1 }";
    stack.set_limits(&format!("overrides: {{ demo: {small}, watched: {small} }}\n"));
    stack.set_edge_config("mode: enforce\ntenants: { watched: { mode: shadow } }\n");
    until("a push of two samples is denied by the edge", || {
        let answer = stack.send("mimir-envoy:8080", &push);
        answer.status == 429 && answer.headers.get("x-mimir-edge-reason").as_deref() == Some("ingestion_burst")
    });
    // Mimir counts what it denies for a rate once it has.
    until("Mimir denies it too", || stack.send("mimir:8080", &push).status == 429);
    dashboards_are_answered(&stack);
    runbooks_have_numbers(&stack);
}

/// Each expression of the runbooks has a value here, where everything runs and is scraped: its metrics, its labels and what it divides fit together.
fn runbooks_have_numbers(stack: &Stack) {
    let files = fs::read_dir(repository().join("ops/runbooks")).expect("there are runbooks");
    let texts =
        files.map(|file| fs::read_to_string(file.expect("a folder can be read").path()).expect("it can be read"));
    let expressions: Vec<String> = texts.flat_map(|text| expressions(&text)).collect();
    assert!(expressions.len() >= 15, "{expressions:?}");
    // Envoy counts these since the first one, and Mimir has no error here.
    let is_late = |expression: &str| expression.contains(r#"envoy_cluster_name="mimir",envoy_response_code_class="5""#);
    for expression in expressions {
        until(&format!("{expression} has a value"), || {
            let answer = ask(stack, &expression);
            assert_eq!(answer["status"], "success", "{expression}: {answer}");
            is_late(&expression) || answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty())
        });
    }
}

/// The queries in backticks of a runbook.
fn expressions(text: &str) -> Vec<String> {
    let metric = |span: &&str| ["rls_", "envoy_", "cortex_"].iter().any(|prefix| span.contains(prefix));
    let spans =
        text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(metric).filter(|span| span.contains('(')).map(str::to_owned).collect()
}

/// Every metric that the dashboards ask of Envoy and Mimir is served with the labels that are listed, and every query has data where all of it runs: a tenant in
/// mode enforce and one in shadow are over their limits.
fn dashboards_are_answered(stack: &Stack) {
    // The same samples twice, which Mimir discards: without it there is no metric that counts them.
    let old = push_of_1970();
    for _ in 0..2 {
        stack.send("mimir-envoy:8080", &push_request("team-a", &old));
    }
    let get = |address, path| stack.send(address, &Request::new("GET", path)).text().into_owned();
    let served = get("mimir-envoy:9901", "/stats/prometheus") + &get("mimir:8080", "/metrics");
    let listed = fs::read_to_string(repository().join("ops/grafana/metrics.txt")).expect("the list can be read");
    for line in listed.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a line names a metric");
        assert_eq!(labels(&served, name), Some(words.collect()), "{name}");
    }

    until("Prometheus has scraped every part", || value(stack, "count(up == 1)") == Some(5.0));
    // Without TLS there is no certificate, and without listed paths no route of theirs.
    let cannot = ["certificate", "envoy_vhost_route"];
    let mut without_data = queries();
    without_data.retain(|query| cannot.iter().all(|part| !query.contains(part)));
    until("every query has data", || {
        stack.send("mimir-envoy:8080", &push_request("watched", &samples(2).bytes));
        without_data.retain(|query| {
            let answer = ask(stack, query);
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            answer["data"]["result"] == Value::Array(Vec::new())
        });
        without_data.is_empty()
    });
    assert!(value(stack, "sum(rls_decisions_total)") > Some(0.0));
    assert_eq!(value(stack, "max(rls_limits_feed_connected)"), Some(1.0));
    until("no alert is due that says that a part is missing", || {
        let due = ask(stack, r#"ALERTS{alertname=~".*Down|RLSUnreachable"}"#);
        due["data"]["result"] == Value::Array(Vec::new())
    });
}

/// The labels of all series of a metric, or of a histogram's; `None`: there is none.
fn labels<'a>(page: &'a str, name: &str) -> Option<BTreeSet<&'a str>> {
    let series: Vec<&str> = page
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let rest = ["_bucket", "_sum", "_count"].iter().find_map(|end| rest.strip_prefix(end)).unwrap_or(rest);
            matches!(rest.as_bytes().first(), Some(b'{' | b' ')).then_some(rest)
        })
        .collect();
    let names = series
        .iter()
        .flat_map(|series| series.split('"').step_by(2))
        .filter_map(|text| text.trim_start_matches(['{', ',']).strip_suffix('='))
        .filter(|label| *label != "le")
        .collect();
    (!series.is_empty()).then_some(names)
}

/// What the dashboards ask, with Grafana's variables as it fills them in.
fn queries() -> Vec<String> {
    let files = fs::read_dir(repository().join("ops/grafana/dashboards")).expect("there are dashboards");
    let all: Vec<String> = files
        .flat_map(|file| {
            let text = fs::read_to_string(file.expect("a folder can be read").path()).expect("a dashboard can be read");
            let board: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
            let panels = board["panels"].as_array().expect("a dashboard has panels").clone();
            panels.into_iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default())
        })
        .map(|target| target["expr"].as_str().expect("a target has a query").to_owned())
        .map(|query| query.replace("$__rate_interval", "1m").replace("$tenant", ".*"))
        .collect();
    assert!(all.len() > 40, "{} queries", all.len());
    all
}

fn ask(stack: &Stack, query: &str) -> Value {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = stack.send("prometheus:9090", &Request::new("GET", &format!("/api/v1/query?query={encoded}")));
    serde_json::from_str(&answer.text()).expect("Prometheus answers with JSON")
}

/// The one value that a query gives.
fn value(stack: &Stack, query: &str) -> Option<f64> {
    ask(stack, query)["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}
