//! What compose.yaml describes, started without a container engine: the real programs with the commands, environments and files of its services,
//! on free loopback ports and with a folder for each mount.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Connection, Process, Request, Response, built, free_port, metric, repository, send, tool, until};
use serde_json::Value;
use tempfile::TempDir;

/// Where each service listens by its image, each with a free port here.
const ADDRESSES: [&str; 9] = [
    "overrides-sync:8083",
    "overrides-sync:9091",
    "mimir-rls:8081",
    "mimir-rls:9090",
    "mimir-envoy:8080",
    "mimir-envoy:9901",
    "mimir:8080",
    "mimir:9095",
    "prometheus:9090",
];
/// What makes a Mimir be ready soon, and stay on loopback.
const MIMIR_HERE: [&str; 11] = [
    "-server.http-listen-address=127.0.0.1",
    "-server.grpc-listen-address=127.0.0.1",
    "-memberlist.bind-addr=127.0.0.1",
    "-ingester.ring.instance-addr=127.0.0.1",
    "-distributor.ring.instance-addr=127.0.0.1",
    "-ingester.ring.min-ready-duration=0s",
    "-memberlist.advertise-addr=127.0.0.1",
    "-runtime-config.reload-period=200ms",
    "-store-gateway.sharding-ring.instance-addr=127.0.0.1",
    "-compactor.ring.instance-addr=127.0.0.1",
    "-query-frontend.instance-addr=127.0.0.1",
];

/// The services but Grafana, which is not here.
pub(crate) struct Stack {
    processes: Vec<Process>,
    ports: BTreeMap<&'static str, u16>,
    folder: TempDir,
}

impl Stack {
    /// Starts everything and waits until each says that it is ready.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let ports = ADDRESSES.map(|address| (address, free_port())).into();
        let mut stack = Self { processes: Vec::new(), ports, folder };
        let project = project();
        let service = |name: &str| project["services"][name].clone();

        fs::create_dir_all(stack.place("etc")).expect("a folder can be made");
        for name in ["limits.yaml", "edge.yaml"] {
            let committed = repository().join("ops/compose/limits").join(name);
            fs::copy(committed, stack.place("etc").join(name)).expect("a file can be copied");
        }
        for name in ["cache", "data", "prometheus"] {
            fs::create_dir_all(stack.place(name)).expect("a folder can be made");
        }
        stack.run_ours("overrides-sync", &service("overrides-sync"));
        stack.run_ours("mimir-rls", &service("mimir-rls"));
        stack.run_mimir(&service("mimir"));
        stack.run_envoy(&service("mimir-envoy"));
        stack.run_prometheus(&service("prometheus"));
        for (address, path) in [
            ("overrides-sync:9091", "/ready"),
            ("mimir-rls:9090", "/ready"),
            ("mimir-envoy:9901", "/ready"),
            ("mimir:8080", "/ready"),
            ("prometheus:9090", "/-/ready"),
        ] {
            stack.wait_for(address, path);
        }
        stack
    }

    /// Sends a request to a service.
    #[track_caller]
    pub(crate) fn send(&self, address: &str, request: &Request) -> Response {
        send(self.ports[address], request)
    }

    /// The value of a metric; see [`metric`].
    #[track_caller]
    pub(crate) fn metric(&self, address: &str, series: &str) -> Option<f64> {
        metric(self.ports[address], "/metrics", series)
    }

    /// Writes the document of limits anew.
    pub(crate) fn set_limits(&self, text: &str) {
        fs::write(self.place("etc").join("limits.yaml"), text).expect("a file can be written");
    }

    /// Writes the edge config anew.
    pub(crate) fn set_edge_config(&self, text: &str) {
        fs::write(self.place("etc").join("edge.yaml"), text).expect("a file can be written");
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A text of a service, with its addresses and folders as they are here.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace("localhost:9090", "prometheus:9090");
        for (address, port) in &self.ports {
            text = text.replace(address, &format!("127.0.0.1:{port}"));
        }
        for (path, folder) in [("/etc/mimir-rls", "etc"), ("/var/cache/mimir-rls", "cache"), ("/data", "data")] {
            text = text.replace(path, &self.place(folder).display().to_string());
        }
        text
    }

    fn command(&self, service: &Value) -> Vec<String> {
        let words = service["command"].as_array().expect("a service has a command");
        words.iter().map(|word| self.here(word.as_str().expect("a command is of words"))).collect()
    }

    fn listen(&self, flag: &str, address: &str) -> String {
        format!("{flag}=127.0.0.1:{}", self.ports[address])
    }

    fn run(&mut self, name: &str, command: &mut Command) {
        self.processes.push(Process::start(name, self.folder.path(), command));
    }

    fn run_ours(&mut self, name: &str, service: &Value) {
        let of_it = |flag| {
            let listens = ADDRESSES.iter().filter(|address| address.starts_with(&format!("{name}:")));
            let address = if flag == "--grpc-listen" { listens.min() } else { listens.max() };
            self.listen(flag, address.expect("it listens"))
        };
        let (grpc, http) = (of_it("--grpc-listen"), of_it("--http-listen"));
        let arguments = self.command(service);
        self.run(name, Command::new(built(name)).args(arguments).args([grpc, http]));
    }

    fn run_mimir(&mut self, service: &Value) {
        let configuration = self.copy("ops/compose/mimir.yaml", "mimir.yaml", |text| text);
        let mut command = Command::new(tool("mimir"));
        for word in self.command(service) {
            command.arg(word.replace("/etc/mimir/mimir.yaml", &configuration));
        }
        command.args(MIMIR_HERE);
        for (flag, port) in [
            ("server.http-listen-port", self.ports["mimir:8080"]),
            ("server.grpc-listen-port", self.ports["mimir:9095"]),
            ("memberlist.bind-port", free_port()),
        ] {
            command.arg(format!("-{flag}={port}"));
        }
        self.run("mimir", &mut command);
    }

    fn run_envoy(&mut self, service: &Value) {
        let mut command = Command::new("sh");
        command.arg(repository().join("ops/docker/envoy"));
        for (name, value) in service["environment"].as_object().expect("Envoy has an environment") {
            command.env(name, self.here(value.as_str().expect("a variable is text")));
        }
        let envoy = tool("envoy");
        let path = format!("{}:/usr/bin:/bin", envoy.parent().expect("a program is in a folder").display());
        command.env("PATH", path).env("CONFIGURATIONS", repository().join("ops/envoy"));
        command.env("LISTEN_ADDRESS", "127.0.0.1").env("SOCKET_FOLDER", self.folder.path()).env("DRAIN_PORT", "0");
        for (name, address) in [("EDGE_PORT", "mimir-envoy:8080"), ("METRICS_PORT", "mimir-envoy:9901")] {
            command.env(name, self.ports[address].to_string());
        }
        self.run("envoy", &mut command);
    }

    fn run_prometheus(&mut self, service: &Value) {
        let rules = repository().join("charts/mimir-rls/files/*.yaml").display().to_string();
        let configuration = self.copy("ops/prometheus/prometheus.yml", "prometheus.yml", |text| {
            text.replace(": 15s", ": 1s").replace("/etc/prometheus/rules/*.yaml", &rules)
        });
        let mut command = Command::new(tool("prometheus"));
        for word in self.command(service) {
            let word = word.replace("/etc/prometheus/prometheus.yml", &configuration);
            command.arg(word.replace("=/prometheus", &format!("={}", self.place("prometheus").display())));
        }
        command.arg(self.listen("--web.listen-address", "prometheus:9090"));
        self.run("prometheus", &mut command);
    }

    /// A committed file with the addresses and folders of here; its path.
    fn copy(&self, from: &str, to: &str, change: impl Fn(String) -> String) -> String {
        let text = fs::read_to_string(repository().join(from)).expect("a committed file can be read");
        let path = self.place(to);
        fs::write(&path, change(self.here(&text))).expect("a file can be written");
        path.display().to_string()
    }

    fn wait_for(&mut self, address: &str, path: &str) {
        let port = self.ports[address];
        until(&format!("{address} is ready"), || {
            assert!(self.processes.iter_mut().all(|process| process.ended().is_none()), "a program ended");
            let answer = Connection::open(port).and_then(|mut open| open.send(&Request::new("GET", path)));
            answer.is_ok_and(|answer| answer.status == 200)
        });
    }
}

/// compose.yaml as docker compose reads it, with no variable set.
fn project() -> Value {
    let mut command = Command::new(tool("docker-compose"));
    command.args(["--env-file", "/dev/null", "--file", "compose.yaml", "config", "--format", "json"]);
    command.current_dir(repository()).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", Path::new("/nonexistent"));
    let output = command.output().expect("docker compose runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("docker compose prints JSON")
}
