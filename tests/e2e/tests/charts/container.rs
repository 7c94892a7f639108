//! A container of a chart, run by hand: the binary with exactly the arguments that were rendered, on the files that its volumes hold.
//!
//! What differs from a container: its folders are below one of the test's, and it listens on free ports; the ports that it would otherwise listen on
//! are compared with the container's.

use std::fs;
use std::net::{Ipv6Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Connection, KubeApiServer, Process, Request, Signal, built, free_port, send, until};
use serde_json::Value;

use super::objects::Objects;

/// Where a pod has the token for the API server; here the kubeconfig has it.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A running container.
pub(crate) struct Container {
    process: Process,
    http_port: u16,
    spec: Value,
    grace: Duration,
}

impl Container {
    /// Starts the container of this Deployment, which is called as the binary is. At the API server it has the rights of this token.
    #[track_caller]
    pub(crate) fn start(server: &KubeApiServer, token: &str, folder: &Path, name: &str, objects: &Objects) -> Self {
        let pod = &objects.one("Deployment", name)["spec"]["template"]["spec"];
        let spec = pod["containers"][0].clone();
        let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("a pod has a grace period");
        mount(server, folder, pod, &spec, objects);
        listens_on_its_ports(name, &spec);
        let http_port = free_port();
        let process = Process::start(name, folder, &mut command(server, token, folder, name, &spec, http_port));
        Self { process, http_port, spec, grace: Duration::from_secs(grace) }
    }

    /// Waits until every probe succeeds, sends SIGTERM as a kubelet does, and gives how long the exit took.
    #[track_caller]
    pub(crate) fn serves_and_drains(mut self) {
        let delay = self.drain_delay();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let Some(path) = self.spec[probe]["httpGet"]["path"].as_str() else { continue };
            assert_eq!(self.spec[probe]["httpGet"]["port"], "http");
            until(&format!("{probe} is content with {path}"), || self.status(path) == Some(200));
        }
        self.finds_no_fault_in_its_files();
        self.takes_both_families();
        let ready = self.spec["readinessProbe"]["httpGet"]["path"].as_str().expect("there is a readiness probe");
        let asked = Instant::now();
        self.process.signal(Signal::TERM);
        if !delay.is_zero() {
            until("a container that is to end is not ready", || self.status(ready) == Some(503));
        }
        let status = self.process.wait();
        let took = asked.elapsed();
        assert!(status.success(), "{status}");
        assert!((delay..self.grace).contains(&took), "it took {took:?}, of {:?}", self.grace);
    }

    /// That each document of its volumes is in force as it is written.
    #[track_caller]
    fn finds_no_fault_in_its_files(&self) {
        let problems = send(self.http_port, &Request::new("GET", "/api/v1/problems")).json();
        assert_eq!(problems["problems"].as_array().map(Vec::len), Some(0), "{problems}");
    }

    /// That one that listens on `::` takes connections of both: its probes above came by IPv4.
    fn takes_both_families(&self) {
        if self.spec["args"].to_string().contains("--http-listen=[::]:") {
            assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, self.http_port)).is_ok(), "no IPv6");
        }
    }

    /// How long it serves before it drains: clients need this time to find another one.
    #[track_caller]
    fn drain_delay(&self) -> Duration {
        let arguments = self.spec["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let seconds =
            arguments.filter_map(|argument| argument.strip_prefix("--drain-delay=")?.strip_suffix('s')).next();
        Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).expect("a drain has a delay"))
    }

    fn status(&self, path: &str) -> Option<u16> {
        let mut connection = Connection::open(self.http_port).ok()?;
        connection.send(&Request::new("GET", path)).ok().map(|response| response.status)
    }
}

/// Runs a container's binary on what is mounted below `folder`, with HTTP on this port. At the API server it has the rights of this token.
pub(super) fn command(
    server: &KubeApiServer,
    token: &str,
    folder: &Path,
    name: &str,
    spec: &Value,
    http_port: u16,
) -> Command {
    let mut command = Command::new(built(name));
    command.args(arguments(folder, spec, http_port)).env("KUBECONFIG", server.kubeconfig(token));
    command
}

/// Makes what the volumes of one of the pod's containers hold, each below `folder` where the container has it.
pub(super) fn mount(server: &KubeApiServer, folder: &Path, pod: &Value, spec: &Value, objects: &Objects) {
    let volumes = pod["volumes"].as_array().expect("a pod has volumes");
    for mounted in spec["volumeMounts"].as_array().into_iter().flatten() {
        let volume = volumes.iter().find(|volume| volume["name"] == mounted["name"]).expect("a volume is there");
        let place = inside(folder, mounted["mountPath"].as_str().expect("a mount has a path"));
        fs::create_dir_all(&place).expect("a folder can be made");
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let data = objects.one("ConfigMap", name)["data"].as_object().expect("a ConfigMap has data");
            for (key, text) in data {
                fs::write(place.join(key), text.as_str().expect("data is text")).expect("a file can be written");
            }
        } else if volume["secret"].is_object() {
            // Any certificate does: the API server does not call the webhook here.
            fs::copy(server.certificate(), place.join("tls.crt")).expect("a certificate can be copied");
            fs::copy(server.certificate().with_extension("key"), place.join("tls.key")).expect("a key can be copied");
        } else if volume["projected"].is_object() {
            assert_eq!(mounted["mountPath"], SERVICE_ACCOUNT, "{mounted}");
        } else {
            assert!(volume["emptyDir"].is_object(), "{volume}");
            assert_ne!(mounted["readOnly"], true, "{mounted}");
        }
    }
}

/// Where a container has a path, below `folder`.
pub(super) fn inside(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.trim_start_matches('/'))
}

/// The container's arguments, with paths below `folder`. Each path is on a volume: the root is read-only, and the image has no files.
fn arguments(folder: &Path, spec: &Value, http_port: u16) -> Vec<String> {
    let mounts: Vec<&Value> = spec["volumeMounts"].as_array().into_iter().flatten().collect();
    let arguments = spec["args"].as_array().expect("a container has arguments");
    let placed = arguments.iter().map(|argument| {
        let argument = argument.as_str().expect("an argument is text");
        let value = argument.split_once('=').map(|(flag, value)| match value.strip_prefix("unix:") {
            Some(path) => (format!("{flag}=unix:"), path),
            None => (format!("{flag}="), value),
        });
        let Some((flag, path)) = value.filter(|(_, path)| path.starts_with('/')) else {
            return listening_on_a_free_port(argument, http_port);
        };
        let mount =
            mounts.iter().find(|mount| path.starts_with(&format!("{}/", mount["mountPath"].as_str().unwrap_or("?"))));
        let mount = mount.unwrap_or_else(|| panic!("{argument} is on no volume"));
        let placed = inside(folder, path);
        assert!(mount["readOnly"] != true || placed.is_file(), "{argument} is not there");
        format!("{flag}{}", placed.display())
    });
    placed.collect()
}

/// A flag that has a container listen, with a port of the test's: on loopback, or on every address of both families.
fn listening_on_a_free_port(argument: &str, http_port: u16) -> String {
    let Some((flag, address)) = argument.split_once("-listen=") else { return argument.to_owned() };
    let host = if address.starts_with("[::]") { "[::]" } else { "127.0.0.1" };
    let port = if flag == "--http" { http_port } else { free_port() };
    format!("{flag}-listen={host}:{port}")
}

/// That the container's ports are those that its arguments, or else the defaults in `--help`, have it listen on.
fn listens_on_its_ports(name: &str, spec: &Value) {
    let help = Command::new(built(name)).arg("--help").output().expect("a binary can be started");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let ports = spec["ports"].as_array().expect("a container has ports");
    assert!(ports.len() >= 2, "{ports:?}");
    for port in ports {
        let (port, number) = (port["name"].as_str().unwrap_or("?"), &port["containerPort"]);
        let flag = format!("--{port}-listen");
        let given = spec["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let given = given.filter_map(|argument| argument.strip_prefix(&flag)?.strip_prefix('=')).next();
        let (_, after) = help.split_once(&format!("{flag} <")).unwrap_or_else(|| panic!("{name} has no {flag}"));
        let default = after.split_once("[default: ").and_then(|(_, rest)| rest.split(']').next());
        let listens = given.or(default).and_then(|address| address.rsplit_once(':'));
        let (host, listens) = listens.expect("it listens on an address");
        assert!(["0.0.0.0", "[::]"].contains(&host), "{name}: port {port} on {host}");
        assert_eq!(listens, number.to_string(), "{name}: port {port}");
    }
}
