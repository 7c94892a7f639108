//! A running Alertmanager.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::http1::{Connection, Request, send};
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::tool;
use crate::wait::until;

/// The real Alertmanager on loopback, alone.
#[derive(Debug)]
pub struct Alertmanager {
    /// The running program.
    pub process: Process,
    port: u16,
}

impl Alertmanager {
    /// Starts it with this configuration, and waits until it serves.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, configuration: &str) -> Self {
        let (port, file) = (free_port(), folder.join("alertmanager.yml"));
        fs::write(&file, configuration).expect("a file can be written");
        let mut command = Command::new(tool("alertmanager"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", folder.join("alertmanager").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        // No other replicas.
        command.arg("--cluster.listen-address=");
        let mut process = Process::start("alertmanager", folder, &mut command);
        until("Alertmanager is ready", || {
            assert!(process.ended().is_none(), "Alertmanager ended");
            let ready = Connection::open(port).and_then(|mut open| open.send(&Request::new("GET", "/-/ready")));
            ready.is_ok_and(|response| response.status == 200)
        });
        Self { process, port }
    }

    /// Where Prometheus and amtool find it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The alerts of a name that it has, with their status.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn alerts(&self, name: &str) -> Vec<Value> {
        let target = format!("/api/v2/alerts?filter=alertname%3D%22{name}%22");
        send(self.port, &Request::new("GET", &target)).json().as_array().expect("it answers with a list").clone()
    }
}
