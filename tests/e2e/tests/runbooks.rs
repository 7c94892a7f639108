//! The runbooks: their commands, run in their order against the real API server and the real NGINX, and the metrics that they name.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod commands;
mod metrics;
mod operator_shell;

use std::fs;

use e2e::repository;

/// The text of a runbook.
fn runbook(name: &str) -> String {
    fs::read_to_string(repository().join("ops/runbooks").join(name)).expect("the runbook is there")
}
