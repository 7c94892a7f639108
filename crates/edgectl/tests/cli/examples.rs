//! The examples of `--help` run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::IntoResponse;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::replica::{Asked, Replica, details, explanation, fault, history, usage};
use crate::{Finished, run, tap};

static POLLS: AtomicU64 = AtomicU64::new(0);

/// The lines below `Examples:`, up to an empty one; a backslash continues a line.
fn examples(subcommand: &str) -> Vec<String> {
    let help = run(&[subcommand, "--help"]).out;
    let (_, rest) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{subcommand} has no examples"));
    let (examples, _) =
        rest.split_once("\n\n").unwrap_or_else(|| panic!("{subcommand} has nothing below its examples"));
    examples.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect()
}

fn page(asked: &Asked) -> Option<Value> {
    let (path, _) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    match path {
        "/api/v1/tenants" => Some(json!({ "tenants": [], "default_limits": null, "next": null })),
        "/api/v1/tenants/team-a" => Some(details(true, 5.0)),
        "/api/v1/denials" => {
            // Each request finds a new one.
            let sequence = 1 + POLLS.fetch_add(1, Ordering::Relaxed);
            Some(
                json!({ "denials": [tap::denial(sequence, "team-a", "enforce", "ingestion_rate", 429)], "next": null }),
            )
        }
        "/api/v1/usage" => Some(json!({ "tenants": [usage("team-a", 1, 1_000.0, 0)], "total": 1, "distributors": 1 })),
        "/api/v1/usage/team-a" => Some(history(&usage("team-a", 1, 1_000.0, 0), 1)),
        "/api/v1/explain" => Some(explanation(true, 1000.0)),
        _ => None,
    }
}

/// Runs a line of a shell with `edgectl` on its path, and this replica at every address that it names and at the default one.
pub(crate) fn shell(line: &str, replica: &Replica, folder: &Path) -> Finished {
    let programs = Path::new(env!("CARGO_BIN_EXE_edgectl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let line = ["http://127.0.0.1:9095", "http://127.0.0.1:9096"]
        .iter()
        .fold(line.to_owned(), |line, address| line.replace(address, &replica.url));
    let mut command = Command::new("sh");
    let command =
        command.args(["-c", &line]).current_dir(folder).env("PATH", path).env("MIMIR_EDGE_ADDRESS", &replica.url);
    Finished::of(command.output().unwrap())
}

#[test]
fn the_examples_of_help_run() {
    let replica = Replica::start(|asked| match page(asked) {
        Some(value) => value.to_string().into_response(),
        None => fault(404, &asked.target),
    });
    let folder = TempDir::new().unwrap();
    for (name, text) in [
        ("push.snappy", "a body"),
        ("mimir.yaml", "limits: {ingestion_rate: 50}"),
        ("runtime.yaml", "overrides: {team-a: {}}"),
        ("runtime-new.yaml", "overrides: {team-a: {}, team-b: {}}"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    for subcommand in ["completions", "diff", "explain", "simulate", "suggest", "tap", "tenants", "top"] {
        let lines = examples(subcommand);
        assert!(lines.len() > 2, "{lines:?}");
        for line in lines {
            assert!(line.starts_with(&format!("edgectl {subcommand}")), "{line}");
            let finished = shell(&line, &replica, folder.path());
            assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{line}: {finished:?}");
        }
    }
}
