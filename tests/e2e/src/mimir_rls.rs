//! A running mimir-rls.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http1::{Connection, Request, Response, send};
use crate::metrics::metric;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::built;
use crate::wait::until;

/// The real server on loopback, with debug logs.
#[derive(Debug)]
pub struct MimirRls {
    /// The running program.
    pub process: Process,
    grpc_port: u16,
    http_port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    disk: Option<Disk>,
}

/// A disk of its own, in memory, at a folder that other processes see empty.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Where it is.
    pub folder: PathBuf,
    /// How much it holds.
    pub bytes: u64,
}

impl MimirRls {
    /// Starts it with its limits from `limits`, such as `file:limits.yaml`, and waits until it answers on its HTTP port; whether it is ready
    /// depends on the limits.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, limits: &str, arguments: &[String]) -> Self {
        Self::start_in(folder, limits, arguments, &[])
    }

    /// The same with files that environment variables name.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(folder: &Path, limits: &str, arguments: &[String], environment: &[(String, PathBuf)]) -> Self {
        Self::start_on(None, folder, limits, arguments, environment)
    }

    /// The same with a disk of its own.
    ///
    /// # Panics
    /// When it does not start, or disks cannot be made: that takes user namespaces.
    #[must_use]
    pub fn start_on(
        disk: Option<Disk>,
        folder: &Path,
        limits: &str,
        arguments: &[String],
        environment: &[(String, PathBuf)],
    ) -> Self {
        let (grpc_port, http_port) = (free_port(), free_port());
        let mut all = vec![
            format!("--grpc-listen=127.0.0.1:{grpc_port}"),
            format!("--http-listen=127.0.0.1:{http_port}"),
            format!("--limits={limits}"),
        ];
        all.extend_from_slice(arguments);
        let process = spawn(disk.as_ref(), folder, &all, environment);
        let (folder, environment) = (folder.to_owned(), environment.to_vec());
        let started = Self { process, grpc_port, http_port, folder, arguments: all, environment, disk };
        started.wait_until_live();
        started
    }

    /// Starts it again on the same ports after it ended.
    ///
    /// # Panics
    /// When it still runs, or does not start.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "mimir-rls still runs");
        self.process = spawn(self.disk.as_ref(), &self.folder, &self.arguments, &self.environment);
        self.wait_until_live();
    }

    /// The port of its gRPC services.
    #[must_use]
    pub fn grpc_port(&self) -> u16 {
        self.grpc_port
    }

    /// The port of its HTTP side.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Sends a request to its HTTP side.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn http(&self, request: &Request) -> Response {
        send(self.http_port, request)
    }

    /// Reads a page of its HTTP side.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.http(&Request::new("GET", target))
    }

    /// The status of `/ready`, or `None` without an answer.
    #[must_use]
    pub fn readiness(&self) -> Option<u16> {
        self.status("/ready")
    }

    /// The value of one of its metrics; see [`metric`].
    #[must_use]
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.http_port, "/metrics", series)
    }

    /// Pushes with this decision (`allow`, `deny`), of all modes and reasons.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn decisions(&self, decision: &str) -> f64 {
        let series = format!("rls_decisions_total{{decision=\"{decision}\"");
        let page = self.get("/metrics");
        let text = page.text();
        let lines = text.lines().filter(|line| line.starts_with(&series));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// The burst of samples of a tenant that has one in force.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn burst(&self, tenant: &str) -> Option<u64> {
        let page = self.get(&format!("/api/v1/tenants/{tenant}"));
        if page.status == 200 { page.json().pointer("/limits/ingestion_burst_size")?.as_u64() } else { None }
    }

    /// The folder of its disk, as it sees it.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        let folder = &self.disk.as_ref().expect("it has a disk of its own").folder;
        let inside = folder.strip_prefix("/").expect("the path of a disk begins at the root");
        Path::new("/proc").join(self.process.id().to_string()).join("root").join(inside)
    }

    fn wait_until_live(&self) {
        until("mimir-rls is live", || self.status("/live") == Some(200));
    }

    fn status(&self, path: &str) -> Option<u16> {
        let mut connection = Connection::open(self.http_port).ok()?;
        connection.send(&Request::new("GET", path)).ok().map(|response| response.status)
    }
}

fn spawn(disk: Option<&Disk>, folder: &Path, arguments: &[String], environment: &[(String, PathBuf)]) -> Process {
    let program = built("mimir-rls");
    let mut command = match disk {
        None => Command::new(program),
        Some(Disk { folder, bytes }) => {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount", "sh", "-c", ON_A_DISK, "sh"]);
            command.arg(bytes.to_string()).arg(folder).arg(program);
            command
        }
    };
    let environment = environment.iter().map(|(name, path)| (name, path));
    Process::start("mimir-rls", folder, command.args(arguments).envs(environment))
}

const ON_A_DISK: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@""#;
