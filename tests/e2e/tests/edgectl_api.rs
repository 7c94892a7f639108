//! The subcommands of `edgectl` that ask mimir-rls, against an edge with two replicas.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use e2e::{
    ADMIN, Authority, Edge, KubeApiServer, Kubectl, MimirRls, RLS_NAME, Secrets, SecuredEdge, built, helm_template,
    repository, samples, tool, until,
};
use serde_json::{Value, json};

const TENANTS: [&str; 6] = ["t1", "t2", "t3", "t4", "t5", "t6"];

fn limits() -> String {
    let tenant = |tenant: &str| format!("  {tenant}: {{ ingestion_rate: 0.001, ingestion_burst_size: 10 }}\n");
    format!("overrides:\n{}", TENANTS.map(tenant).concat())
}

fn address(rls: &MimirRls) -> String {
    format!("http://127.0.0.1:{}", rls.http_port())
}

/// edgectl for all replicas of an edge.
fn command(edge: &Edge, arguments: &[&str]) -> Command {
    let addresses: Vec<_> = edge.all_rls().map(address).collect();
    let mut command = Command::new(built("edgectl"));
    command.args(arguments).env("MIMIR_EDGE_ADDRESS", addresses.join(","));
    command
}

/// Runs edgectl against all replicas of an edge.
fn edgectl(edge: &Edge, arguments: &[&str]) -> Output {
    command(edge, arguments).output().expect("edgectl runs")
}

#[track_caller]
fn json_of(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("edgectl prints JSON")
}

#[test]
fn each_tenant_is_explained_by_the_replica_that_decides_it() {
    let edge = Edge::builder().replicas(2).start(&limits());
    for tenant in TENANTS {
        assert_eq!(edge.push(tenant, &samples(8).bytes).status, 200, "{tenant}");
    }
    let push = edge.folder().join("push.snappy");
    fs::write(&push, &samples(2).bytes).expect("a file can be written");
    for tenant in TENANTS {
        let path = format!("/api/v1/tenants/{tenant}");
        let has_buckets = |rls: &&MimirRls| rls.get(&path).json()["has_buckets"] == true;
        let deciding: Vec<_> = edge.all_rls().filter(has_buckets).map(address).collect();
        assert_eq!(deciding.len(), 1, "one replica decides {tenant}");

        let denied = json_of(&edgectl(&edge, &["explain", tenant, "--items=5", "-o=json"]), 1);
        assert_eq!((&denied["decision"], &denied["reason"]), (&json!("deny"), &json!("ingestion_rate")), "{denied}");
        assert_eq!(denied["replica"], deciding.concat(), "{denied}");
        let body = push.display().to_string();
        let allowed = json_of(&edgectl(&edge, &["explain", tenant, "--body", &body, "-o=json"]), 0);
        assert_eq!((&allowed["counts"]["items"], &allowed["decision"]), (&json!(2), &json!("allow")), "{allowed}");
        let shown = json_of(&edgectl(&edge, &["tenants", tenant, "-o=json"]), 0);
        assert_eq!((&shown["replica"], &shown["ingestion"]["capacity"]), (&denied["replica"], &json!(10)), "{shown}");
    }
    let listed = json_of(&edgectl(&edge, &["tenants", "-o=json"]), 0);
    let rows = listed["tenants"].as_array().expect("a list");
    assert_eq!(rows.iter().map(|row| &row["tenant"]).collect::<Vec<_>>(), TENANTS);
    assert!(rows.iter().all(|row| row["replicas"].as_array().is_some_and(|with| with.len() == 1)), "{listed}");
    assert_eq!(edgectl(&edge, &["explain", "a b"]).status.code(), Some(1), "a tenant that is invalid is denied");
    assert_eq!(edgectl(&edge, &["tenants", "a b"]).status.code(), Some(64));
}

/// The denials that `tap -o json` printed.
#[track_caller]
fn tapped(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn tap_prints_the_denials_of_all_replicas() {
    let edge = Edge::builder().replicas(2).start(&limits());
    for tenant in TENANTS {
        assert_eq!(edge.push(tenant, &samples(11).bytes).status, 429, "{tenant}");
    }
    let kept = tapped(&edgectl(&edge, &["tap", "--since-start", "--count=6", "-o=json"]));
    assert_eq!(kept.iter().map(|denial| &denial["tenant"]).collect::<Vec<_>>(), TENANTS, "in order of time");
    for denial in &kept {
        assert_eq!((&denial["reason"], &denial["samples"]), (&json!("ingestion_burst"), &json!(11)), "{denial}");
        let replica = edge.all_rls().find(|rls| denial["replica"] == address(rls)).expect("a replica of the edge");
        let path = format!("/api/v1/denials?tenant={}", denial["tenant"].as_str().unwrap_or_default());
        assert_eq!(replica.get(&path).json()["denials"][0]["sequence"], denial["sequence"], "{denial}");
    }
    let mut tap = command(&edge, &["tap", "--tenant=t3", "--count=2", "-o=json"]);
    let mut tap = tap.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("edgectl starts");
    until("two new denials are printed", || {
        assert_eq!(edge.push("t3", &samples(12).bytes).status, 429);
        assert_eq!(edge.push("t4", &samples(12).bytes).status, 429);
        tap.try_wait().expect("edgectl is a child").is_some()
    });
    let new = tapped(&tap.wait_with_output().expect("edgectl ends"));
    let found: Vec<_> = new.iter().map(|denial| (&denial["tenant"], &denial["samples"])).collect();
    assert_eq!(found, [(&json!("t3"), &json!(12)); 2], "only new ones, and of t3");
    let numbers: Vec<_> = new.iter().map(|denial| denial["sequence"].as_u64()).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "each once: {numbers:?}");
}

#[test]
fn a_secured_replica_is_asked_with_its_token_and_ca() {
    let authority = Authority::new("edge");
    let secrets = Secrets::new(&[&authority]);
    let edge = SecuredEdge::start(Edge::builder(), &secrets, &limits());
    let write = |name: &str, text: &str| {
        let path = edge.edge.folder().join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    };
    let (ca, token) = (write("ca.crt", &authority.pem()), write("token", &secrets.https().token));
    let ask = |rest: &[&str]| {
        let mut command = Command::new(built("edgectl"));
        let command = command.arg("tenants").arg("--ca-file").arg(&ca).args(rest);
        let url = format!("https://127.0.0.1:{}", edge.edge.rls.http_port());
        command.env("MIMIR_EDGE_ADDRESS", url).output().expect("edgectl runs")
    };
    let token = token.display().to_string();
    assert_eq!(ask(&["--token-file", &token]).status.code(), Some(0));
    assert_eq!(ask(&["--token-file", &token, "--tls-server-name", RLS_NAME]).status.code(), Some(0));
    let without = ask(&[]);
    assert_eq!(without.status.code(), Some(69), "{without:?}");
    assert!(String::from_utf8_lossy(&without.stderr).contains("--token-file"), "{without:?}");
}

/// Creates a running pod of the Deployment that a chart renders. No kubelet runs it.
fn run_pod(server: &KubeApiServer, chart: &str, release: &str, pod: &str) {
    let manifests = helm_template(&repository().join("charts").join(chart), release, "edge", &[]);
    let deployment = manifests.split("---\n").find(|manifest| manifest.contains("\nkind: Deployment\n"));
    let kubectl = Kubectl::new(server, ADMIN);
    let rendered = ["create", "--dry-run=client", "--output=json", "-f", "-"];
    let deployment = kubectl.run_with(&rendered, deployment.expect("the chart has a Deployment")).ok();
    let deployment: Value = serde_json::from_str(&deployment).expect("kubectl prints JSON");
    let mut object = deployment.pointer("/spec/template").cloned().expect("a Deployment has a template");
    let metadata = object.pointer_mut("/metadata").and_then(Value::as_object_mut).expect("a template has metadata");
    metadata.insert("name".to_owned(), json!(pod));
    let mut api = server.api(ADMIN);
    let made = api.post("/api/v1/namespaces/edge/pods", &object);
    assert_eq!(made.status, 201, "{}", made.text());
    let status = json!({ "status": { "phase": "Running" } });
    let running = api.patch(&format!("/api/v1/namespaces/edge/pods/{pod}/status"), &status);
    assert_eq!(running.status, 200, "{}", running.text());
}

/// Without a kubelet no port can be forwarded: the real kubectl says so of each pod that it was asked for.
#[test]
fn the_pods_of_the_charts_are_found_with_kubectl() {
    let server = KubeApiServer::start(&[]);
    server.namespace("edge");
    run_pod(&server, "mimir-rls", "mimir-rls", "rls-1");
    run_pod(&server, "mimir-rls", "mimir-rls", "rls-2");
    run_pod(&server, "envoy", "mimir-envoy", "envoy-1");
    let kubectl = tool("kubectl");
    let folders = env::var_os("PATH").unwrap_or_default();
    let own = kubectl.parent().map(PathBuf::from);
    let path = env::join_paths(own.into_iter().chain(env::split_paths(&folders))).expect("PATH has no separator");
    let ask = |flags: &[&str]| {
        let mut command = Command::new(built("edgectl"));
        let command = command.args(["tenants", "--timeout=30s", "--kubeconfig"]).arg(server.kubeconfig(ADMIN));
        let output = command.args(flags).env("PATH", &path).env("HOME", server.folder()).output();
        let output = output.expect("edgectl runs");
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        String::from_utf8(output.stderr).expect("errors are text")
    };
    for (flags, prefix) in [(&["-n", "edge"][..], ""), (&["-A"], "edge/")] {
        let errors = ask(flags);
        for pod in ["rls-1", "rls-2"] {
            assert!(errors.contains(&format!("edgectl: {prefix}{pod}: kubectl port-forward: error: ")), "{errors}");
        }
        assert!(!errors.contains("envoy-1"), "it has no mimir-rls: {errors}");
    }
    assert!(ask(&["-n", "default"]).contains("no pod of mimir-rls runs in namespace default"));
    assert!(
        ask(&["-n", "edge", "--context", "none"]).contains("kubectl get pods: error: context \"none\" does not exist")
    );
}
