//! Every selector of the rules finds series of the real programs: the metric exists, with these labels and values.

use std::collections::BTreeSet;

use e2e::{Cluster, Edge, Mimir, Prometheus, Request, WatchedFile, push_request, query, samples, send, until};

use super::rule_files;

/// Series that exist only after a failure, by a part of their selector; the tests of `rate_limit_filter` and `charts::alerts` check them.
const AFTER_A_FAILURE: [&str; 3] =
    ["envoy_cluster_ratelimit_error{", "envoy_cluster_ratelimit_failure_mode_allowed{", "envoy_response_code=~\"5..\""];

/// The selectors of an expression as Prometheus prints it: names before a brace or a range.
fn selectors(expression: &str) -> BTreeSet<String> {
    let (mut found, mut rest) = (BTreeSet::new(), expression);
    while let Some(start) = rest.find(|character: char| character.is_ascii_alphabetic() || character == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|character: char| character != '_' && !character.is_ascii_alphanumeric());
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        match after.chars().next() {
            Some('{') => {
                let (labels, after) = after.split_once('}').expect("a brace is closed");
                found.insert(format!("{word}{labels}}}"));
                rest = after;
            }
            Some('[') => {
                found.insert(word.to_owned());
                // The range's unit is no name.
                rest = after.split_once(']').map_or("", |(_, after)| after);
            }
            _ => {}
        }
    }
    found
}

/// Prometheus with the rules, which scrapes everything and itself under the jobs of the rules, and pushes through the edge.
fn configuration(own_port: u16, edge: &Edge, mimir: &Mimir, overrides_sync: u16) -> String {
    let files = rule_files().map(|path| format!("'{}'", path.display())).join(", ");
    let jobs = [
        ("mimir-rls", "/metrics", edge.rls.http_port()),
        ("overrides-sync", "/metrics", overrides_sync),
        ("mimir-envoy", "/stats/prometheus", edge.envoy.metrics_port()),
        ("mimir", "/metrics", mimir.port()),
        ("prometheus", "/metrics", own_port),
    ];
    let jobs = jobs.map(|(job, path, port)| {
        format!(
            "- {{ job_name: {job}, metrics_path: {path}, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}\n"
        )
    });
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\nrule_files: [{files}]\n\
         scrape_configs:\n{}remote_write:\n- name: edge\n  url: http://127.0.0.1:{}/api/v1/push\n  \
         headers: {{ X-Scope-OrgID: team }}\n  queue_config: {{ batch_send_deadline: 200ms }}\n",
        jobs.concat(),
        edge.port()
    )
}

/// The expressions of the rules that Prometheus has loaded.
fn expressions(prometheus: &Prometheus) -> Vec<String> {
    let answer = send(prometheus.port(), &Request::new("GET", "/api/v1/rules?type=alert")).json();
    let groups = answer["data"]["groups"].as_array().expect("there are groups").clone();
    let rules = groups.into_iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    rules.map(|rule| rule["query"].as_str().expect("a rule has an expression").to_owned()).collect()
}

#[test]
fn every_selector_of_the_alerts_finds_series() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::of("overrides: {}\n");
    let mimir = Mimir::start_with(&folder.path().join("mimir"), limits.path().as_ref(), &[Mimir::READS]);
    let cluster = Cluster::start("overrides: { small: { ingestion_rate: 0.001, ingestion_burst_size: 1 } }\n");
    let sync = cluster.sync("sync", &[]);
    let edge = Edge::builder().limits_from(&sync.feed()).upstream(mimir.port()).start("");
    assert_eq!(edge.send(&push_request("team", &samples(1).bytes)).status, 200);
    assert_eq!(edge.send(&push_request("small", &samples(2).bytes)).status, 429);
    // Mimir counts a route once it was asked for.
    drop(query(mimir.port(), "/prometheus/api/v1/query", Some("team"), "up", None));
    let prometheus =
        Prometheus::start_with("prometheus", folder.path(), |own| configuration(own, &edge, &mimir, sync.http_port()));

    let expressions = expressions(&prometheus);
    assert!(expressions.len() >= 35, "{expressions:?}");
    let all: BTreeSet<String> = expressions.iter().flat_map(|expression| selectors(expression)).collect();
    for prefix in ["rls_", "overrides_sync_", "envoy_", "cortex_", "prometheus_", "up{"] {
        assert!(all.iter().any(|selector| selector.starts_with(prefix)), "{prefix}: {all:?}");
    }
    for selector in all.iter().filter(|selector| !AFTER_A_FAILURE.iter().any(|part| selector.contains(part))) {
        until(&format!("a program has {selector}"), || !prometheus.query(&format!("count({selector})")).is_empty());
    }
}

#[test]
fn selectors_are_names_before_a_brace_or_a_range() {
    let expression =
        r#"sum by (a) (rate(m_total{l=~"x|y[1m]"}[5m])) / up{job="b"} > 2 and absent(n[1h] offset 5m) or vector(0)"#;
    let expected = [r#"m_total{l=~"x|y[1m]"}"#, r#"up{job="b"}"#, "n"];
    assert_eq!(selectors(expression), expected.map(str::to_owned).into());
}
