//! The replicas in a Kubernetes cluster: found by `kubectl get pods`, and reached by a `kubectl port-forward` for each.
//!
//! kubectl has the operator's credentials, whatever plugin they come from. A forwarded port leaves the Authorization header alone, which the API server's
//! proxy takes for its own.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::address::Address;
use super::error::EdgeError;
use crate::args::ClusterArgs;

/// Pods of the charts mimir-rls and envoy; Envoy's have the container only with `sidecar.enabled`.
const SELECTOR: &str = "app.kubernetes.io/name in (mimir-rls,envoy)";
const CONTAINER: &str = "mimir-rls";
const DEFAULT_PORT: u16 = 9090;
/// What kubectl says once a port is forwarded, with the port after it.
const FORWARDING: &str = "Forwarding from 127.0.0.1:";
/// How much of kubectl's errors is kept.
const MAX_ERROR_BYTES: u64 = 4 << 10;

/// A running pod with mimir-rls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    namespace: String,
    name: String,
    /// Of its HTTP API.
    port: u16,
    is_https: bool,
}

/// A port of this machine that leads to a pod. Dropping it ends kubectl.
#[derive(Debug)]
pub(super) struct Forward {
    kubectl: Child,
    pub(super) address: Address,
}

impl Drop for Forward {
    fn drop(&mut self) {
        end(&mut self.kubectl);
    }
}

/// A kubectl that forwards a port soon.
struct Starting {
    kubectl: Child,
    /// The port, or why there is none.
    port: mpsc::Receiver<Result<u16, String>>,
    is_https: bool,
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<PodObject>,
}

#[derive(Deserialize)]
struct PodObject {
    metadata: Metadata,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    phase: String,
}

impl ClusterArgs {
    /// kubectl with the flags that choose the cluster.
    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).stdin(Stdio::null());
        if let Some(context) = &self.context {
            command.arg("--context").arg(context);
        }
        if let Some(file) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(file);
        }
        command
    }

    fn place(&self) -> String {
        match &self.namespace {
            _ if self.all_namespaces => "any namespace".to_owned(),
            Some(namespace) => format!("namespace {namespace}; -n names another, -A takes all"),
            None => "the namespace of the context; -n names another, -A takes all".to_owned(),
        }
    }

    /// The running pods with mimir-rls, at least one.
    ///
    /// # Errors
    /// There is none, or kubectl fails.
    pub(super) fn pods(&self, timeout: Duration) -> Result<Vec<Pod>, EdgeError> {
        let timeout = format!("--request-timeout={}ms", timeout.as_millis());
        let mut kubectl = self.kubectl(&["get", "pods", "--selector", SELECTOR, "--output", "json", &timeout]);
        match &self.namespace {
            _ if self.all_namespaces => _ = kubectl.arg("--all-namespaces"),
            Some(namespace) => _ = kubectl.args(["--namespace", namespace]),
            None => {}
        }
        let output = kubectl.output().map_err(not_run)?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(EdgeError::Unavailable(format!("kubectl get pods: {}", why.trim())));
        }
        let pods = parse(&output.stdout)
            .map_err(|error| EdgeError::Unavailable(format!("kubectl get pods printed no list of pods: {error}")))?;
        if pods.is_empty() {
            return Err(EdgeError::Unavailable(format!("no pod of mimir-rls runs in {}", self.place())));
        }
        Ok(pods)
    }

    /// The name of a pod in results.
    pub(super) fn name(&self, pod: &Pod) -> String {
        if self.all_namespaces { format!("{}/{}", pod.namespace, pod.name) } else { pod.name.clone() }
    }

    /// Forwards a port to each of these pods; all at the same time.
    pub(super) fn forward(&self, pods: &[Pod], timeout: Duration) -> Vec<Result<Forward, EdgeError>> {
        let starting: Vec<_> = pods.iter().map(|pod| self.start(pod)).collect();
        starting.into_iter().map(|kubectl| kubectl?.forwarded(timeout)).collect()
    }

    fn start(&self, pod: &Pod) -> Result<Starting, EdgeError> {
        let (name, port) = (format!("pod/{}", pod.name), format!(":{}", pod.port));
        let mut command = self.kubectl(&["port-forward", "--address", "127.0.0.1", "--namespace", &pod.namespace]);
        let command = command.args([&name, &port]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = command.spawn().map_err(not_run)?;
        let (sender, port) = mpsc::channel();
        let (out, errors) = (kubectl.stdout.take(), kubectl.stderr.take());
        // kubectl prints a line for each connection, and would block on a pipe that is full.
        let errors = thread::spawn(move || errors.map(beginning).unwrap_or_default());
        thread::spawn(move || {
            for line in out.into_iter().flat_map(|out| BufReader::new(out).lines().map_while(Result::ok)) {
                if let Some(port) = forwarded_port(&line) {
                    _ = sender.send(Ok(port));
                }
            }
            _ = sender.send(Err(errors.join().unwrap_or_default()));
        });
        Ok(Starting { kubectl, port, is_https: pod.is_https })
    }
}

impl Starting {
    fn forwarded(mut self, timeout: Duration) -> Result<Forward, EdgeError> {
        let scheme = if self.is_https { "https" } else { "http" };
        let port = self.port.recv_timeout(timeout).unwrap_or_else(|_| Err(format!("no port within {timeout:?}")));
        let address = port.and_then(|port| Address::parse(&format!("{scheme}://127.0.0.1:{port}")));
        match address {
            Ok(address) => Ok(Forward { kubectl: self.kubectl, address }),
            Err(why) => {
                end(&mut self.kubectl);
                Err(EdgeError::Unavailable(format!("kubectl port-forward: {why}")))
            }
        }
    }
}

/// The beginning of a text, once all of it is read.
fn beginning(mut text: impl Read) -> String {
    let mut kept = Vec::new();
    _ = text.by_ref().take(MAX_ERROR_BYTES).read_to_end(&mut kept);
    _ = io::copy(&mut text, &mut io::sink());
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn end(kubectl: &mut Child) {
    // Both fail only if it is gone already.
    _ = kubectl.kill();
    _ = kubectl.wait();
}

fn not_run(error: io::Error) -> EdgeError {
    EdgeError::Unavailable(format!("kubectl cannot be run: {error}; install it, or name the replicas with --address"))
}

fn forwarded_port(line: &str) -> Option<u16> {
    line.strip_prefix(FORWARDING)?.split(' ').next()?.parse().ok()
}

/// The pods of a list that run mimir-rls, without those that are being deleted.
fn parse(list: &[u8]) -> serde_json::Result<Vec<Pod>> {
    let PodList { items } = serde_json::from_slice(list)?;
    let is_running = |pod: &PodObject| pod.status.phase == "Running" && pod.metadata.deletion_timestamp.is_none();
    Ok(items.into_iter().filter(is_running).filter_map(pod).collect())
}

fn pod(object: PodObject) -> Option<Pod> {
    let PodObject { metadata: Metadata { name, namespace, .. }, spec, .. } = object;
    let container =
        spec.containers.iter().chain(&spec.init_containers).find(|container| container.name == CONTAINER)?;
    let value = |flag: &str| container.args.iter().find_map(|argument| argument.strip_prefix(flag)?.strip_prefix('='));
    let port = value("--http-listen").and_then(|address| address.rsplit(':').next()?.parse().ok());
    let is_https = value("--http-tls-cert").is_some();
    Some(Pod { namespace, name, port: port.unwrap_or(DEFAULT_PORT), is_https })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, phase: &str, containers: Value, init_containers: Value) -> Value {
        json!({
            "metadata": { "name": name, "namespace": "edge" }, "status": { "phase": phase },
            "spec": { "containers": containers, "initContainers": init_containers },
        })
    }

    #[test]
    fn pods_with_mimir_rls_are_found_with_their_ports() {
        let rls =
            |arguments: &[&str]| json!([{ "name": "log", "args": [] }, { "name": "mimir-rls", "args": arguments }]);
        let mut deleted = object("deleted", "Running", rls(&[]), json!([]));
        deleted["metadata"]["deletionTimestamp"] = json!("2025-11-21T10:00:00Z");
        let list = json!({ "items": [
            object("plain", "Running", rls(&["--http-listen=0.0.0.0:9090"]), json!([])),
            object("secured", "Running", rls(&["--http-listen=[::]:9091", "--http-tls-cert=/etc/tls.crt"]), json!([])),
            object("sidecar", "Running", json!([{ "name": "envoy" }]), rls(&["--http-listen=0.0.0.0:9095"])),
            object("default", "Running", rls(&[]), json!([])),
            object("pending", "Pending", rls(&[]), json!([])),
            object("envoy", "Running", json!([{ "name": "envoy" }]), json!([])),
            deleted,
        ] });
        let found = parse(list.to_string().as_bytes()).unwrap();
        let found: Vec<_> = found.iter().map(|pod| (pod.name.as_str(), pod.port, pod.is_https)).collect();
        assert_eq!(
            found,
            [("plain", 9090, false), ("secured", 9091, true), ("sidecar", 9095, false), ("default", 9090, false)]
        );
        assert!(parse(b"{}").is_err() && parse(b"[]").is_err());
        assert_eq!(parse(br#"{"items":[]}"#).unwrap(), []);
    }

    #[test]
    fn the_port_is_in_what_kubectl_prints() {
        assert_eq!(forwarded_port("Forwarding from 127.0.0.1:40123 -> 9090"), Some(40123));
        assert_eq!(forwarded_port("Forwarding from [::1]:40123 -> 9090"), None);
        assert_eq!(forwarded_port("Handling connection for 40123"), None);
    }
}
