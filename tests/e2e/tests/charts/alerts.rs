//! The alert rules, by promtool and by the metrics of the programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::{Cluster, Edge, Request, free_port, helm, push_request, repository, samples, send, tool, until};

use super::{ENVOY, MIMIR_RLS, chart};

/// The rule file of a chart.
fn rules(name: &str) -> String {
    read(&chart(name).join("files/alerts.yaml"))
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let Output { status, stdout, stderr } =
        Command::new(tool("promtool")).args(arguments).output().expect("promtool can be started");
    let said = [stdout, stderr].concat();
    assert!(status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

fn tests() -> Vec<PathBuf> {
    let folder = repository().join("ops/alerts/tests");
    fs::read_dir(folder).expect("there is a folder").map(|entry| entry.expect("it can be read").path()).collect()
}

fn read(path: &PathBuf) -> String {
    fs::read_to_string(path).expect("a file can be read")
}

#[test]
fn each_alert_has_a_firing_and_a_silent_test() {
    // `make lint-rules` runs them with promtool.
    let (text, tests) = (rules(MIMIR_RLS) + &rules(ENVOY), tests().iter().map(read).collect::<String>());
    let count = |part: &str| text.matches(part).count();
    let alerts: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 3, "{alerts:?}");
    for annotation in
        ["          runbook_url: ", "          summary: ", "          description: ", "          action: "]
    {
        assert_eq!(count(annotation), alerts.len(), "{annotation}");
    }
    for alert in alerts {
        assert!(tests.contains(&format!("{alert} fires")), "no test has {alert} fire");
        let not = tests.lines().any(|line| line.contains(alert) && line.contains("exp_samples: []"));
        assert!(not, "no test has {alert} not fire");
    }
}

/// Words of a text that begin like this and name a metric, and no label.
fn metrics<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let words = text.split(|character: char| character != '_' && !character.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with(prefix) && !text.contains(&format!("{word}="))).collect()
}

/// Envoy has these since its first failed call of the rate limit service; the tests of `rate_limit_filter` check them.
const SINCE_A_FAILURE: [&str; 2] = ["envoy_cluster_ratelimit_error", "envoy_cluster_ratelimit_failure_mode_allowed"];

#[test]
fn alerts_use_only_metrics_of_the_programs() {
    let text = rules(MIMIR_RLS) + &rules(ENVOY);
    let cluster = Cluster::start("overrides: {}\n");
    let sync = cluster.sync("sync", &[]);
    let edge = Edge::builder().limits_from(&sync.feed()).start("");
    // Envoy has counts of Mimir's answers since the first one.
    assert_eq!(send(edge.port(), &push_request("team", &samples(1).bytes)).status, 200);
    until("the answer is counted", || envoy(&edge).contains("# TYPE envoy_cluster_upstream_rq counter"));
    let page = edge.rls.get("/metrics").text().into_owned();
    let theirs = sync.get("/metrics").text().into_owned();
    let envoys = envoy(&edge);
    for (page, prefix, least) in [(&page, "rls_", 8), (&theirs, "overrides_sync_", 2), (&envoys, "envoy_", 2)] {
        let named = metrics(&text, prefix);
        assert!(named.len() >= least, "{named:?}");
        for name in named.into_iter().filter(|name| !SINCE_A_FAILURE.contains(name)) {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(page.lines().any(|line| line.starts_with(&format!("# TYPE {name} "))), "no program has {name}");
        }
    }
    for (page, series) in [
        (&page, r#"rls_decisions_total{decision="deny",mode="enforce",reason="edge_overloaded"}"#),
        (&theirs, r#"overrides_sync_problems{severity="rejected"}"#),
        (&theirs, r#"overrides_sync_problems{severity="shadowed"}"#),
        (&theirs, r#"overrides_sync_problems{severity="kept"}"#),
        (&theirs, r#"overrides_sync_problems{severity="ignored"}"#),
        (&envoys, r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir_rls"} 1"#),
        (&envoys, r#"envoy_http_ext_authz_failure_mode_allowed{envoy_ext_authz_prefix="mimir_rls""#),
        (&envoys, r#"envoy_http_ext_authz_error{envoy_ext_authz_prefix="mimir_rls""#),
        (&envoys, r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir"} 1"#),
        (&envoys, r#"envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="mimir"} 1"#),
        (&envoys, r#"envoy_http_no_route{envoy_http_conn_manager_prefix="push"} 0"#),
    ] {
        assert!(page.contains(series), "{series}");
    }
}

fn envoy(edge: &Edge) -> String {
    send(edge.envoy.metrics_port(), &Request::new("GET", "/stats/prometheus")).text().into_owned()
}

/// What the alerts about Mimir see of pushes that it does not answer, whatever the tenant's mode.
#[test]
fn envoy_counts_each_push_that_mimir_does_not_take() {
    let modes = "{mode: enforce, tenants: {unlimited: {mode: off}, watched: {mode: shadow}}}";
    let edge = Edge::builder().upstream(free_port()).edge_config(modes).start("overrides: {}\n");
    let healthy = r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir"}"#;
    until("no distributor is healthy", || edge.envoy.metric(healthy) == Some(0.0));
    let body = samples(1).bytes;
    for (count, tenant) in ["unlimited", "watched", "team"].into_iter().enumerate() {
        let answer = send(edge.port(), &push_request(tenant, &body));
        assert_eq!((answer.status, answer.reason().as_deref()), (503, Some("mimir_unreachable")), "{tenant}");
        let failed = r#"envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="mimir"}"#;
        until("the failure is counted", || edge.envoy.metric(failed) == Some((count + 1) as f64));
    }
}

/// The rules of a `PrometheusRule` that the chart renders for release `edge` in namespace `ns`.
fn rendered(name: &str, set: &str) -> String {
    let chart = chart(name);
    let set = format!("--set={set}");
    let kind = "--api-versions=monitoring.coreos.com/v1/PrometheusRule";
    let path = chart.to_str().expect("a path is text");
    let manifests = helm(&["template", "edge", path, "--namespace=ns", kind, &set]).ok();
    let rule = manifests.split("---\n").find(|manifest| manifest.contains("kind: PrometheusRule"));
    let (_, spec) = rule.expect("there is a rule").split_once("\nspec:\n").expect("it has a spec");
    let rules: String = spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(file.path(), &rules).expect("a file can be written");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", file.path().to_str().expect("a path is text")]);
    rules
}

#[test]
fn the_prometheus_rule_selects_the_jobs_of_its_release() {
    let text = rules(MIMIR_RLS);
    let from = |source: &str| rendered(MIMIR_RLS, &format!("limits.source={source}"));
    let default = from("feed:http://overrides-sync:8083");
    let both = [r#"job="edge-mimir-rls",namespace="ns""#, r#"job="overrides-sync",namespace="ns""#];
    for (was, is) in [r#"job="mimir-rls""#, r#"job="overrides-sync""#].into_iter().zip(both) {
        assert_eq!(default.matches(is).count(), text.matches(&format!("{{{was}")).count(), "{is}: {default}");
    }
    assert_eq!(
        default.matches("- alert: ").count() + default.matches("  alert: ").count(),
        text.matches("- alert: ").count()
    );
    let elsewhere = from("feed:http://sync.limits.svc.cluster.local:8083");
    assert!(elsewhere.contains(r#"job="sync",namespace="limits""#), "{elsewhere}");
    for source in ["kube:mimir/mimir-runtime", "feed:http://10.0.0.1:8083"] {
        let without = from(source);
        assert!(!without.contains("OverridesSyncDown") && without.contains("RLSDown"), "{source}: {without}");
    }
}

#[test]
fn the_rule_of_envoy_selects_the_jobs_of_its_release() {
    let text = rules(ENVOY);
    let alerts = |rules: &str| rules.matches("alert: ").count();
    let of_text = |job: &str| text.matches(&format!("{{job=\"{job}\"")).count();
    let (ours, mimir) = (r#"job="edge-envoy",namespace="ns""#, r#"{namespace="mimir","#);
    for (set, rls) in [
        ("mode=enforce", r#"job="mimir-rls",namespace="ns""#),
        ("mimirRls.host=rls.limits.svc.cluster.local", r#"job="rls",namespace="limits""#),
        ("mimirRls.host=10.0.0.1", r#"job="mimir-rls",namespace="ns""#),
        ("sidecar.enabled=true,replicaCount=1,mimirRls.host=unused", r#"job="mimir-rls",namespace="ns""#),
    ] {
        let rules = rendered(ENVOY, set);
        for (is, job) in [(ours, "mimir-envoy"), (rls, "mimir-rls")] {
            assert_eq!(rules.matches(is).count(), of_text(job), "{set}: {rules}");
        }
        let of_mimir = rules.matches(mimir).count() + rules.matches(r#"{namespace="mimir"}"#).count();
        assert_eq!(of_mimir, of_text("mimir"), "{set}: {rules}");
        assert_eq!(alerts(&rules), alerts(&text), "{set}: {rules}");
    }
    // An Envoy that mirrors needs no Mimir, which gets the pushes themselves.
    let mirror = rendered(ENVOY, "mode=mirror");
    assert_eq!(alerts(&mirror), alerts(&text) - 2);
    assert!(!mirror.contains("alert: MimirUnreachable") && !mirror.contains("alert: EdgeBypassed"), "{mirror}");
    assert!(mirror.contains("alert: RLSUnreachable"), "{mirror}");
}

#[test]
fn values_choose_alerts_their_runbook_and_mimirs_selector() {
    for (name, alert) in [(MIMIR_RLS, "AuditDropped"), (ENVOY, "EdgeBypassed")] {
        for base in ["https://git.test/blob/main/ops/runbooks", "https://git.test/blob/main/ops/runbooks/"] {
            let rules =
                rendered(name, &format!("prometheusRule.runbookUrl={base},prometheusRule.disabled={{{alert}}}"));
            assert!(!rules.contains(&format!("alert: {alert}\n")), "{rules}");
            let all = rules.matches("alert: ").count();
            assert!(all > 10, "{rules}");
            let url = "runbook_url: https://git.test/blob/main/ops/runbooks/alerts.md#";
            assert_eq!(rules.matches(url).count(), all, "{rules}");
        }
        let plain = rendered(name, "prometheusRule.runbookUrl=");
        assert_eq!(plain.matches("runbook_url: ops/runbooks/alerts.md#").count(), plain.matches("alert: ").count());
    }
    let selected = rendered(ENVOY, r#"prometheusRule.mimirSelector=job=~"mimir/.*""#);
    assert!(selected.contains(r#"cortex_ingester_memory_users{job=~"mimir/.*"}"#), "{selected}");
}
