//! A running Envoy with the product's own configuration.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::http1::{Connection, Request};
use crate::metrics::metric;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::{repository, tool};
use crate::wait::until;

const LARGE_PUSH_BYTES: u64 = 16 << 20;

/// What varies between the Envoys of the tests.
#[derive(Clone, Debug)]
pub struct EnvoySettings {
    /// Where each mimir-rls answers.
    pub rls_grpc_ports: Vec<u16>,
    /// Where Mimir would be; `None`: Envoy's own sink.
    pub upstream_port: Option<u16>,
    /// Other Mimirs beside it, asked in turn.
    pub more_upstream_ports: Vec<u16>,
    /// The largest push.
    pub max_request_bytes: usize,
    /// Whether pushes go on while mimir-rls is unreachable.
    pub failure_mode_allow: bool,
    /// Whether its ratelimit filter asks mimir-rls to charge the samples.
    pub charge_samples_in_rate_limit: bool,
    /// Near so much memory it refuses pushes.
    pub max_heap_bytes: u64,
    /// Pushes that may wait for mimir-rls or the upstream at once.
    pub max_pushes: u64,
}

impl EnvoySettings {
    /// An Envoy that asks these mimir-rls, takes 16 MiB, fails closed, and answers what is allowed itself.
    #[must_use]
    pub fn asking(rls_grpc_ports: Vec<u16>) -> Self {
        Self {
            rls_grpc_ports,
            upstream_port: None,
            more_upstream_ports: Vec::new(),
            max_request_bytes: 16 << 20,
            failure_mode_allow: false,
            charge_samples_in_rate_limit: false,
            max_heap_bytes: 1 << 30,
            max_pushes: 1000,
        }
    }

    /// Pushes over 1 MB that it takes at once, by what they have in practice and not by the largest that is allowed.
    #[must_use]
    pub fn max_large_pushes(&self) -> u64 {
        let bytes = LARGE_PUSH_BYTES.min(self.max_request_bytes as u64);
        (self.max_heap_bytes / 4 * 3 / (4 * bytes)).max(1)
    }
}

/// The real Envoy on loopback.
#[derive(Debug)]
pub struct Envoy {
    /// The running program.
    pub process: Process,
    port: u16,
    metrics_port: u16,
}

impl Envoy {
    /// Starts it and waits until its listeners answer.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, settings: &EnvoySettings) -> Self {
        let (port, metrics_port) = (free_port(), free_port());
        let configuration = folder.join("envoy.yaml");
        fs::write(&configuration, bootstrap(folder, settings, port, metrics_port)).expect("a file can be written");
        let mut command = Command::new(tool("envoy"));
        command.arg("--config-path").arg(&configuration);
        command.args(["--log-level", "warn", "--disable-hot-restart", "--concurrency", "2"]);
        let mut envoy = Self { process: Process::start("envoy", folder, &mut command), port, metrics_port };
        until("Envoy serves", || {
            assert!(envoy.process.ended().is_none(), "Envoy ended");
            envoy.status(metrics_port, "/ready") == Some(200) && envoy.status(port, "/healthz") == Some(200)
        });
        envoy
    }

    /// Where clients push.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_port(&self) -> u16 {
        self.metrics_port
    }

    /// The value of one of its metrics; see [`metric`].
    #[must_use]
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.metrics_port, "/stats/prometheus", series)
    }

    /// Waits until its health checks have seen so many mimir-rls. Its workers, which decide where to ask, know it a little later.
    ///
    /// # Panics
    /// When they don't.
    pub fn wait_for_healthy_rls(&self, count: u8) {
        until(&format!("Envoy counts {count} healthy mimir-rls"), || {
            self.metric(r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir_rls"}"#) == Some(f64::from(count))
        });
    }

    fn status(&self, port: u16, path: &str) -> Option<u16> {
        Connection::open(port).ok()?.send(&Request::new("GET", path)).ok().map(|response| response.status)
    }
}

/// The template with every marker filled in.
fn bootstrap(folder: &Path, settings: &EnvoySettings, port: u16, metrics_port: u16) -> String {
    let template = fs::read_to_string(repository().join("ops/envoy/envoy.yaml")).expect("the template can be read");
    let values = [
        ("EDGE_PORT", port.to_string()),
        ("METRICS_PORT", metrics_port.to_string()),
        ("ADMIN_SOCKET", folder.join("admin.sock").display().to_string()),
        ("RLS_ENDPOINTS", settings.rls_grpc_ports.iter().map(|port| endpoint(*port)).collect::<Vec<_>>().join(", ")),
        ("UPSTREAM_CLUSTER", if settings.upstream_port.is_some() { "mimir" } else { "local_sink" }.to_owned()),
        ("UPSTREAM_HOST", "127.0.0.1".to_owned()),
        ("UPSTREAM_PORT", settings.upstream_port.unwrap_or(9009).to_string()),
        ("MAX_REQUEST_BYTES", settings.max_request_bytes.to_string()),
        ("CHECK_TIMEOUT", "5s".to_owned()),
        ("FAILURE_MODE_ALLOW", settings.failure_mode_allow.to_string()),
        ("RATE_LIMIT_PERCENT", if settings.charge_samples_in_rate_limit { "100" } else { "0" }.to_owned()),
        ("RATE_LIMIT_FAILURE_MODE_DENY", (!settings.failure_mode_allow).to_string()),
        ("MAX_HEAP_BYTES", settings.max_heap_bytes.to_string()),
        ("MAX_PUSHES", settings.max_pushes.to_string()),
        ("MAX_LARGE_PUSHES", settings.max_large_pushes().to_string()),
    ];
    let filled = values.iter().fold(template, |text, (name, value)| {
        let marker = format!("${{{name}}}");
        replaced(&text, &marker, value)
    });
    let Some(first) = settings.upstream_port.filter(|_| !settings.more_upstream_ports.is_empty()) else {
        return filled;
    };
    let all: Vec<String> =
        std::iter::once(&first).chain(&settings.more_upstream_ports).map(|port| upstream(*port)).collect();
    replaced(&filled, &upstream(first), &all.join(", "))
}

fn replaced(text: &str, part: &str, by: &str) -> String {
    assert!(text.contains(part), "ops/envoy/envoy.yaml has no {part}");
    text.replace(part, by)
}

/// The one Mimir as the template has it.
fn upstream(port: u16) -> String {
    format!(r#"{{ endpoint: {{ address: {{ socket_address: {{ address: "127.0.0.1", port_value: {port} }} }} }} }}"#)
}

/// An item of `lb_endpoints`.
fn endpoint(port: u16) -> String {
    format!("{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}")
}
