//! The binary's command line.

use std::process::{Command, Output};

use clap::CommandFactory;
use rls::Args;

#[track_caller]
fn mimir_rls(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimir-rls"));
    command
        .args(args)
        .env_remove("MIMIR_RLS_LIMITS")
        .output()
        .unwrap_or_else(|error| unreachable!("mimir-rls does not run: {error}"))
}

#[track_caller]
fn rejects(args: &[&str], says: &str) {
    let output = mimir_rls(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
}

/// The same with good limits before these arguments.
#[track_caller]
fn rejects_with_limits(args: &[&str], says: &str) {
    rejects(&[&["--limits", "file:x"], args].concat(), says);
}

#[test]
fn bad_usage_ends_with_64_and_names_the_flag() {
    rejects(&[], "--limits");
    rejects(&["--limits", "runtime.yaml"], "file:PATH");
    rejects(&["--limits", "redis:x"], "--limits");
    rejects_with_limits(&["--grpc-listen", "somewhere"], "--grpc-listen");
    rejects_with_limits(&["--grpc-listen", "unix:"], "unix: needs the path of a socket");
    rejects_with_limits(&["--max-request-bytes", "0"], "--max-request-bytes");
    rejects_with_limits(&["--max-decoded-bytes", "5GiB"], "--max-decoded-bytes");
    rejects_with_limits(&["--max-in-flight-bytes", "1MiB"], "--max-in-flight-bytes");
    rejects_with_limits(&["--drain-delay", "soon"], "--drain-delay");
    rejects_with_limits(&["--log-level", "verbose"], "--log-level");
    rejects_with_limits(&["--log-format", "xml"], "--log-format");
    rejects_with_limits(&["--unreadable-body", "drop"], "--unreadable-body");
    rejects_with_limits(&["--decode-bodies", "false"], "--decode-bodies");
    rejects_with_limits(&["--default-limits", "/nowhere/at-all"], "--default-limits");
    rejects_with_limits(&["--charge-samples-in", "envoy"], "--charge-samples-in");
    rejects_with_limits(&["--distributors", "0"], "--distributors");
    rejects_with_limits(&["--ha-tracker", "maybe"], "--ha-tracker");
    rejects_with_limits(&["--ha-tracker-url", "mimir:8080"], "--ha-tracker-url: it must begin with http");
    rejects_with_limits(&["--ha-tracker-url", "http://u:p@mimir"], "--ha-tracker-url: credentials");
    for (tenant, says) in
        [("", "no org id"), ("a|b", "--default-tenant"), ("a/b", "--default-tenant"), ("a|a", "one tenant")]
    {
        rejects_with_limits(&["--default-tenant", tenant], says);
    }
    rejects_with_limits(&["--no-such-flag"], "--no-such-flag");
}

#[test]
fn flags_that_contradict_each_other_end_with_64() {
    rejects_with_limits(&["--http-listen", "1.1.1.1:1", "--grpc-listen", "1.1.1.1:1"], "--http-listen");
    rejects_with_limits(&["--ha-tracker-url", "http://mimir", "--ha-tracker", "off"], "leave out one of them");
    rejects_with_limits(
        &["--default-tenant", "a", "--charge-samples-in", "rate-limit"],
        "--default-tenant needs --charge-samples-in check",
    );
}

#[test]
fn flags_that_share_a_file_end_with_64() {
    rejects_with_limits(&["--limits-cache", "./x"], "--limits-cache ./x writes to x, which --limits names");
    rejects_with_limits(&["--audit-log", "./x"], "--audit-log ./x writes to x, which --limits names");
    rejects_with_limits(&["--grpc-listen", "unix:./x"], "--grpc-listen ./x writes to x, which --limits names");
    for flag in ["--default-limits", "--edge-config", "--limits-cache"] {
        rejects_with_limits(&[flag, "y", "--audit-log", "./y"], flag);
        rejects_with_limits(&[flag, "y", "--audit-log", "./y"], "--audit-log");
    }
}

#[test]
fn unusable_tls_files_and_tokens_end_with_64() {
    rejects_with_limits(&["--grpc-tls-cert", "y"], "--grpc-tls-client-ca: a certificate needs its key");
    rejects_with_limits(&["--grpc-tls-client-ca", "y"], "a certificate needs its key");
    rejects_with_limits(&["--http-tls-key", "y"], "--http-tls-cert and --http-tls-key: a certificate needs");
    let http = ["--http-tls-cert", "/nowhere/tls.crt", "--http-tls-key", "/nowhere/tls.key"];
    rejects_with_limits(&http, "--http-tls-key: /nowhere/tls.crt cannot be read");
    rejects_with_limits(&["--http-token-file", "/nowhere/at-all"], "--http-token-file: /nowhere/at-all");
    rejects_with_limits(&["--http-token-file", "/dev/null"], "it is no regular file");
    let short = tempfile::NamedTempFile::new().unwrap_or_else(|error| unreachable!("no file can be made: {error}"));
    std::fs::write(short.path(), "s").unwrap_or_else(|error| unreachable!("the file cannot be written: {error}"));
    let path = short.path().to_string_lossy().into_owned();
    rejects_with_limits(&["--http-token-file", &path], "--http-token-file: the token is shorter than 16 bytes");
    rejects(
        &["--limits", "feed:https://a:1", "--feed-tls-ca", "/nowhere/ca"],
        "--feed-tls-ca /nowhere/ca cannot be read",
    );
    rejects(&["--limits", "feed:http://a:1", "--feed-tls-ca", "y"], "--feed-tls-ca is for a feed with https");
}

#[test]
fn help_teaches_every_flag_and_its_environment_variable() {
    let output = mimir_rls(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.starts_with("Decides for Envoy which"), "it says what it is: {help}");
    for argument in Args::command().get_arguments() {
        let Some(flag) = argument.get_long().filter(|flag| !["help", "version"].contains(flag)) else { continue };
        assert!(help.contains(&format!("--{flag}")), "{flag}: {help}");
        let variable = format!("MIMIR_RLS_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&format!("[env: {variable}")), "{variable}: {help}");
        let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(text.len() > 20, "--{flag} explains itself: {text}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = mimir_rls(&["--limits", "file:x", "--http-listen", "127.0.0.1:0", "--grpc-listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}

#[test]
fn an_audit_pipe_without_a_reader_fails_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success()));
    let path = pipe.display().to_string();
    let output = mimir_rls(&["--limits", "file:x", "--http-listen", "127.0.0.1:0", "--audit-log", &path]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("--audit-log") && stderr.contains(&path), "{stderr}");
}
