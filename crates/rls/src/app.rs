//! The life of the server: bind, load limits, serve, drain.

mod calls;
mod grpc;
mod shared;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use edge::{ControlWriter, HaTracker, Recorder};
use edge_sources::ControlSources;
use limits::{EdgeConfig, LimitsState};
use limits_source::{DefaultLimits, EdgeConfigSource, LoadedEdgeConfig, SourceSpec, poll_ha_tracker};
use page::Program;
use prometheus::Registry;
use runtime::{
    ConnectionCounts, HttpServer, ListenAddress, LogHandle, ServerSecurity, Serving, Shutdown, TlsFileMetrics,
    follow_expiry, observability_routes,
};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::shared::Shared;
use crate::Config;
use crate::metrics::Metrics;
use crate::traces::{SpanMetrics, TraceSettings, Traces};
use grpc::GrpcServer;

/// A server whose listeners are bound and whose limits are being watched.
pub struct App {
    grpc: GrpcServer,
    recorder: Recorder,
    serving: Serving,
    /// Ends when the last spans are sent, after the sources have stopped.
    traces: Option<JoinHandle<()>>,
}

impl App {
    /// Binds both listeners, reads the edge config and the limits once, and starts watching them. The admin API changes the log level through `logs`.
    ///
    /// # Errors
    /// An address cannot be bound, the files of TLS or the token cannot be used, the Mimir of `--default-limits-url` gives no default limits, the audit
    /// log cannot be opened, the certificates for an HA tracker are missing, or a metric cannot be registered. Bad limits are no error: the server
    /// starts, is not ready, and logs why. Nor is a bad edge config: all tenants are then in shadow.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let not_after = "rls_certificate_not_after_timestamp_seconds";
        let tls_metrics = TlsFileMetrics::new(&registry, "rls_bad_tls_files_total", not_after)?;
        let ServerSecurity { grpc_tls, http_tls, http_token } = config.server.security(&tls_metrics)?;
        let closed = ConnectionCounts::new(&registry, "rls_http_connections_closed_total")?;
        let http = HttpServer::bind("HTTP", config.http_listen, closed)?;
        let http = http.with_tls(http_tls).with_token(http_token);
        let stop = CancellationToken::new();
        let (sources, tasks) = (stop.clone().drop_guard(), Tasks::new(stop));
        let audit = config.audit_log.clone().map(|target| (target, &tasks));
        let recorder = Recorder::new(audit, &registry).context("--audit-log")?;

        let defaults = config.default_limits.clone().resolve_for_server().await?;
        if !config.default_limits_given {
            // Logged, with a gauge, but no problem: where Mimir runs with its built-in limits it would be counted for ever.
            let problem = DefaultLimits::not_given();
            tracing::warn!(code = problem.code.id(), "{problem}");
        }
        metrics.set_settings(config.default_limits_given, config.policy.bodies.max_request_bytes);
        follow_feed_certificate(&config.limits, &tls_metrics, &tasks);
        let edge = edge_config(config.edge_config.clone(), &tasks).await;
        let own_tracker = config.ha_tracker_url.clone().map(|url| poll_ha_tracker(url, &tasks)).transpose();
        let own_tracker = own_tracker.context("--ha-tracker-url")?;
        let is_polled = own_tracker.is_some() || matches!(config.limits, SourceSpec::Feed(_));
        let ha_tracker = HaTracker { is_polled, fresh_until: None };
        let (mut writer, control) = ControlWriter::new(Arc::clone(&edge.borrow().config), ha_tracker);
        writer.put_distributors(config.distributors);
        let (traces, exporting) = start_traces(config.traces.as_ref(), &registry, &tasks)?;
        let shared = Shared::new(&config, control, recorder, metrics, traces, &tasks)?;
        let closed = ConnectionCounts::new(&registry, "rls_grpc_connections_closed_total")?;
        let grpc = GrpcServer::bind(&config.grpc_listen, grpc_tls, closed, &shared).await?;

        let state = LimitsState::new(defaults.defaults, config.allow_empty_overrides).of_version(config.mimir_version);
        let source = config.limits.start(state, config.limits_cache, None, None, &tasks).await;
        let source = source.context("--limits")?;
        let control_sources = ControlSources::new(&source.limits, &edge, &source.extras, own_tracker.as_ref());
        shared.follow(control_sources, writer, &tasks).await;
        let admin = shared.admin(defaults.problems, &source, own_tracker.as_ref(), &edge, logs.clone());
        let cache = shared.register_at_scrape(source, own_tracker, logs, &registry)?;
        let (readiness, recorder) = (shared.readiness, shared.edge.recorder().clone());
        let routes = observability_routes(registry, readiness.clone()).merge(admin.routes());
        let routes = routes.merge(page::routes(Program::MimirRls));
        let (drain_delay, drain_timeout) = (config.server.drain_delay.into(), config.server.drain_timeout.into());
        let serving = Serving { http, routes, readiness, drain_delay, drain_timeout, tasks, sources, cache };
        Ok(Self { grpc, recorder, serving, traces: exporting })
    }

    /// Where Envoy connects.
    #[must_use]
    pub fn grpc_address(&self) -> &ListenAddress {
        self.grpc.address()
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.serving.http.address()
    }

    /// Serves until `shutdown` starts the drain: unhealthy at once, still accepting for the drain delay, then GOAWAY and the calls in flight.
    /// Limits, edge config, distributors and elections are watched to the last call; metrics and probes are served to the end.
    ///
    /// # Errors
    /// A listener or a task failed, or a second signal ended the drain early.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut grpc, recorder, serving, traces } = self;
        let _socket_file = grpc.take_file();
        tracing::info!(grpc = %grpc.address(), http = %serving.http.address(), "serving");
        let (readiness, calls) = (serving.readiness.clone(), grpc.calls());
        let served = serving.run(move |tasks| grpc.serve(readiness, tasks), calls.ended(), &shutdown).await;
        // Its only error is a panic, which is logged.
        drop(tokio::task::spawn_blocking(move || recorder.finish()).await);
        if let Some(exporting) = traces {
            // Its failures are those of a task. A second signal does not wait for spans.
            tokio::select! {
                _ = exporting => {}
                () = shutdown.abort.cancelled() => {}
            }
        }
        served
    }
}

/// What makes spans and the task that sends them, if traces are on. The metrics are there in any case.
fn start_traces(
    settings: Option<&TraceSettings>,
    registry: &Registry,
    tasks: &Tasks,
) -> anyhow::Result<(Option<Traces>, Option<JoinHandle<()>>)> {
    let metrics = SpanMetrics::new(registry).context("metrics cannot be registered")?;
    let started = settings.map(|settings| Traces::start(settings, metrics, tasks)).transpose()?;
    Ok(started.unzip())
}

/// Keeps the metric of the certificate that is shown to the feed.
fn follow_feed_certificate(limits: &SourceSpec, metrics: &TlsFileMetrics, tasks: &Tasks) {
    let not_after = metrics.not_after("feed_tls");
    if let Some(path) = limits.feed_certificate() {
        tasks.spawn("the certificate for the feed", follow_expiry(path.to_owned(), not_after));
    }
}

/// The edge config of a file, or the default.
async fn edge_config(path: Option<PathBuf>, tasks: &Tasks) -> watch::Receiver<LoadedEdgeConfig> {
    match path {
        Some(path) => EdgeConfigSource::new(path).start(tasks).await,
        None => LoadedEdgeConfig::fixed(EdgeConfig::default()),
    }
}
