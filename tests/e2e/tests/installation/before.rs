//! `edgectl check --pre` with the real API server and the real Mimir.

use std::fs;

use e2e::{ADMIN, Cluster, KubeApiServer, Mimir, Token};
use serde_json::Value;

use super::whole::{RUNTIME, edgectl};

const NOBODY: &str = "token-of-nobody";

fn check(cluster: &Cluster, token: &str, more: &[&str]) -> (Option<i32>, Value) {
    let server = &cluster.server;
    let mut command = edgectl(&server.kubeconfig(token), server.folder());
    let command =
        command.args(["check", "--pre", "--configmap", "mimir/mimir-runtime", "-n", "edge", "-o", "json"]).args(more);
    let output = command.output().expect("edgectl runs");
    let health = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), health)
}

#[track_caller]
fn finding<'h>(health: &'h Value, group: &str, check: &str) -> &'h Value {
    let mut checks = health["checks"].as_array().expect("a list").iter();
    let found = checks.find(|finding| finding["group"] == group && finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {group}, {check}: {health:#}"))
}

#[test]
fn what_an_installation_needs_is_checked_before_it() {
    let server = KubeApiServer::start(&[Token::new(NOBODY, "nobody", &[])]);
    server.namespace("edge");
    let cluster = Cluster::of(server, RUNTIME);
    let folder = cluster.server.folder().join("mimir");
    let runtime = cluster.server.folder().join("runtime.yaml");
    fs::write(&runtime, RUNTIME).expect("a file can be written");
    let mimir = Mimir::start_with(&folder, &runtime, &["-distributor.ingestion-rate-limit=25000"]);
    let url = format!("http://localhost:{}", mimir.port());

    let (code, health) = check(&cluster, ADMIN, &["--mimir", &url]);
    assert_eq!((code, &health["status"]), (Some(0), &"ok".into()), "{health:#}");
    let detail =
        |group: &str, check: &str| finding(&health, group, check)["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail("Kubernetes", "its version is supported").starts_with("v1."), "{health:#}");
    assert_eq!(detail("Kubernetes", "you may install the charts"), "in namespace edge");
    assert_eq!(detail("overrides document", "the ConfigMap is accepted"), "1 tenant");
    assert!(detail("Mimir", "it shows its distributors").starts_with("1 in the ring"), "{health:#}");
    assert!(
        detail("Mimir", "it says whether it has an HA tracker")
            .contains("with 0 pairs; accept_ha_samples is set for 0 tenants"),
        "{health:#}"
    );
    assert!(detail("Mimir", "it shows its default limits").starts_with("ingestion_rate 25000: "), "{health:#}");
    assert!(!detail("Mimir", "its name resolves").is_empty(), "{health:#}");

    cluster.put(&RUNTIME.replace("1000", "fast"));
    let (code, health) = check(&cluster, ADMIN, &[]);
    assert_eq!(code, Some(1), "{health:#}");
    let found = finding(&health, "overrides document", "the ConfigMap is accepted");
    assert!(found["detail"].as_str().is_some_and(|why| why.contains("MRC0030")), "{found}");
    assert_eq!(finding(&health, "Mimir", "it answers")["status"], "skipped", "{health:#}");

    let (code, health) = check(&cluster, NOBODY, &[]);
    assert_eq!(code, Some(1), "{health:#}");
    for (group, check) in [
        ("Kubernetes", "you may install the charts"),
        ("Kubernetes", "you may let overrides-sync read the ConfigMap"),
        ("overrides document", "the ConfigMap is found"),
    ] {
        assert_eq!(finding(&health, group, check)["status"], "failure", "{health:#}");
    }
}
