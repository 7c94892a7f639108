//! Runs the real `edgectl` and looks at what it prints, how it ends and what reaches a server.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

mod against;
mod check;
mod diff;
mod docs;
mod edge_api;
mod examples;
mod explain;
mod flow;
mod installation;
mod load;
mod load_profiles;
mod plugin;
mod quick_setup;
mod replica;
mod rollout;
mod server;
mod tap;
mod tenants;
mod tls;

/// The variables of mimirtool, without their prefix.
const MIMIRTOOL: [&str; 10] = [
    "ADDRESS",
    "TENANT_ID",
    "API_USER",
    "API_KEY",
    "AUTH_TOKEN",
    "EXTRA_HEADERS",
    "TLS_CA_PATH",
    "TLS_CERT_PATH",
    "TLS_KEY_PATH",
    "TLS_INSECURE_SKIP_VERIFY",
];

/// The program with these arguments, not started yet.
fn edgectl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgectl"));
    // A test says itself where replicas are.
    for name in ["ADDRESS", "TOKEN_FILE", "CA_FILE", "TLS_SERVER_NAME"] {
        command.env_remove(format!("MIMIR_EDGE_{name}"));
    }
    for name in MIMIRTOOL {
        command.env_remove(format!("MIMIR_{name}"));
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
fn run(arguments: &[&str]) -> Finished {
    Finished::of(edgectl(arguments).output().expect("edgectl runs"))
}

/// Runs the program with this text as its standard input.
fn run_with_input(arguments: &[&str], input: &[u8]) -> Finished {
    let mut child = edgectl(arguments).stdin(Stdio::piped()).spawn().expect("edgectl starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("edgectl reads");
    Finished::of(child.wait_with_output().expect("edgectl ends"))
}

/// What a run left behind.
#[derive(Debug)]
struct Finished {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Finished {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[test]
fn bad_usage_ends_with_64() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["check", "--merge"],
        &["load-remote-write", "--rate", "fast"],
        &["check", "--nonsense", "x"],
    ] {
        let finished = run(arguments);
        assert_eq!((finished.code, finished.out.as_str()), (Some(64), ""), "{arguments:?}: {finished:?}");
        assert!(finished.err.contains("--help"), "{arguments:?}: {finished:?}");
    }
}

#[test]
fn help_and_version_are_answers_and_no_errors() {
    for arguments in [&["--help"][..], &["-help"], &["check", "-h"], &["load-remote-write", "-help"], &["--version"]] {
        let finished = run(arguments);
        assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{arguments:?}: {finished:?}");
        assert!(finished.out.contains("edgectl"), "{arguments:?}: {finished:?}");
    }
}
