//! A running Envoy with the product's own configuration.

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http1::{Connection, Request, Response, read_response, send};
use crate::metrics::metric;
use crate::output::Output;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::{repository, tool};
use crate::wait::until;

/// The name of mimir-rls for an Envoy with a DNS server.
pub const RLS_NAME: &str = "mimir-rls.mimir-edge.test";
/// The name of Mimir for an Envoy with a DNS server.
pub const MIMIR_NAME: &str = "mimir.mimir-edge.test";

const LARGE_PUSH_BYTES: u64 = 16 << 20;

/// What varies between the Envoys of the tests.
#[derive(Clone, Debug)]
pub struct EnvoySettings {
    /// Where each mimir-rls answers.
    pub rls_grpc_ports: Vec<u16>,
    /// Where Mimir would be; `None`: a mirror, which answers everything itself.
    pub upstream_port: Option<u16>,
    /// Further Mimirs, which get pushes in turn.
    pub more_upstream_ports: Vec<u16>,
    /// The largest push.
    pub max_request_bytes: usize,
    /// Whether pushes go on while mimir-rls is unreachable.
    pub failure_mode_allow: bool,
    /// Whether its ratelimit filter asks mimir-rls to charge the samples.
    pub charge_samples_in_rate_limit: bool,
    /// Near so much memory it denies pushes.
    pub max_heap_bytes: u64,
    /// Pushes that may wait for mimir-rls or the upstream at once.
    pub max_pushes: u64,
    /// Whether it forwards pushes as a plain proxy does: without the check, the bounds and whatever else its filters do.
    pub only_forwards: bool,
    /// The DNS server that knows [`RLS_NAME`] and [`MIMIR_NAME`], by which Envoy then finds both. Without it, Envoy has addresses.
    pub dns: Option<u16>,
    /// What the chart renders with other values, instead of the committed configuration; see [`envoy_bootstrap`](crate::envoy_bootstrap).
    pub bootstrap: Option<PathBuf>,
}

impl EnvoySettings {
    /// An Envoy before these mimir-rls: it accepts pushes of 16 MiB, fails closed, and answers allowed pushes itself.
    #[must_use]
    pub fn with_rls(rls_grpc_ports: Vec<u16>) -> Self {
        Self {
            rls_grpc_ports,
            upstream_port: None,
            more_upstream_ports: Vec::new(),
            max_request_bytes: 16 << 20,
            failure_mode_allow: false,
            charge_samples_in_rate_limit: false,
            max_heap_bytes: 1 << 30,
            max_pushes: 1000,
            only_forwards: false,
            dns: None,
            bootstrap: None,
        }
    }

    /// These ports on loopback, or those of a name.
    fn endpoints<'p>(&self, name: &str, ports: impl IntoIterator<Item = &'p u16>) -> String {
        let host = if self.dns.is_some() { name } else { "127.0.0.1" };
        ports.into_iter().map(|port| format!("{host}:{port}")).collect::<Vec<_>>().join(",")
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
    folder: PathBuf,
    port: u16,
    metrics_port: u16,
    drain_port: u16,
}

impl Envoy {
    /// Starts it and waits until its listeners answer.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, settings: &EnvoySettings) -> Self {
        let ports @ [port, metrics_port, drain_port] = [(); 3].map(|()| free_port());
        fs::write(configuration(folder), configured(folder, settings, ports)).expect("a file can be written");
        let mut envoy = Self { process: spawn(folder), folder: folder.to_owned(), port, metrics_port, drain_port };
        envoy.wait_until_serving();
        envoy
    }

    /// Starts it again with the same configuration after it ended.
    ///
    /// # Panics
    /// When it still runs, or does not start.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "Envoy still runs");
        self.process = spawn(&self.folder);
        self.wait_until_serving();
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

    /// The status of its `/ready`, or `None` without an answer.
    #[must_use]
    pub fn readiness(&self) -> Option<u16> {
        self.status(self.metrics_port, "/ready")
    }

    /// Where a pod's preStop hook drains it.
    #[must_use]
    pub fn drain_port(&self) -> u16 {
        self.drain_port
    }

    /// Asks it to send its clients elsewhere, as a pod does before it stops.
    ///
    /// # Panics
    /// When it does not take that.
    pub fn drain(&self) {
        self.set_health("/healthcheck/fail");
    }

    /// Takes [`Envoy::drain`] back.
    ///
    /// # Panics
    /// When it does not take that.
    pub fn serve_again(&self) {
        self.set_health("/healthcheck/ok");
    }

    #[track_caller]
    fn set_health(&self, path: &str) {
        let answer = send(self.drain_port, &Request::new("POST", path));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The value of one of its metrics; see [`metric`].
    #[must_use]
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.metrics_port, "/stats/prometheus", series)
    }

    /// Reads a page of its admin interface.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn admin(&self, target: &str) -> Response {
        let mut socket = UnixStream::connect(self.folder.join("admin.sock")).expect("the admin interface listens");
        let request = format!("GET {target} HTTP/1.1\r\nHost: admin\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("the admin interface reads");
        read_response(&mut BufReader::new(socket), false).expect("the admin interface answers")
    }

    /// Pushes that it denied because it held too many.
    #[must_use]
    #[track_caller]
    pub fn denied_for_overload(&self) -> f64 {
        let series =
            r#"envoy_http_adaptive_concurrency_gradient_controller_rq_blocked{envoy_http_conn_manager_prefix="push"}"#;
        self.metric(series).unwrap_or_default()
    }

    /// Waits until its health checks count this many healthy mimir-rls. Its workers, which choose the mimir-rls, learn it a little later.
    ///
    /// # Panics
    /// When they don't.
    pub fn wait_for_healthy_rls(&self, count: u8) {
        until(&format!("Envoy counts {count} healthy mimir-rls"), || {
            self.metric(r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir_rls"}"#) == Some(f64::from(count))
        });
    }

    fn wait_until_serving(&mut self) {
        until("Envoy serves", || {
            assert!(self.process.ended().is_none(), "Envoy ended");
            self.status(self.metrics_port, "/ready") == Some(200) && self.status(self.port, "/healthz") == Some(200)
        });
    }

    fn status(&self, port: u16, path: &str) -> Option<u16> {
        Connection::open(port).ok()?.send(&Request::new("GET", path)).ok().map(|response| response.status)
    }
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("envoy.yaml")
}

fn spawn(folder: &Path) -> Process {
    let mut command = Command::new(tool("envoy"));
    command.arg("--config-path").arg(configuration(folder));
    command.args(["--log-level", "warn", "--disable-hot-restart", "--concurrency", "2"]);
    Process::start("envoy", folder, &mut command)
}

/// What `ops/envoy/configure` makes of a configuration that the chart renders.
fn configured(folder: &Path, settings: &EnvoySettings, [port, metrics_port, drain_port]: [u16; 3]) -> String {
    let committed = if settings.upstream_port.is_some() { "enforce" } else { "mirror" };
    let committed = repository().join(format!("ops/envoy/{committed}.yaml"));
    let upstreams = settings.upstream_port.iter().chain(&settings.more_upstream_ports);
    let mut configure = Command::new(repository().join("ops/envoy/configure"));
    configure.arg(settings.bootstrap.as_ref().unwrap_or(&committed));
    configure.env("EDGE_PORT", port.to_string()).env("METRICS_PORT", metrics_port.to_string());
    configure.env("DRAIN_PORT", drain_port.to_string()).env("SOCKET_FOLDER", folder);
    configure
        .env("RLS", settings.endpoints(RLS_NAME, &settings.rls_grpc_ports))
        .env("MIMIR_URL", format!("http://{}", settings.endpoints(MIMIR_NAME, upstreams)));
    configure.env("MAX_REQUEST_BYTES", settings.max_request_bytes.to_string());
    configure.env("FAILURE_MODE_ALLOW", settings.failure_mode_allow.to_string());
    configure.env("RATE_LIMIT_PERCENT", if settings.charge_samples_in_rate_limit { "100" } else { "0" });
    configure.env("RATE_LIMIT_FAILURE_MODE_DENY", (!settings.failure_mode_allow).to_string());
    configure
        .env("MAX_HEAP_BYTES", settings.max_heap_bytes.to_string())
        .env("MAX_PUSHES", settings.max_pushes.to_string());
    configure.env("MAX_LARGE_PUSHES", settings.max_large_pushes().to_string());
    let mut configured = Output::of(&mut configure, "").ok();
    if settings.only_forwards {
        configured = without_filters(&configured);
    }
    match settings.dns {
        // Envoy resolves a name every 5 s by default.
        Some(port) => {
            configured.replace("type: STRICT_DNS\n", "type: STRICT_DNS\n    dns_refresh_rate: 1s\n") + &resolver(port)
        }
        None => configured,
    }
}

/// The configuration without the HTTP filters of the listener for pushes, except for the one that forwards. Settings of routes for filters that are not
/// there have no effect.
fn without_filters(configured: &str) -> String {
    const FILTERS: &str = "\n          http_filters:\n";
    const FORWARDS: &str = "          - name: envoy.filters.http.router\n";
    let (before, filters) = configured.split_once(FILTERS).expect("the listener for pushes has filters");
    let forwards = filters.find(FORWARDS).and_then(|at| filters.get(at..)).expect("the last filter forwards");
    format!("{before}{FILTERS}{forwards}")
}

/// The part of a bootstrap that has Envoy resolve names by this DNS server, and take a second without a response for a failure.
fn resolver(port: u16) -> String {
    format!(
        r#"
typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}]
    dns_resolver_options: {{ no_default_search_domain: true }}
    query_timeout_seconds: 1
    query_tries: 1
"#
    )
}
