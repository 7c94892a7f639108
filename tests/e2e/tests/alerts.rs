//! The alerts: their metrics exist, each has an entry in the runbook, and a real Alertmanager groups and silences them.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot do its part fails")]

mod alertmanager;
mod runbook;
mod selectors;

use std::fs;
use std::path::PathBuf;

use e2e::repository;

/// The rule files of the charts.
fn rule_files() -> [PathBuf; 2] {
    ["mimir-rls", "envoy"].map(|chart| repository().join("charts").join(chart).join("files/alerts.yaml"))
}

fn rules() -> String {
    rule_files().map(|path| fs::read_to_string(path).expect("a rule file can be read")).concat()
}
