//! The names that charts, dashboards and people depend on.

use std::collections::BTreeSet;

use clap::CommandFactory;
use overrides_sync::Args;

use crate::support::{Server, document};

/// Flags, with what holds unless they are given. One that is missing here may change; one that is here may not.
const FLAGS: [(&str, Option<&str>); 27] = [
    ("grpc-listen", Some("0.0.0.0:8083")),
    ("http-listen", Some("0.0.0.0:9091")),
    ("limits", None),
    ("default-limits", None),
    ("default-limits-expand-env", None),
    ("default-limits-flags", None),
    ("default-limits-url", None),
    ("mimir-version", Some("3.1")),
    ("limits-cache", None),
    ("allow-empty-overrides", None),
    ("ha-tracker-url", None),
    ("distributor-service", None),
    ("events", None),
    ("webhook-listen", None),
    ("webhook-tls-cert", None),
    ("webhook-tls-key", None),
    ("grpc-tls-cert", None),
    ("grpc-tls-key", None),
    ("grpc-tls-client-ca", None),
    ("http-tls-cert", None),
    ("http-tls-key", None),
    ("http-token-file", None),
    ("drain-delay", Some("0s")),
    ("drain-timeout", Some("30s")),
    ("log-format", Some("text")),
    ("log-level", Some("info")),
    ("version", None),
];

/// Series that alerts and dashboards read; each is there before anything has happened.
const SERIES: [&str; 40] = [
    "overrides_sync_limits_version",
    "overrides_sync_tenants",
    "overrides_sync_problems{severity=\"rejected\"}",
    "overrides_sync_problems{severity=\"shadowed\"}",
    "overrides_sync_problems{severity=\"kept\"}",
    "overrides_sync_problems{severity=\"ignored\"}",
    "overrides_sync_limits_stale_seconds",
    "overrides_sync_watch_restarts_total",
    "overrides_sync_configmap_deletions_total",
    "overrides_sync_feed_clients",
    "overrides_sync_feed_clients_rejected_total",
    "overrides_sync_feed_updates_total{kind=\"snapshot\"}",
    "overrides_sync_feed_updates_total{kind=\"delta\"}",
    "overrides_sync_propagation_seconds_count",
    "overrides_sync_ha_tracker_polls_total{result=\"ok\"}",
    "overrides_sync_ha_tracker_polls_total{result=\"error\"}",
    "overrides_sync_ha_pairs",
    "overrides_sync_distributors",
    "overrides_sync_events_total{result=\"created\"}",
    "overrides_sync_events_total{result=\"repeated\"}",
    "overrides_sync_events_total{result=\"invalid\"}",
    "overrides_sync_events_total{result=\"forbidden\"}",
    "overrides_sync_events_total{result=\"not_answered\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"allowed\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"warned\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"denied\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"passed\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"not_reviewed\"}",
    "overrides_sync_webhook_reviews_total{outcome=\"rejected\"}",
    "overrides_sync_limits_cache_errors_total",
    "overrides_sync_grpc_connections_closed_total{reason=\"rejected\"}",
    "overrides_sync_grpc_connections_closed_total{reason=\"gave_way\"}",
    "overrides_sync_http_connections_closed_total{reason=\"silent\"}",
    "overrides_sync_http_connections_closed_total{reason=\"unread\"}",
    "overrides_sync_bad_tls_files_total{of=\"grpc_tls\"}",
    "overrides_sync_certificate_not_after_timestamp_seconds{of=\"grpc_tls\"}",
    "overrides_sync_certificate_not_after_timestamp_seconds{of=\"http_tls\"}",
    "overrides_sync_bad_tls_files_total{of=\"webhook_tls\"}",
    "overrides_sync_certificate_not_after_timestamp_seconds{of=\"webhook_tls\"}",
    "overrides_sync_log_lines_dropped_total",
];

const PAGES: [&str; 4] = ["/metrics", "/live", "/ready", "/api/v1/problems"];

#[test]
fn promised_flags_exist_with_their_defaults_and_no_others() {
    let mut command = Args::command();
    command.build();
    let mut found = BTreeSet::new();
    for argument in command.get_arguments() {
        let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        let default = default.filter(|_| argument.get_action().takes_values());
        found.insert((argument.get_long().unwrap().to_owned(), default));
    }
    let promised = FLAGS.into_iter().chain([("help", None)]);
    let promised = promised.map(|(flag, default)| (flag.to_owned(), default.map(str::to_owned))).collect();
    assert_eq!(found, promised);
}

#[tokio::test]
async fn promised_metrics_and_pages_exist_from_the_start() -> anyhow::Result<()> {
    let server = Server::start(&document(1, 1), &[]).await?;
    for series in SERIES {
        assert!(server.metric(series).await?.is_some(), "{series}");
    }
    for page in PAGES {
        assert_eq!(server.page(page).await?.0, 200, "{page}");
    }
    Ok(())
}

const DOCS: &str = include_str!("../../../../docs/overrides-sync.md");

/// The rows of the table under a heading, each as its cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = DOCS.split_once(heading).map(|(_, rest)| rest).unwrap_or_default();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.skip(2).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.collect()
}

fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_docs_list_every_flag_with_its_default_and_variable() {
    let command = Args::command();
    let mut listed = BTreeSet::new();
    for row in table("## Settings") {
        let [flag, default, variable] = row[..] else { panic!("{row:?}") };
        let name = code(flag)[0].trim_start_matches("--");
        let found = command.get_arguments().find(|argument| argument.get_long() == Some(name));
        let argument = found.unwrap_or_else(|| panic!("--{name} does not exist"));
        assert_eq!(code(variable), [argument.get_env().unwrap().to_string_lossy()], "--{name}");
        let real = argument.get_default_values().iter().map(|value| value.to_string_lossy());
        let real: Vec<_> = real.filter(|_| argument.get_action().takes_values()).collect();
        assert_eq!(code(default), real, "--{name}");
        listed.insert(name);
    }
    let promised = FLAGS.iter().map(|(flag, _)| *flag).filter(|flag| *flag != "version");
    assert_eq!(listed, promised.collect());
}

#[tokio::test]
async fn the_docs_list_every_metric() -> anyhow::Result<()> {
    let server = Server::start(&document(1, 1), &[]).await?;
    let (_, text) = server.page("/metrics").await?;
    let described: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rows = table("## Metrics");
    let listed = rows.iter().flat_map(|row| code(row[0])).map(|metric| metric.split('{').next().unwrap_or(metric));
    assert_eq!(listed.collect::<BTreeSet<_>>(), described, "left: docs, right: /metrics");
    Ok(())
}
