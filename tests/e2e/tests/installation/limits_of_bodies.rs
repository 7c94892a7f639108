//! An Envoy that takes more than its mimir-rls, and certificates that have expired.

use std::fs;
use std::process::Command;

use e2e::{Authority, Edge, MimirRls, WatchedFile, built};
use serde_json::Value;

fn diagnose(flags: &[&str]) -> Value {
    let output = Command::new(built("edgectl")).args(["diagnose", "-o", "json"]).args(flags).output();
    let output = output.expect("edgectl runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("edgectl prints JSON")
}

#[test]
fn a_body_limit_above_that_of_mimir_rls_is_named() {
    let edge = Edge::builder().rls_arguments(&["--max-request-bytes=8MiB"]).start("overrides: { team-a: {} }");
    let (rls, admin) = (edge.rls.http_port(), edge.envoy.metrics_port());
    let (rls, admin) = (format!("http://127.0.0.1:{rls}"), format!("http://127.0.0.1:{admin}"));
    let diagnosis = diagnose(&["--address", &rls, "--envoy-admin", &admin]);
    let cause = &diagnosis["cause"];
    assert_eq!(diagnosis["broken"], "Envoy", "{diagnosis}");
    assert!(
        cause["detail"].as_str().is_some_and(|why| why.contains("pushes of 16 MiB, and mimir-rls of 8 MiB")),
        "{cause}"
    );
    assert!(cause["hint"].as_str().is_some_and(|hint| hint.ends_with("--max-request-bytes 16777216")), "{cause}");
}

#[test]
fn an_expired_certificate_is_named() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let authority = Authority::new("edge");
    let identity = authority.issue_expired(&["127.0.0.1"]);
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file can be written");
        folder.path().join(name).display().to_string()
    };
    let arguments = [
        format!("--grpc-tls-cert={}", write("tls.crt", &identity.pem())),
        format!("--grpc-tls-key={}", write("tls.key", &identity.key_pem())),
        format!("--grpc-tls-client-ca={}", write("ca.crt", &authority.pem())),
    ];
    let limits = WatchedFile::of("overrides: { team-a: {} }");
    let rls = MimirRls::start(folder.path(), &limits.source(), &arguments);
    let diagnosis = diagnose(&["--address", &format!("http://127.0.0.1:{}", rls.http_port())]);
    let cause = &diagnosis["cause"];
    assert_eq!(
        (&diagnosis["broken"], &cause["check"]),
        (&"mimir-rls".into(), &"its certificates are valid".into()),
        "{cause}"
    );
    assert!(cause["detail"].as_str().is_some_and(|why| why.contains("grpc_tls: its certificate expired")), "{cause}");
}
