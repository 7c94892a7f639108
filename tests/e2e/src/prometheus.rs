//! A running Prometheus, and something for it to scrape.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::http1::{Connection, Request, send};
use crate::metrics::metric;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::tool;
use crate::promql::{SampleTimes, query, sample_times};
use crate::server::Server;
use crate::wait::until;

/// A scrape target with a counter that grows with every scrape.
#[derive(Debug)]
pub struct Target {
    server: Server,
}

impl Target {
    /// Starts it on a free loopback port, with this many series.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(series: usize) -> Self {
        let scrapes = AtomicU64::new(0);
        let server = Server::start(move |_| {
            let scrape = scrapes.fetch_add(1, Ordering::Relaxed);
            let mut page = String::from("# TYPE e2e_scrapes counter\n");
            for index in 0..series {
                writeln!(page, "e2e_scrapes{{index=\"{index}\"}} {scrape}").expect("a string takes any write");
            }
            (vec![("Content-Type", "text/plain; version=0.0.4".to_owned())], page.into_bytes())
        });
        Self { server }
    }
}

/// A remote write target of Prometheus, with its tenant.
#[derive(Clone, Debug)]
pub struct RemoteWrite {
    /// The tenant; the queue has its name too.
    pub tenant: &'static str,
    /// The name of the protocol's message, as Prometheus' configuration has it.
    pub message: &'static str,
    /// The port of the edge.
    pub port: u16,
    /// How it queues, as Prometheus' configuration has it.
    pub queue_config: &'static str,
}

impl RemoteWrite {
    /// With a queue that sends what it has five times a second.
    #[must_use]
    pub fn new(tenant: &'static str, message: &'static str, port: u16) -> Self {
        Self { tenant, message, port, queue_config: "{ batch_send_deadline: 200ms }" }
    }
}

/// The real Prometheus on loopback. The usual one scrapes one target five times a second.
#[derive(Debug)]
pub struct Prometheus {
    /// The running program.
    pub process: Process,
    port: u16,
}

impl Prometheus {
    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, target: &Target, writes: &[RemoteWrite]) -> Self {
        Self::start_as("prometheus", folder, target, writes)
    }

    /// The same with a name, which its samples carry as the label `prometheus`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_as(name: &str, folder: &Path, target: &Target, writes: &[RemoteWrite]) -> Self {
        Self::start_with(name, folder, |_| configure(name, target, writes))
    }

    /// One with the configuration that is made for its port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(name: &str, folder: &Path, configure: impl FnOnce(u16) -> String) -> Self {
        let port = free_port();
        fs::create_dir_all(folder).expect("a folder can be made");
        let configuration = folder.join("prometheus.yml");
        fs::write(&configuration, configure(port)).expect("a file can be written");
        let mut command = Command::new(tool("prometheus"));
        command.arg(format!("--config.file={}", configuration.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut process = Process::start(name, folder, &mut command);
        until("Prometheus is ready", || {
            assert!(process.ended().is_none(), "Prometheus ended");
            let ready = Connection::open(port).and_then(|mut open| open.send(&Request::new("GET", "/-/ready")));
            ready.is_ok_and(|response| response.status == 200)
        });
        Self { process, port }
    }

    /// The samples of its own that a selector of the last half hour finds.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn sample_times(&self, selector: &str) -> SampleTimes {
        sample_times(self.port, "/api/v1/query", None, selector)
    }

    /// The series that an expression has now.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        query(self.port, "/api/v1/query", None, expression, None)
    }

    /// The port of its queries and metrics.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sum of a counter of its remote write over all labels.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn remote_write_sum(&self, name: &str) -> f64 {
        let page = send(self.port, &Request::new("GET", "/metrics"));
        let name = format!("prometheus_remote_storage_{name}{{");
        page.text()
            .lines()
            .filter(|line| line.starts_with(&name))
            .filter_map(value_of)
            .fold(0.0, |sum, value| sum + value)
    }

    /// A counter of its remote-write queue for this tenant; 0 while there is no such series.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn remote_write_counter(&self, name: &str, write: &RemoteWrite) -> f64 {
        let RemoteWrite { tenant, port, .. } = write;
        let series = format!(r#"{name}{{remote_name="{tenant}",url="http://127.0.0.1:{port}/api/v1/push"}}"#);
        metric(self.port, "/metrics", &series).unwrap_or_default()
    }
}

fn value_of(line: &str) -> Option<f64> {
    line.rsplit(' ').next()?.parse().ok()
}

fn configure(name: &str, target: &Target, writes: &[RemoteWrite]) -> String {
    let mut text = format!(
        "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, external_labels: {{ prometheus: '{name}' }} }}\n\
         scrape_configs:\n- job_name: e2e\n  static_configs: [{{ targets: ['127.0.0.1:{}'] }}]\nremote_write:\n",
        target.server.port()
    );
    for RemoteWrite { tenant, message, port, queue_config } in writes {
        write!(
            text,
            "- name: {tenant}\n  url: http://127.0.0.1:{port}/api/v1/push\n  protobuf_message: {message}\n  \
             headers: {{ X-Scope-OrgID: {tenant} }}\n  queue_config: {queue_config}\n"
        )
        .expect("a string takes any write");
    }
    text
}
