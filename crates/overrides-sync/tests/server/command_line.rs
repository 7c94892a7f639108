//! The binary's command line.

use std::process::{Command, Output};

use clap::CommandFactory;
use overrides_sync::Args;

#[track_caller]
fn overrides_sync(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_overrides-sync"));
    command
        .args(args)
        .env_remove("OVERRIDES_SYNC_LIMITS")
        .output()
        .unwrap_or_else(|error| unreachable!("overrides-sync does not run: {error}"))
}

#[track_caller]
fn rejects(args: &[&str], says: &str) {
    let output = overrides_sync(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
}

#[test]
fn bad_usage_ends_with_64_and_names_the_flag() {
    rejects(&[], "--limits");
    rejects(&["--limits", "overrides.yaml"], "file:PATH");
    rejects(&["--limits", "redis:x"], "--limits");
    rejects(&["--limits", "kube:mimir"], "--limits: kube: needs a ConfigMap");
    rejects(&["--limits", "feed:http://sync:8083"], "--limits is a feed, which an overrides-sync serves");
    rejects(&["--limits", "file:x", "--distributor-service", "distributor"], "--distributor-service");
    rejects(&["--limits", "file:x", "--grpc-listen", "somewhere"], "--grpc-listen");
    rejects(&["--limits", "file:x", "--events", "on"], "--events on needs a ConfigMap");
    rejects(&["--limits", "kube:a/b", "--webhook-listen", "1.1.1.1:1"], "--webhook-listen needs --webhook-tls-cert");
    rejects(&["--limits", "kube:a/b", "--webhook-tls-key", "x"], "give --webhook-listen as well");
    let webhook = ["--webhook-listen", "1.1.1.1:1", "--webhook-tls-cert", "x", "--webhook-tls-key", "y"];
    rejects(&[&["--limits", "file:x"], &webhook[..]].concat(), "--webhook-listen needs a ConfigMap");
    let same = ["--limits", "kube:a/b", "--grpc-listen", "1.1.1.1:1"];
    rejects(&[&same, &webhook[..]].concat(), "--grpc-listen and --webhook-listen are both 1.1.1.1:1");
    rejects(&["--limits", "file:x", "--http-listen", "1.1.1.1:1", "--grpc-listen", "1.1.1.1:1"], "--http-listen");
    rejects(&["--limits", "file:x", "--default-limits", "/nowhere/at-all"], "--default-limits: cannot read");
    rejects(&["--limits", "file:x", "--drain-delay", "soon"], "--drain-delay");
    rejects(&["--limits", "file:x", "--log-level", "verbose"], "--log-level");
    rejects(&["--limits", "file:x", "--log-format", "xml"], "--log-format");
    rejects(&["--limits", "file:x", "--ha-tracker-url", "mimir:8080"], "--ha-tracker-url: it must begin with http");
    rejects(&["--limits", "file:x", "--limits-cache", "./x"], "--limits-cache ./x writes to x, which --limits names");
    rejects(&["--limits", "file:x", "--events", "maybe"], "--events");
    rejects(
        &["--limits", "file:x", "--grpc-listen", "unix:./x"],
        "--grpc-listen ./x writes to x, which --limits names",
    );
    rejects(&["--limits", "file:x", "--grpc-tls-key", "y"], "--grpc-tls-client-ca: a certificate needs its key");
    rejects(&["--limits", "file:x", "--http-token-file", "/nowhere/at-all"], "--http-token-file: /nowhere/at-all");
    rejects(&["--limits", "file:x", "--no-such-flag"], "--no-such-flag");
}

#[test]
fn help_teaches_every_flag_and_its_environment_variable() {
    let output = overrides_sync(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.starts_with("Watches Mimir's overrides"), "it says what it is: {help}");
    for argument in Args::command().get_arguments() {
        let Some(flag) = argument.get_long().filter(|flag| !["help", "version"].contains(flag)) else { continue };
        assert!(help.contains(&format!("--{flag}")), "{flag}: {help}");
        let variable = format!("OVERRIDES_SYNC_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&format!("[env: {variable}")), "{variable}: {help}");
        let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(text.len() > 20, "--{flag} explains itself: {text}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = overrides_sync(&["--limits", "file:x", "--http-listen", "127.0.0.1:0", "--grpc-listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}
