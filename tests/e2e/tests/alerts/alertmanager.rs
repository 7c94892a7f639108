//! A real Alertmanager with the example's configuration: how it groups, routes and inhibits alerts of a real edge, and a silence by the docs' commands.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::{
    Alertmanager, Edge, Prometheus, Request, Signal, Upstream, repository, samples, send, throughout, tool, until,
};
use serde_json::Value;

use super::rule_files;

/// The waits of the rules and of the example, shortened.
const WAITS: [(&str, &str); 3] = [
    ("group_wait: 30s", "group_wait: 2s"),
    ("group_wait: 15s", "group_wait: 1s"),
    ("group_interval: 5m", "group_interval: 2s"),
];
/// Longer than each of them.
const ALL_WAITS: Duration = Duration::from_secs(3);

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a committed file can be read")
}

/// Alertmanager with the committed example, and the receiver of its webhooks.
fn start(folder: &Path) -> (Alertmanager, Upstream) {
    let receiver = Upstream::start();
    let mut example = read(&repository().join("ops/alerts/alertmanager.yml"));
    for (wait, short) in WAITS {
        assert!(example.contains(wait), "the example has no {wait}");
        example = example.replace(wait, short);
    }
    let example = example.replace("http://alerts.example", &format!("http://127.0.0.1:{}", receiver.port()));
    (Alertmanager::start(folder, &example), receiver)
}

/// Prometheus, which scrapes Envoy under two names, with the committed rules as soon as everything is scraped: before, nothing seems to be up. A minute in the
/// rules is a second.
fn prometheus(folder: &Path, edge: &Edge, alertmanager: &Alertmanager) -> Prometheus {
    let rules = folder.join("rules");
    fs::create_dir(&rules).expect("a folder can be made");
    let (rls, envoy) = (edge.rls.http_port(), edge.envoy.metrics_port());
    let configuration = format!(
        "global: {{ scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 500ms, external_labels: {{ cluster: prod }} }}\n\
         rule_files: ['{}/*.yaml']\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['127.0.0.1:{}'] }}] }}] }}\n\
         scrape_configs:\n\
         - {{ job_name: mimir-rls, static_configs: [{{ targets: ['127.0.0.1:{rls}'] }}] }}\n\
         - job_name: mimir-envoy\n  metrics_path: /stats/prometheus\n  static_configs: [{{ targets: ['127.0.0.1:{envoy}', 'localhost:{envoy}'] }}]\n",
        rules.display(),
        alertmanager.port()
    );
    let prometheus = Prometheus::start_with("prometheus", folder, |_| configuration);
    until("everything is scraped", || prometheus.query("up == 1").len() == 3);
    for (number, path) in rule_files().iter().enumerate() {
        fs::write(rules.join(format!("{number}.yaml")), hurried(&read(path))).expect("a file can be written");
    }
    prometheus.process.signal(Signal::HUP);
    until("the rules are loaded", || {
        let loaded = send(prometheus.port(), &Request::new("GET", "/api/v1/rules?type=alert")).json();
        loaded["data"]["groups"].as_array().is_some_and(|groups| groups.len() >= 4)
    });
    prometheus
}

/// Rules whose waits are seconds instead of minutes.
fn hurried(rules: &str) -> String {
    let lines = rules.lines().map(|line| match line.trim_start().strip_prefix("for: ") {
        Some(minutes) => line.replace(minutes, &minutes.replace('m', "s")),
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

/// The blocks of commands in the docs' section about Alertmanager.
fn blocks() -> Vec<String> {
    let page = read(&repository().join("docs/metrics.md"));
    let (_, section) = page.split_once("\n### Alertmanager\n").expect("the docs have the section");
    let section = section.split("\n## ").next().expect("a section has a text");
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// Runs commands of the docs in the repository, with this Alertmanager; what they print.
#[track_caller]
fn run(block: &str, alertmanager: &Alertmanager) -> String {
    let amtool = tool("amtool");
    let path =
        format!("{}:{}", amtool.parent().expect("it is in a folder").display(), env::var("PATH").expect("a PATH"));
    let block = block.replace("127.0.0.1:9093", &format!("127.0.0.1:{}", alertmanager.port()));
    let output = Command::new("sh").args(["-euc", &block]).env("PATH", path).current_dir(repository()).output();
    let output = output.expect("sh runs");
    assert!(output.status.success(), "{block}{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where each notification for an alert went, and its body.
fn notified(receiver: &Upstream, alert: &str) -> Vec<(String, Value)> {
    let all = receiver.requests().into_iter().map(|request| {
        (request.target.clone(), serde_json::from_slice::<Value>(&request.body).expect("a notification is JSON"))
    });
    all.filter(|(_, body)| body["groupLabels"]["alertname"] == alert).collect()
}

/// Whether all alerts of a name, this many, are suppressed by `cause`.
fn suppressed(alertmanager: &Alertmanager, alert: &str, count: usize, cause: &str) -> bool {
    let alerts = alertmanager.alerts(alert);
    let by = |alert: &Value| alert["status"][cause].as_array().is_some_and(|by| !by.is_empty());
    alerts.len() == count && alerts.iter().all(|alert| alert["status"]["state"] == "suppressed" && by(alert))
}

#[test]
fn a_group_is_notified_once_unless_inhibited_or_silenced() {
    let mut edge = Edge::start("overrides: {}\n");
    let (alertmanager, receiver) = start(edge.folder());
    let _prometheus = prometheus(edge.folder(), &edge, &alertmanager);
    let [checks, silence, expire] = &blocks()[..] else { panic!("the docs have other blocks: {:?}", blocks()) };
    let routed = run(checks, &alertmanager);
    assert!(routed.contains("SUCCESS") && routed.trim_end().ends_with("\npage"), "{routed}");
    assert!(receiver.requests().is_empty(), "nothing is wrong yet");
    run(silence, &alertmanager);

    edge.rls.process.kill();
    let body = samples(1).bytes;
    until("RLSDown is sent", || {
        assert_eq!(edge.push("team", &body).status, 503);
        !notified(&receiver, "RLSDown").is_empty()
    });
    until("EdgeErrors is a consequence", || {
        assert_eq!(edge.push("team", &body).status, 503);
        suppressed(&alertmanager, "EdgeErrors", 1, "inhibitedBy")
    });
    until("RLSUnreachable is silenced", || suppressed(&alertmanager, "RLSUnreachable", 2, "silencedBy"));
    throughout(ALL_WAITS, || {
        for alert in ["EdgeErrors", "RLSUnreachable"] {
            assert!(notified(&receiver, alert).is_empty(), "{alert} is sent");
        }
    });

    run(expire, &alertmanager);
    until("RLSUnreachable is sent", || !notified(&receiver, "RLSUnreachable").is_empty());
    throughout(ALL_WAITS, || {
        for (alert, count) in [("RLSDown", 1), ("RLSUnreachable", 2)] {
            let all = notified(&receiver, alert);
            let [(path, body)] = &all[..] else { panic!("{alert} is sent again: {all:?}") };
            assert_eq!((path.as_str(), body["status"].as_str()), ("/page", Some("firing")), "{body}");
            assert_eq!(body["groupLabels"]["cluster"], "prod");
            assert_eq!(body["alerts"].as_array().map(Vec::len), Some(count), "{body}");
            let url = format!("ops/runbooks/alerts.md#{}", alert.to_lowercase());
            assert_eq!(body["commonAnnotations"]["runbook_url"], url.as_str());
        }
        assert!(notified(&receiver, "EdgeErrors").is_empty());
    });
}
