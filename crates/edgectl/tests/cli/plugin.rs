//! `kubectl mimir-edge`: its name, the pods that it finds with kubectl, and the ports that it forwards. A script is kubectl here; `tests/e2e` has the real
//! one, and nothing in the tests has a kubelet, which the real forwarding takes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::response::IntoResponse;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Faults, Stubs};
use crate::load::signal;
use crate::replica::{Replica, details};
use crate::{Finished, edgectl};

/// Logs how it is called, prints the pods and the ConfigMap of files, and says that it forwards a pod's port to that in the file of its name, or of both.
const KUBECTL: &str = r#"#!/bin/sh
cd "${0%/*}"
echo "$*" >> calls
case $1 in
get) if [ "$2" = configmap ]; then cat configmap.json; else cat pods.json; fi ;;
port-forward)
    for argument; do case $argument in pod/*) pod=${argument#pod/} ;; :*) remote=$argument ;; esac; done
    file=$pod
    if [ -e "$pod$remote" ]; then file=$pod$remote; fi
    if ! port=$(cat "$file"); then echo "error: no pod $pod" >&2; exit 1; fi
    echo $$ > "$pod.pid"
    echo "Forwarding from 127.0.0.1:$port -> 9090"
    exec sleep 600 ;;
esac
"#;

/// A folder with kubectl, the plugin, and these pods in namespace edge; each with the URL of its replica, or none.
struct Cluster(TempDir);

impl Cluster {
    fn new(pods: &[(&str, Option<&str>)]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("kubectl"), KUBECTL).unwrap();
        fs::set_permissions(path("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink(env!("CARGO_BIN_EXE_edgectl"), path("kubectl-mimir_edge")).unwrap();
        let object = |(name, _): &(&str, Option<&str>)| {
            json!({
                "metadata": { "name": name, "namespace": "edge" }, "status": { "phase": "Running" },
                "spec": { "containers": [{ "name": "mimir-rls", "args": ["--http-listen=0.0.0.0:9090"] }] },
            })
        };
        let list = json!({ "items": pods.iter().map(object).collect::<Vec<Value>>() });
        fs::write(path("pods.json"), list.to_string()).unwrap();
        for (name, url) in pods {
            if let Some(url) = url {
                fs::write(path(name), url.rsplit(':').next().unwrap()).unwrap();
            }
        }
        Self(folder)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", path).env_remove("MIMIR_EDGE_ADDRESS");
        command
    }

    fn edgectl(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(Path::new(env!("CARGO_BIN_EXE_edgectl")), arguments).output().unwrap())
    }

    fn plugin(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(&self.0.path().join("kubectl-mimir_edge"), arguments).output().unwrap())
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default()
    }

    /// Whether the kubectl of a pod still runs.
    fn is_forwarded(&self, pod: &str) -> bool {
        let id = fs::read_to_string(self.0.path().join(format!("{pod}.pid"))).expect("it was forwarded");
        Path::new("/proc").join(id.trim()).exists()
    }
}

fn replica(has_buckets: bool) -> Replica {
    Replica::of(&[("GET /api/v1/tenants/team-a", details(has_buckets, 5.0))])
}

#[test]
fn the_plugin_names_the_pod_that_decides() {
    let replicas = [replica(false), replica(true)];
    let cluster = Cluster::new(&[("rls-a", Some(&replicas[0].url)), ("rls-b", Some(&replicas[1].url))]);
    let shown = cluster.plugin(&["tenants", "team-a", "-o", "json"]);
    assert_eq!((shown.code, &shown.json()["replica"]), (Some(0), &json!("rls-b")), "{shown:?}");
    let calls = cluster.calls();
    assert!(
        calls.starts_with("get pods --selector app.kubernetes.io/name in (mimir-rls,envoy) --output json"),
        "{calls}"
    );
    for pod in ["rls-a", "rls-b"] {
        let call = format!("port-forward --address 127.0.0.1 --namespace edge pod/{pod} :9090\n");
        assert!(calls.contains(&call), "{call}: {calls}");
        assert!(!cluster.is_forwarded(pod), "{pod}: kubectl still runs");
    }
}

#[test]
fn flags_of_kubectl_are_passed_on() {
    let replica = replica(true);
    for (flags, of_get, of_both) in [
        (&["-n", "edge"][..], " --namespace edge", ""),
        (&["-A", "--context", "east"], " --all-namespaces", " --context east"),
        (&["--kubeconfig", "/k c", "--namespace=edge"], " --namespace edge", " --kubeconfig /k c"),
    ] {
        let cluster = Cluster::new(&[("rls-a", Some(&replica.url))]);
        let shown = cluster.edgectl(&[&["tenants", "team-a", "-o", "json"], flags].concat());
        let name = if flags.contains(&"-A") { "edge/rls-a" } else { "rls-a" };
        assert_eq!((shown.code, &shown.json()["replica"]), (Some(0), &json!(name)), "{shown:?}");
        let calls = cluster.calls();
        let [get, forward] = calls.lines().collect::<Vec<_>>()[..] else { panic!("{calls}") };
        assert!(get.contains(of_get) && get.contains(of_both) && forward.contains(of_both), "{calls}");
    }
}

/// Envoy, mimir-rls and overrides-sync are found by their containers, and the ConfigMap by what overrides-sync watches.
#[test]
fn all_programs_of_an_installation_are_found() {
    let (stubs, cluster) = (Stubs::start(Faults::default()), Cluster::new(&[]));
    let [rls, pushes, metrics, sync, _] = stubs.urls();
    let pod = |name: &str, container: Value| json!({ "metadata": { "name": name, "namespace": "edge" }, "status": { "phase": "Running" }, "spec": { "containers": [container] } });
    let ports = json!([{ "name": "http", "containerPort": 8080 }, { "name": "metrics", "containerPort": 9901 }]);
    let list = json!({ "items": [
        pod("rls", json!({ "name": "mimir-rls" })),
        pod("envoy", json!({ "name": "envoy", "ports": ports })),
        pod("sync", json!({ "name": "overrides-sync", "args": ["--limits=kube:mimir/mimir-runtime"] })),
    ] });
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mimir-runtime" },
        "data": { "runtime.yaml": "overrides: {team-a: {ingestion_rate: fast}}" },
    });
    let port = |url: &str| url.rsplit(':').next().unwrap().to_owned();
    for (name, text) in [
        ("pods.json", list.to_string()),
        ("configmap.json", config_map.to_string()),
        ("rls", port(rls)),
        ("envoy:8080", port(pushes)),
        ("envoy:9901", port(metrics)),
        ("sync", port(sync)),
    ] {
        fs::write(cluster.0.path().join(name), text).unwrap();
    }
    let health = cluster.edgectl(&["check", "-n", "edge", "--tenant", "team-a", "-o", "json"]);
    let checks = health.json()["checks"].as_array().cloned().unwrap();
    let failures: Vec<_> = checks.iter().filter(|check| check["status"] == "failure").collect();
    let [failure] = failures[..] else { panic!("{health:?}") };
    assert_eq!(failure["check"], "the ConfigMap is accepted", "{failure}");
    assert_eq!(failure["command"], "kubectl edit configmap mimir-runtime --namespace mimir", "{failure}");
    let skipped: Vec<_> =
        checks.iter().filter(|check| check["status"] == "skipped").map(|check| &check["group"]).collect();
    assert_eq!(skipped, ["front door", "overrides document", "Mimir"], "{health:?}");
    assert!(!cluster.is_forwarded("rls") && !cluster.is_forwarded("envoy") && !cluster.is_forwarded("sync"));
}

#[test]
fn mending_commands_lead_to_the_cluster_of_the_pods() {
    let stubs = Stubs::start(Faults { unready_requests: usize::MAX, ..Faults::default() });
    let [rls, ..] = stubs.urls();
    for (flags, place) in [
        (&["-n", "edge", "--context", "staging"][..], " --namespace edge --context staging"),
        (&["-A", "--kubeconfig", "/k c"], " --namespace edge --kubeconfig '/k c'"),
        (&[], ""),
    ] {
        let cluster = Cluster::new(&[("rls-a", Some(rls))]);
        let health = cluster.plugin(&[&["check", "-o", "json"], flags].concat()).json();
        let commands: Vec<_> =
            health["checks"].as_array().unwrap().iter().filter_map(|check| check["command"].as_str()).collect();
        for command in ["kubectl logs deployment/mimir-rls", "kubectl get deployments,pods"] {
            assert!(commands.contains(&format!("{command}{place}").as_str()), "{command}{place}: {health:#}");
        }
    }
}

#[test]
fn addresses_need_no_kubectl() {
    let (cluster, replica) = (Cluster::new(&[]), replica(true));
    assert_eq!(cluster.plugin(&["tenants", "team-a", "--address", &replica.url]).code, Some(0));
    assert_eq!(cluster.calls(), "");
}

#[test]
fn a_pod_that_cannot_be_reached_is_named() {
    let replica = replica(true);
    let cluster = Cluster::new(&[("gone", None), ("rls-a", Some(&replica.url))]);
    let shown = cluster.plugin(&["tenants", "team-a", "-o", "json"]);
    assert_eq!((shown.code, &shown.json()["replica"]), (Some(0), &json!("rls-a")), "{shown:?}");
    assert!(
        shown.err.contains("gone: kubectl port-forward: ") && shown.err.contains("error: no pod gone"),
        "{shown:?}"
    );
    let none = Cluster::new(&[("gone", None)]).plugin(&["tenants", "team-a"]);
    assert_eq!(none.code, Some(69), "{none:?}");
}

#[test]
fn without_pods_it_says_where_it_looked() {
    let cluster = Cluster::new(&[]);
    for (flags, part) in [
        (&[][..], "the namespace of the context; -n names another"),
        (&["-n", "mimir"], "namespace mimir; -n names another"),
        (&["-A"], "no pod of mimir-rls runs in any namespace"),
    ] {
        let finished = cluster.plugin(&[&["explain", "team-a"], flags].concat());
        assert_eq!((finished.code, finished.out.as_str()), (Some(69), ""), "{finished:?}");
        assert!(finished.err.contains(part), "{finished:?}");
    }
    let without = Finished::of(edgectl(&["tenants", "-A"]).env("PATH", "").output().unwrap());
    assert_eq!(without.code, Some(69), "{without:?}");
    assert!(without.err.contains("kubectl cannot be run") && without.err.contains("--address"), "{without:?}");
}

#[test]
fn ctrl_c_ends_kubectl_too() {
    let (asked, requests) = std::sync::mpsc::channel();
    let asked = std::sync::Mutex::new(asked);
    let replica = Replica::start(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        json!({ "denials": [], "next": null }).to_string().into_response()
    });
    let cluster = Cluster::new(&[("rls-a", Some(&replica.url))]);
    let mut command = cluster.command(&cluster.0.path().join("kubectl-mimir_edge"), &["tap"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    requests.recv_timeout(Duration::from_secs(60)).expect("a poll");
    assert!(cluster.is_forwarded("rls-a"));
    signal(&child, "TERM");
    let finished = Finished::of(child.wait_with_output().unwrap());
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    assert!(!cluster.is_forwarded("rls-a"));
}

#[test]
fn help_says_how_the_plugin_is_called() {
    let cluster = Cluster::new(&[]);
    for subcommand in ["tenants", "explain", "tap", "check", "diagnose"] {
        let help = cluster.plugin(&[subcommand, "--help"]).out;
        assert!(help.contains(&format!("Usage: kubectl mimir-edge {subcommand}")), "{help}");
        assert!(
            help.contains(&format!("\n  kubectl mimir-edge {subcommand}")) && !help.contains("  edgectl "),
            "{help}"
        );
    }
    assert!(cluster.plugin(&["--help"]).out.contains("Usage: kubectl mimir-edge <COMMAND>"));
    assert!(cluster.edgectl(&["tenants", "--help"]).out.contains("Usage: edgectl tenants"));
}

#[test]
fn completions_name_every_subcommand() {
    let cluster = Cluster::new(&[]);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = cluster.edgectl(&["completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (Some(0), ""), "{shell}");
        for subcommand in ["check", "explain", "load-remote-write", "tap", "tenants", "completions"] {
            assert!(script.out.contains(subcommand), "{shell}: {subcommand}");
        }
    }
    let script = cluster.edgectl(&["completions", "bash"]).out;
    let complete = "\nCOMP_WORDS=(edgectl te); COMP_CWORD=1; _edgectl edgectl te edgectl; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["-c", &(script + complete)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "tenants");
    assert_eq!(cluster.edgectl(&["completions", "tcsh"]).code, Some(64));
}

#[test]
fn the_manifest_for_krew_names_the_program_in_the_archive() {
    let folder = TempDir::new().unwrap();
    let name = "mimir-rls-v0.0.0-x86_64-unknown-linux-gnu";
    let archive = folder.path().join(format!("{name}.tar.gz"));
    fs::write(&archive, "abc").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("ops/release/krew")).arg(&archive).env("GITHUB_REPOSITORY", "a/b").output();
    let manifest = Finished::of(output.unwrap());
    assert_eq!((manifest.code, manifest.err.as_str()), (Some(0), ""));
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    for line in [
        "  name: mimir-edge".to_owned(),
        format!("  version: {version}"),
        format!("      uri: https://github.com/a/b/releases/download/{version}/{name}.tar.gz"),
        "      sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        format!("      bin: {name}/edgectl"),
    ] {
        assert!(manifest.out.lines().any(|printed| printed == line), "{line}: {}", manifest.out);
    }
    let dist = fs::read_to_string(root.join("ops/release/dist")).unwrap();
    assert!(
        dist.contains("edgectl") && dist.contains("name=mimir-rls-$version-$target"),
        "the archive has it at this path"
    );
}
