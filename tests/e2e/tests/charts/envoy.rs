//! Envoy runs with exactly the arguments and the configuration that its chart renders, by the chart's probes, and drains by its hook.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::{
    Connection, MimirRls, Process, Request, Signal, WatchedFile, free_port, push_request, samples, send, throughout,
    tool, until,
};
use serde_json::Value;

use super::objects::Objects;
use super::{ENVOY, cluster, rendered};

/// The container's arguments, with the one path below `folder`.
pub(super) fn arguments(container: &Value, configuration: &str) -> Vec<String> {
    let arguments = container["args"].as_array().expect("a container has arguments");
    let mounted = container["volumeMounts"][0]["mountPath"].as_str().expect("a mount has a path");
    let placed = arguments.iter().filter_map(Value::as_str).map(|argument| {
        let on_volume = argument.strip_prefix(mounted).is_some_and(|file| file == "/envoy.yaml");
        if on_volume { configuration.to_owned() } else { argument.to_owned() }
    });
    let placed: Vec<String> = placed.collect();
    assert!(placed.iter().any(|argument| argument == configuration), "{placed:?} names no file of the volume");
    placed
}

pub(super) fn status(port: u16, path: &str) -> Option<u16> {
    Connection::open(port).ok()?.send(&Request::new("GET", path)).ok().map(|answer| answer.status)
}

/// Starts Envoy with the configuration that these values render, and ports of its own.
#[track_caller]
pub(super) fn start(folder: &Path, values: &str, [push, metrics, drain]: [u16; 3]) -> Process {
    let sockets = folder.display();
    let ports = format!(
        "listeners.pushPort={push},listeners.metricsPort={metrics},listeners.drainPort={drain},listeners.probePort=null"
    );
    let set = format!("--set={values},{ports},listeners.socketFolder={sockets}");
    let manifest = rendered(ENVOY, &[&set, "--show-only=templates/configmap.yaml"]);
    let (_, block) = manifest.split_once("\n  envoy.yaml: |\n").expect("there is a bootstrap");
    let bootstrap: String =
        block.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    let file = folder.join("envoy.yaml");
    fs::write(&file, bootstrap).expect("a file can be written");
    let mut command = Command::new(tool("envoy"));
    command.arg("--config-path").arg(&file).args(["--disable-hot-restart", "--concurrency", "1"]);
    Process::start("envoy", folder, &mut command)
}

/// Checks that the container's ports are these, and that its probes use the one for them.
#[track_caller]
fn check_ports(container: &Value, [push, metrics, probe]: [u16; 3]) {
    let port = |name: &str| {
        let ports = container["ports"].as_array().expect("a container has ports");
        ports.iter().find(|port| port["name"] == name).expect("the port is named")["containerPort"].clone()
    };
    assert_eq!((port("http"), port("metrics"), port("probes")), (push.into(), metrics.into(), probe.into()));
    assert_eq!(
        (&container["readinessProbe"]["httpGet"]["port"], &container["livenessProbe"]["tcpSocket"]["port"]),
        (&"probes".into(), &"probes".into())
    );
}

/// Sends the head of a push with a body of this length.
fn send_head(port: u16, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy takes a connection");
    let head =
        format!("POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: team\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a head can be sent");
    stream
}

/// Starts the command that the kubelet runs before it stops the container.
fn start_hook(folder: &Path, container: &Value) -> Process {
    let hook = container["lifecycle"]["preStop"]["exec"]["command"][2].as_str().expect("there is a hook");
    let wget = Command::new("wget").arg("--version").output();
    assert!(wget.is_ok(), "wget, which the hook uses, is missing: install it (on Debian: apt-get install wget)");
    Process::start("hook", folder, Command::new("sh").args(["-eu", "-c", hook]))
}

#[test]
fn envoy_runs_and_drains_as_its_chart_says() {
    let (_server, kubectl) = cluster();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::of("overrides: {}");
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    let [push_port, metrics_port, probe_port, drain_port] = [(); 4].map(|()| free_port());
    let [push, metrics, probe, drain, asked] =
        [push_port, metrics_port, probe_port, drain_port, rls.grpc_port()].map(|port| port.to_string());
    let values = [
        ("mode", "mirror"),
        ("drain.delaySeconds", "1"),
        ("mimirRls.host", "127.0.0.1"),
        ("mimirRls.port", &asked),
        ("listeners.address", "127.0.0.1"),
        ("listeners.pushPort", &push),
        ("listeners.metricsPort", &metrics),
        ("listeners.probePort", &probe),
        ("listeners.drainPort", &drain),
        ("listeners.socketFolder", folder.path().to_str().expect("a path is text")),
    ];
    let objects = Objects::of(&kubectl, ENVOY, &values);
    let pod = &objects.one("Deployment", ENVOY)["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let bootstrap =
        objects.one("ConfigMap", ENVOY)["data"]["envoy.yaml"].as_str().expect("a ConfigMap has the bootstrap");
    let configuration = folder.path().join("envoy.yaml").display().to_string();
    fs::write(&configuration, bootstrap).expect("a file can be written");

    assert_eq!(container["command"], serde_json::json!(["envoy"]));
    let mut command = Command::new(tool("envoy"));
    let mut envoy = Process::start("envoy", folder.path(), command.args(arguments(container, &configuration)));
    check_ports(container, [push_port, metrics_port, probe_port]);
    let ready = container["readinessProbe"]["httpGet"]["path"].as_str().expect("a probe has a path");
    until("Envoy is ready", || status(probe_port, ready) == Some(200));
    until("a push is answered", || send(push_port, &push_request("team", &samples(1).bytes)).status == 200);

    let body = samples(1).bytes;
    let mut slow = send_head(push_port, body.len());
    let mut hook = start_hook(folder.path(), container);
    until("Envoy drains", || [probe_port, metrics_port].iter().all(|port| status(*port, ready) == Some(503)));
    let answer = send(push_port, &push_request("team", &body));
    assert_eq!((answer.status, answer.headers.get("connection").as_deref()), (200, Some("close")));
    // The hook checks once a second for pushes in flight: only time shows that it does not exit.
    throughout(Duration::from_secs(3), || {
        assert!(hook.ended().is_none(), "the hook does not wait for a push in flight");
    });
    slow.write_all(&body).expect("a body can be sent");
    let mut line = String::new();
    BufReader::new(slow).read_line(&mut line).expect("the push is answered");
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    assert!(hook.wait().success());
    envoy.signal(Signal::TERM);
    assert!(envoy.wait().success());
    assert_eq!(pod["terminationGracePeriodSeconds"], 1 + 30 + 10);
}
