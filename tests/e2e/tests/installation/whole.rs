//! A whole installation: NGINX, Envoy, mimir-rls, overrides-sync with a ConfigMap of the real API server, and Mimir.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::{ADMIN, Cluster, Edge, Mimir, Nginx, OverridesSync, ProxyBackends, built, tool, until, until_some};
use serde_json::Value;
use tempfile::TempDir;

pub(super) const RUNTIME: &str = "\
overrides:
  team-a:
    ingestion_rate: 1000
    ingestion_burst_size: 2000
";

pub(super) struct Whole {
    pub(super) nginx: Nginx,
    pub(super) edge: Edge,
    pub(super) sync: OverridesSync,
    pub(super) mimir: Mimir,
    pub(super) cluster: Cluster,
    kubeconfig: PathBuf,
    runtime: PathBuf,
    _folder: TempDir,
}

impl Whole {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let runtime = folder.path().join("runtime.yaml");
        fs::write(&runtime, RUNTIME).expect("a file can be written");
        let cluster = Cluster::start(RUNTIME);
        let mimir = Mimir::start(&folder.path().join("mimir"), &runtime);
        let defaults = format!("--default-limits-url=http://127.0.0.1:{}", mimir.port());
        let tracker = format!("--ha-tracker-url={}", mimir.ha_tracker_url());
        let sync = cluster.sync("overrides-sync", &[&defaults, &tracker]);
        let builder = Edge::builder().upstream(mimir.port()).limits_from(&sync.feed());
        let edge = builder.rls_arguments(&[&defaults]).start("");
        let nginx = Nginx::start("full-fail-closed.conf", ProxyBackends::new(mimir.port(), edge.port()));
        let kubeconfig = cluster.server.kubeconfig(ADMIN);
        Self { nginx, edge, sync, mimir, cluster, kubeconfig, runtime, _folder: folder }
    }

    pub(super) fn front(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/push", self.nginx.port())
    }

    pub(super) fn envoy(&self) -> String {
        format!("http://127.0.0.1:{}", self.edge.port())
    }

    pub(super) fn envoy_admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.edge.envoy.metrics_port())
    }

    /// Where everything is.
    fn flags(&self) -> Vec<String> {
        let port = |port: u16| format!("http://127.0.0.1:{port}");
        let flags = [
            ("--front", self.front()),
            ("--tenant", "team-a".to_owned()),
            ("--envoy", self.envoy()),
            ("--envoy-admin", self.envoy_admin()),
            ("--overrides-sync", port(self.sync.http_port())),
            ("--mimir", port(self.mimir.port())),
            ("--configmap", "mimir/mimir-runtime".to_owned()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn edgectl(&self, arguments: &[&str]) -> Output {
        let rls = format!("http://127.0.0.1:{}", self.edge.rls.http_port());
        let mut command = edgectl(&self.kubeconfig, self.cluster.server.folder());
        command.args(arguments).env("MIMIR_EDGE_ADDRESS", rls).output().expect("edgectl runs")
    }

    /// What a subcommand prints that knows where everything is.
    #[track_caller]
    pub(super) fn run(&self, subcommand: &str, more: &[&str]) -> String {
        let flags = self.flags();
        let arguments: Vec<_> =
            [subcommand].into_iter().chain(flags.iter().map(String::as_str)).chain(more.iter().copied()).collect();
        let output = self.edgectl(&arguments);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        String::from_utf8(output.stdout).expect("edgectl prints text")
    }

    #[track_caller]
    pub(super) fn check(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.run("check", &[&["-o", "json"], more].concat())).expect("edgectl prints JSON")
    }

    /// What `diagnose` says that knows of these alone.
    #[track_caller]
    pub(super) fn diagnose(&self, flags: &[&str]) -> Value {
        let output = self.edgectl(&[&["diagnose", "-o", "json"], flags].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Waits until `check` has no failure and no warning, with its exit code.
    #[track_caller]
    pub(super) fn wait_until_well(&self) {
        until("the installation is well", || {
            let health = self.check(&[]);
            let checks = health["checks"].as_array().cloned().unwrap_or_default();
            checks.iter().filter(|check| check["status"] != "ok").for_each(|check| eprintln!("not well yet: {check}"));
            health["status"] == "ok"
        });
        let flags = self.flags();
        let arguments: Vec<_> = ["diagnose"].into_iter().chain(flags.iter().map(String::as_str)).collect();
        let output = self.edgectl(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nNo hop is broken.\n"), "{output:?}");
    }

    /// Waits until `diagnose` names this hop as the broken one.
    #[track_caller]
    pub(super) fn until_diagnosed(&self, hop: &str, more: &[&str]) -> Value {
        until_some(&format!("{hop} is named"), || {
            let diagnosis: Value =
                serde_json::from_str(&self.run("diagnose", &[&["-o", "json"], more].concat())).ok()?;
            if diagnosis["broken"] == hop {
                return Some(diagnosis);
            }
            eprintln!("{} is named: {}", diagnosis["broken"], diagnosis["cause"]);
            None
        })
    }

    /// Both subcommands name this hop, say why, and how to mend it.
    #[track_caller]
    pub(super) fn names(&self, hop: &str, cause: &str, mend: &str) {
        let diagnosis = self.until_diagnosed(hop, &[]);
        let text = self.run("diagnose", &[]);
        assert!(text.contains(&format!("\nBroken: {hop}\n")), "{text}");
        assert!(text.contains(cause) && text.contains(mend), "{cause}, {mend}: {text}");
        eprintln!("{text}");
        let health = self.check(&[]);
        let checks = health["checks"].as_array().cloned().unwrap_or_default();
        let first = checks.into_iter().find(|check| check["status"] == "failure").unwrap_or_default();
        assert_eq!((&health["status"], &first["group"]), (&"failure".into(), &diagnosis["broken"]), "{health}");
    }

    /// Replaces the file that Mimir reads. The ConfigMap stays.
    pub(super) fn mimir_reads(&self, document: &str) {
        fs::write(&self.runtime, document).expect("a file can be written");
    }
}

/// edgectl with this kubeconfig, and with kubectl on its path.
pub(super) fn edgectl(kubeconfig: &Path, home: &Path) -> Command {
    let kubectl = tool("kubectl");
    let folders = env::var_os("PATH").unwrap_or_default();
    let own = kubectl.parent().map(PathBuf::from);
    let path = env::join_paths(own.into_iter().chain(env::split_paths(&folders))).expect("PATH has no separator");
    let mut command = Command::new(built("edgectl"));
    command.env("PATH", path).env("HOME", home).env("KUBECONFIG", kubeconfig).env("LC_ALL", "C.UTF-8");
    command
}
