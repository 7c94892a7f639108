//! The names that charts, dashboards and people depend on: they exist, and the tables of the docs say the same as the binary.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use enforce::DenyReason;
use rls::Args;

use remote_write::Protocol;

use crate::support::{Server, samples};

const CONFIGURATION: &str = include_str!("../../../../docs/configuration.md");
const DECISIONS: &str = include_str!("../../../../docs/decisions.md");
const HTTP_API: &str = include_str!("../../../../docs/http-api.md");
const METRICS_PAGE: &str = include_str!("../../../../docs/metrics.md");

/// Flags that charts set. One that is missing here may change; one that is here may not.
const FLAGS: [&str; 34] = [
    "grpc-listen",
    "http-listen",
    "limits",
    "default-limits",
    "default-limits-expand-env",
    "default-limits-flags",
    "default-limits-url",
    "mimir-version",
    "edge-config",
    "default-tenant",
    "decode-bodies",
    "max-request-bytes",
    "max-decoded-bytes",
    "max-in-flight-bytes",
    "unreadable-body",
    "charge-samples-in",
    "distributors",
    "ha-tracker",
    "ha-tracker-url",
    "allow-empty-overrides",
    "drain-delay",
    "drain-timeout",
    "limits-cache",
    "audit-log",
    "log-level",
    "grpc-tls-cert",
    "grpc-tls-key",
    "grpc-tls-client-ca",
    "http-tls-cert",
    "http-tls-key",
    "http-token-file",
    "feed-tls-ca",
    "feed-tls-cert",
    "feed-tls-key",
];

/// Metrics that alerts and dashboards read, with their labels.
const METRICS: [(&str, &[&str]); 14] = [
    ("rls_decisions_total", &["decision", "mode", "reason"]),
    ("rls_authz_check_duration_seconds", &[]),
    ("rls_body_parse_errors_total", &["kind"]),
    ("rls_limits_stale_seconds", &[]),
    ("rls_samples_total", &["decision"]),
    ("rls_tenant_decisions_total", &["decision", "tenant"]),
    ("rls_limits_problems", &[]),
    ("rls_limits_problems_by_kind", &["kind"]),
    ("rls_limits_version", &[]),
    ("rls_tenants", &[]),
    ("rls_edge_config_problems", &[]),
    ("rls_ha_tracker_polls_total", &["result"]),
    ("rls_ha_tracker_stale_seconds", &[]),
    ("rls_ha_tracker_elected", &[]),
];

const OF_SOURCES: [&str; 3] = ["rls_limits_feed_", "rls_limits_watch_", "rls_limits_configmap_"];

const PAGES: [&str; 10] = [
    "/metrics",
    "/live",
    "/ready",
    "/api/v1/tenants",
    "/api/v1/tenants/any",
    "/api/v1/problems",
    "/api/v1/denials",
    "/api/v1/log-level",
    "/api/v1/status",
    "/",
];

/// The rows of the table under a heading of a page, each as its cells.
fn table(page: &'static str, heading: &str) -> Vec<Vec<&'static str>> {
    let section = page.split_once(heading).map(|(_, rest)| rest).unwrap_or_default();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    let cells: Vec<_> = cells.collect();
    assert!(!cells.is_empty(), "there is a table under {heading}");
    cells
}

fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_docs_list_every_flag_with_its_default_and_variable() {
    let command = Args::command();
    let flags: BTreeMap<String, (Option<String>, String)> = command
        .get_arguments()
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .map(|argument| {
            let name = argument.get_long().unwrap().to_owned();
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let default = default.filter(|_| argument.get_action().takes_values());
            (name, (default, argument.get_env().unwrap().to_string_lossy().into_owned()))
        })
        .collect();
    let mut listed = BTreeSet::new();
    for row in table(CONFIGURATION, "## Flags") {
        let [flag, default, variable] = row[..] else { panic!("{row:?}") };
        let flag = code(flag)[0].trim_start_matches("--");
        let Some((real_default, real_variable)) = flags.get(flag) else { panic!("--{flag} does not exist") };
        assert_eq!(code(variable), [real_variable], "--{flag}");
        match real_default {
            Some(real) => assert_eq!(code(default), [real], "--{flag}"),
            None => assert!(code(default).is_empty(), "--{flag} has no default that can be set: {default}"),
        }
        listed.insert(flag.to_owned());
    }
    assert_eq!(listed, flags.keys().cloned().collect(), "docs/configuration.md and --help list the same flags");
    for flag in FLAGS {
        assert!(listed.contains(flag), "--{flag} is promised");
    }
}

#[tokio::test]
async fn the_docs_list_every_metric_and_promised_ones_exist() -> anyhow::Result<()> {
    // Those of an HA tracker are there only where one is to be asked, whether it answers or not.
    let server = Server::start("overrides: {}", &["--ha-tracker-url=http://127.0.0.1:1"]).await?;
    assert_eq!(server.push("any", samples(Protocol::V1, 1)).await?.status, 200);
    let (_, text) = server.page("/metrics").await?;
    let described: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut listed = BTreeSet::new();
    for row in table(METRICS_PAGE, "## Metrics of mimir-rls") {
        listed.extend(code(row[0]).into_iter().map(|metric| metric.split('{').next().unwrap_or(metric)));
    }
    // Those of a source are there only with it: `metrics::source` compares them with the page.
    listed.retain(|name| !OF_SOURCES.iter().any(|prefix| name.starts_with(prefix)));
    assert_eq!(listed, described, "left: docs/metrics.md, right: /metrics");
    let kinds = table(DECISIONS, "## Pushes that cannot be metered");
    let kinds: BTreeSet<_> = kinds.iter().flat_map(|row| code(row[0])).collect();
    let unmetered = text.lines().filter_map(|line| line.strip_prefix("rls_unmetered_total{kind=\""));
    assert_eq!(kinds, unmetered.filter_map(|rest| rest.split('"').next()).collect(), "left: docs/decisions.md");
    for (name, labels) in METRICS {
        let series = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
        let inside = series.and_then(|line| Some(line.split_once('{')?.1.split_once('}')?.0)).unwrap_or_default();
        let found: Vec<_> = inside.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
        assert!(described.contains(name), "{name} is promised");
        if !labels.is_empty() {
            assert_eq!(found, labels, "{name}");
        }
    }
    Ok(())
}

/// A row has several reasons where they have one cause.
#[test]
fn the_docs_list_every_reason_with_its_status() {
    let rows = table(DECISIONS, "## Reasons");
    let listed: Vec<_> = rows.iter().flat_map(|row| code(row[0]).into_iter().map(|reason| (reason, row[1]))).collect();
    let known: Vec<_> = DenyReason::ALL.iter().map(|reason| (reason.as_str(), reason.status().to_string())).collect();
    assert_eq!(listed, known.iter().map(|(name, status)| (*name, status.as_str())).collect::<Vec<_>>());
}

#[tokio::test]
async fn promised_pages_exist_and_the_docs_name_them() -> anyhow::Result<()> {
    let server = Server::start("overrides: {}", &[]).await?;
    for page in PAGES {
        assert_eq!(server.page(page).await?.0, 200, "{page}");
        let named = page.replace("/any", "/{id}");
        assert!(HTTP_API.contains(&named), "docs/http-api.md names {named}");
    }
    assert!(HTTP_API.contains("POST /api/v1/explain"));
    Ok(())
}

#[tokio::test]
async fn the_edge_config_of_the_docs_has_no_problem() -> anyhow::Result<()> {
    let example =
        CONFIGURATION.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("```")).map(|(example, _)| example);
    let server = Server::start_with("overrides: {}", example.unwrap_or_default(), &[]).await?;
    assert_eq!(server.metric("rls_edge_config_problems").await?, Some(0.0));
    for (tenant, mode) in [("team-a", "shadow"), ("team-b", "off"), ("team-c", "enforce")] {
        assert_eq!(server.json(&format!("/api/v1/tenants/{tenant}")).await?["mode"], mode);
    }
    Ok(())
}
