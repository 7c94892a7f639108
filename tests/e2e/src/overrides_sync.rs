//! A running overrides-sync.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http_side::{HttpSide, Https};
use crate::http1::Response;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::built;
use crate::secrets::{Program, Secrets};
use crate::wait::until;

/// The real server on loopback, with debug logs.
#[derive(Debug)]
pub struct OverridesSync {
    /// The running program.
    pub process: Process,
    grpc_port: u16,
    scheme: &'static str,
    http: HttpSide,
    folder: PathBuf,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
}

impl OverridesSync {
    /// Starts it with its limits from `limits`, such as `kube:mimir/mimir-runtime`, and waits until it answers on its HTTP port; whether it is
    /// ready depends on the limits. `folder` is made.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, kubeconfig: &Path, limits: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start_with(folder, kubeconfig, limits, &arguments, None)
    }

    /// Starts one without a Kubernetes, which shows and asks for what its Secret has.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start_secured(folder: &Path, limits: &str, secrets: &Secrets) -> Self {
        let arguments = secrets.arguments(Program::OverridesSync);
        Self::start_with(folder, Path::new(""), limits, &arguments, Some(secrets.https().clone()))
    }

    fn start_with(folder: &Path, kubeconfig: &Path, limits: &str, arguments: &[String], https: Option<Https>) -> Self {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let (grpc_port, http_port) = (free_port(), free_port());
        let mut all = vec![
            format!("--grpc-listen=127.0.0.1:{grpc_port}"),
            format!("--http-listen=127.0.0.1:{http_port}"),
            format!("--limits={limits}"),
            "--log-level=debug,kube=info,hyper_util=info,tower=info,h2=info".to_owned(),
        ];
        all.extend_from_slice(arguments);
        let process = spawn(folder, kubeconfig, &all);
        let (folder, kubeconfig) = (folder.to_owned(), kubeconfig.to_owned());
        let scheme = if https.is_some() { "https" } else { "http" };
        let http = HttpSide::new(http_port, https);
        let started = Self { process, grpc_port, scheme, http, folder, kubeconfig, arguments: all };
        started.wait_until_live();
        started
    }

    /// Starts it again on the same ports after it ended.
    ///
    /// # Panics
    /// When it still runs, or does not start.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "overrides-sync still runs");
        self.process = spawn(&self.folder, &self.kubeconfig, &self.arguments);
        self.wait_until_live();
    }

    /// The value of `--limits` of a mimir-rls that takes its limits from here.
    #[must_use]
    pub fn feed(&self) -> String {
        format!("feed:{}", self.url())
    }

    /// The port of its feed.
    #[must_use]
    pub fn grpc_port(&self) -> u16 {
        self.grpc_port
    }

    /// Where its feed is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.grpc_port)
    }

    /// The port of its HTTP side.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http.port()
    }

    /// Reads a page of its HTTP side.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.http.get(target)
    }

    /// The status of `/ready`, or `None` without an answer.
    #[must_use]
    pub fn readiness(&self) -> Option<u16> {
        self.http.status("/ready")
    }

    /// Waits until it has limits.
    ///
    /// # Panics
    /// When it gets none.
    pub fn wait_until_ready(&self) {
        until("overrides-sync is ready", || self.readiness() == Some(200));
    }

    /// The value of one of its metrics; see [`metric`](crate::metric).
    #[must_use]
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        self.http.metric(series)
    }

    fn wait_until_live(&self) {
        until("overrides-sync is live", || self.http.status("/live") == Some(200));
    }
}

fn spawn(folder: &Path, kubeconfig: &Path, arguments: &[String]) -> Process {
    let mut command = Command::new(built("overrides-sync"));
    Process::start("overrides-sync", folder, command.env("KUBECONFIG", kubeconfig).args(arguments))
}
