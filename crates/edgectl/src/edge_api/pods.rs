//! The programs of the edge in a Kubernetes cluster: found by `kubectl get pods`, and reached by a `kubectl port-forward` for each.
//!
//! kubectl has the operator's credentials, whatever plugin they come from. A forwarded port leaves the Authorization header alone, which the API server's
//! proxy takes for its own.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::address::Address;
use super::error::EdgeError;
use super::kubectl::not_run;
use crate::args::ClusterArgs;

/// What kubectl says once a port is forwarded, with the port after it.
const FORWARDING: &str = "Forwarding from 127.0.0.1:";
/// How much of kubectl's errors is kept.
const MAX_ERROR_BYTES: u64 = 4 << 10;

/// A port of a program of the edge, as the charts run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// The HTTP API of mimir-rls.
    MimirRls,
    /// The HTTP side of overrides-sync.
    OverridesSync,
    /// Envoy's metrics.
    EnvoyMetrics,
    /// Envoy's listener for pushes.
    EnvoyPushes,
}

impl Port {
    /// The name of the program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::EnvoyMetrics | Self::EnvoyPushes => "Envoy",
            _ => self.container(),
        }
    }

    /// Whether `--token-file` is for it.
    pub(super) fn takes_token(self) -> bool {
        matches!(self, Self::MimirRls | Self::OverridesSync)
    }

    fn container(self) -> &'static str {
        match self {
            Self::MimirRls => "mimir-rls",
            Self::OverridesSync => "overrides-sync",
            Self::EnvoyMetrics | Self::EnvoyPushes => "envoy",
        }
    }

    /// Envoy's pods have mimir-rls too with `sidecar.enabled`.
    fn selector(self) -> &'static str {
        match self {
            Self::MimirRls => "app.kubernetes.io/name in (mimir-rls,envoy)",
            Self::OverridesSync => "app.kubernetes.io/name=overrides-sync",
            Self::EnvoyMetrics | Self::EnvoyPushes => "app.kubernetes.io/name=envoy",
        }
    }

    /// The number of the port, and whether it has TLS.
    fn of(self, container: &Container) -> (u16, bool) {
        let value =
            |flag: &str| container.args.iter().find_map(|argument| argument.strip_prefix(flag)?.strip_prefix('='));
        let listen = || value("--http-listen").and_then(|address| address.rsplit(':').next()?.parse().ok());
        let named = |name: &str| container.ports.iter().find(|port| port.name == name).map(|port| port.container_port);
        let (number, default) = match self {
            Self::MimirRls => (listen(), 9090),
            Self::OverridesSync => (listen(), 9091),
            Self::EnvoyMetrics => (named("metrics"), 9901),
            Self::EnvoyPushes => (named("http"), 8080),
        };
        (number.unwrap_or(default), value("--http-tls-cert").is_some())
    }

    /// The flag that names it without kubectl.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::MimirRls => "--address",
            Self::OverridesSync => "--overrides-sync",
            Self::EnvoyMetrics => "--envoy-admin",
            Self::EnvoyPushes => "--envoy",
        }
    }
}

/// A running pod with a program of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    namespace: String,
    name: String,
    port: u16,
    is_https: bool,
    /// The value of `--limits`.
    limits: Option<String>,
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
    #[serde(default)]
    ports: Vec<ContainerPort>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort {
    #[serde(default)]
    name: String,
    container_port: u16,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    phase: String,
}

impl ClusterArgs {
    fn place(&self) -> String {
        match &self.namespace {
            _ if self.all_namespaces => "any namespace".to_owned(),
            Some(namespace) => format!("namespace {namespace}; -n names another, -A takes all"),
            None => "the namespace of the context; -n names another, -A takes all".to_owned(),
        }
    }

    /// The running pods with a program, at least one.
    ///
    /// # Errors
    /// There is none, or kubectl fails.
    pub(super) fn pods(&self, port: Port, timeout: Duration) -> Result<Vec<Pod>, EdgeError> {
        let mut arguments = vec!["get", "pods", "--selector", port.selector(), "--output", "json"];
        match &self.namespace {
            _ if self.all_namespaces => arguments.push("--all-namespaces"),
            Some(namespace) => arguments.extend(["--namespace", namespace]),
            None => {}
        }
        let list = self.kubectl_prints(&arguments, timeout)?;
        let pods = parse(&list, port)
            .map_err(|error| EdgeError::Unavailable(format!("kubectl get pods printed no list of pods: {error}")))?;
        if pods.is_empty() {
            return Err(EdgeError::Unavailable(format!("no pod of {} runs in {}", port.program(), self.place())));
        }
        Ok(pods)
    }

    /// The value of `--limits` of the overrides-sync in the cluster.
    pub(crate) fn limits_of_overrides_sync(&self, timeout: Duration) -> Option<String> {
        self.pods(Port::OverridesSync, timeout).ok()?.into_iter().find_map(|pod| pod.limits)
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

fn forwarded_port(line: &str) -> Option<u16> {
    line.strip_prefix(FORWARDING)?.split(' ').next()?.parse().ok()
}

/// The pods of a list that run a program, without those that are being deleted.
fn parse(list: &[u8], port: Port) -> serde_json::Result<Vec<Pod>> {
    let PodList { items } = serde_json::from_slice(list)?;
    let is_running = |pod: &PodObject| pod.status.phase == "Running" && pod.metadata.deletion_timestamp.is_none();
    Ok(items.into_iter().filter(is_running).filter_map(|object| pod(object, port)).collect())
}

fn pod(object: PodObject, port: Port) -> Option<Pod> {
    let PodObject { metadata: Metadata { name, namespace, .. }, spec, .. } = object;
    let containers = spec.containers.iter().chain(&spec.init_containers);
    let container = containers.into_iter().find(|container| container.name == port.container())?;
    let limits = container.args.iter().find_map(|argument| argument.strip_prefix("--limits=")).map(str::to_owned);
    let (port, is_https) = port.of(container);
    Some(Pod { namespace, name, port, is_https, limits })
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
        let found = parse(list.to_string().as_bytes(), Port::MimirRls).unwrap();
        let found: Vec<_> = found.iter().map(|pod| (pod.name.as_str(), pod.port, pod.is_https)).collect();
        assert_eq!(
            found,
            [("plain", 9090, false), ("secured", 9091, true), ("sidecar", 9095, false), ("default", 9090, false)]
        );
        assert!(parse(b"{}", Port::MimirRls).is_err() && parse(b"[]", Port::MimirRls).is_err());
        assert_eq!(parse(br#"{"items":[]}"#, Port::MimirRls).unwrap(), []);
    }

    #[test]
    fn ports_of_envoy_and_limits_of_overrides_sync_are_found() {
        let ports = json!([{ "name": "http", "containerPort": 8081 }, { "name": "metrics", "containerPort": 9902 }]);
        let sync = ["--http-listen=0.0.0.0:9093", "--limits=kube:mimir/mimir-runtime"];
        let list = json!({ "items": [
            object("a", "Running", json!([{ "name": "envoy", "ports": ports }]), json!([])),
            object("b", "Running", json!([{ "name": "overrides-sync", "args": sync }]), json!([])),
        ] });
        let only = |port: Port| {
            let [pod] = &parse(list.to_string().as_bytes(), port).unwrap()[..] else { panic!("one pod") };
            (pod.name.clone(), pod.port, pod.limits.clone())
        };
        assert_eq!(only(Port::EnvoyPushes), ("a".to_owned(), 8081, None));
        assert_eq!(only(Port::EnvoyMetrics), ("a".to_owned(), 9902, None));
        assert_eq!(only(Port::OverridesSync), ("b".to_owned(), 9093, Some("kube:mimir/mimir-runtime".to_owned())));
    }

    #[test]
    fn the_port_is_in_what_kubectl_prints() {
        assert_eq!(forwarded_port("Forwarding from 127.0.0.1:40123 -> 9090"), Some(40123));
        assert_eq!(forwarded_port("Forwarding from [::1]:40123 -> 9090"), None);
        assert_eq!(forwarded_port("Handling connection for 40123"), None);
    }
}
