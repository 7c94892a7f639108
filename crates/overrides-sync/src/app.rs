//! The server: bind, load limits, serve, drain.

mod sources;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use limits::{Defaults, Problem};
use page::Program;
use prometheus::Registry;
use proto::edge::limits::v1::limits_feed_server::LimitsFeedServer;
use runtime::{
    ConnectionCounts, GrpcListener, HttpServer, ListenAddress, LogHandle, Protocol, Readiness, ServerSecurity, Serving,
    Shutdown, Tls, TlsFileMetrics, TlsMetrics, health_service, observability_routes, problems_route,
    reflection_service,
};
use tasks::Tasks;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::Config;
use crate::config::WebhookConfig;
use crate::documents::Documents;
use crate::feed::{FeedService, Inputs, MAX_CLIENTS, publish};
use crate::metrics::{Metrics, ReadAtScrape};
use crate::publication::{HistoryBounds, Publisher};
use crate::status::{StatusSources, status_route};
use crate::webhook::{Rules, Webhook};
use sources::Sources;

/// How far behind a client may be and still get changes instead of everything. A history takes some megabytes at most.
const HISTORY: HistoryBounds = HistoryBounds { changes: 1_000, keys: 100_000 };

/// A server with bound listeners that watches its limits.
pub struct App {
    grpc: GrpcListener,
    feed: FeedService,
    webhook: Option<Webhook>,
    serving: Serving,
    /// Ends the streams.
    streams: CancellationToken,
}

impl App {
    /// Binds the listeners, reads the limits once, and starts watching them.
    ///
    /// # Errors
    /// An address cannot be bound, the files of TLS or the token cannot be used, the Mimir of `--default-limits-url` returns no default limits, the
    /// webhook's certificate is invalid, there is no client for the Kubernetes API, there are no root certificates for an https HA tracker, or a metric
    /// cannot be registered. Bad limits are no error: the server starts, is not ready, and logs why.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let not_after = "overrides_sync_certificate_not_after_timestamp_seconds";
        let tls_metrics = TlsFileMetrics::new(&registry, "overrides_sync_bad_tls_files_total", not_after)?;
        let ServerSecurity { grpc_tls, http_tls, http_token } = config.server.security(&tls_metrics)?;
        let closed = |name| ConnectionCounts::new(&registry, name);
        let http_closed = closed("overrides_sync_http_connections_closed_total")?;
        let http = HttpServer::bind("HTTP", config.http_listen, http_closed)?;
        let http = http.with_tls(http_tls).with_token(http_token);
        let defaults = config.default_limits.clone().resolve_for_server().await?;
        let webhook_closed = closed("overrides_sync_webhook_connections_closed_total")?;
        let of_webhook = tls_metrics.of("webhook_tls");
        let webhook = bind_webhook(&config, &defaults.defaults, of_webhook, &metrics, webhook_closed)?;

        let stop = CancellationToken::new();
        let (stop_sources, tasks) = (stop.clone().drop_guard(), Tasks::new(stop));
        let sources = Sources::start(&config, defaults.defaults, &metrics, &tasks).await?;
        let inputs = publish_limits(&sources, metrics.clone(), readiness.clone(), &tasks);
        let documents = Documents::new(sources.limits.states.clone(), sources.last_read.clone());
        let status = StatusSources::new(&config, &readiness, &inputs, sources.ha_tracker.as_ref(), &metrics);
        let pages = problems_page(defaults.problems, inputs.problems.clone())
            .merge(status_route(status, documents.clone()))
            .merge(page::routes(Program::OverridesSync));
        let streams = CancellationToken::new();
        let feed = FeedService::new(inputs, documents, metrics, streams.clone());
        let grpc_closed = closed("overrides_sync_grpc_connections_closed_total")?;
        let grpc = GrpcListener::bind(&config.grpc_listen, grpc_tls, grpc_closed).await?;

        let Sources { limits, distributors, ha_tracker, watch, last_read: _, cache_faults, cache } = sources;
        let freshness = limits.freshness;
        let read = ReadAtScrape { freshness, ha_tracker, distributors, watch, cache_faults, logs };
        read.register(&registry).context("metrics cannot be registered")?;
        let serving = Serving {
            http,
            routes: observability_routes(registry, readiness.clone()).merge(pages),
            readiness,
            drain_delay: config.server.drain_delay.into(),
            drain_timeout: config.server.drain_timeout.into(),
            tasks,
            sources: stop_sources,
            cache,
        };
        Ok(Self { grpc, feed, webhook, serving, streams })
    }

    /// The address of the feed.
    #[must_use]
    pub fn grpc_address(&self) -> &ListenAddress {
        self.grpc.address()
    }

    /// The address of metrics and probes.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.serving.http.address()
    }

    /// The address of the webhook, if there is one.
    #[must_use]
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().map(Webhook::address)
    }

    /// Serves until `shutdown` asks for a drain, then drains: unhealthy at once, serving for the drain delay, then GOAWAY and the end of all
    /// streams. Metrics and probes are served to the end.
    ///
    /// # Errors
    /// A listener or a task failed, or a second signal came during the drain.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut grpc, feed, webhook, serving, streams } = self;
        let _socket_file = grpc.take_file();
        tracing::info!(grpc = %grpc.address(), http = %serving.http.address(), "serving");
        if let Some(webhook) = &webhook {
            tracing::info!(webhook = %webhook.address(), "the webhook serves");
        }
        let (readiness, service) = (serving.readiness.clone(), feed.clone());
        let serve = move |tasks: Tasks| async move {
            let review = async {
                if let Some(webhook) = webhook {
                    webhook.serve(tasks.clone()).await;
                }
                Ok(())
            };
            let stopped = async {
                tasks.stop().cancelled().await;
                streams.cancel();
            };
            tokio::try_join!(serve_grpc(grpc, service, readiness, &tasks, stopped), review).map(|_| ())
        };
        serving.run(serve, feed.streams_ended(), &shutdown).await
    }
}

/// The webhook, if there is one.
fn bind_webhook(
    config: &Config,
    defaults: &Defaults,
    of_tls: TlsMetrics,
    metrics: &Metrics,
    closed: ConnectionCounts,
) -> anyhow::Result<Option<Webhook>> {
    let Some(WebhookConfig { listen, tls, configmap }) = config.webhook.clone() else { return Ok(None) };
    let tls = Tls::load("the webhook's TLS", tls, Protocol::Http1, of_tls);
    let tls = tls.context("--webhook-tls-cert and --webhook-tls-key")?;
    let (defaults, version) = (defaults.clone(), config.mimir_version.clone());
    let rules = Rules { configmap, defaults, version, allow_empty: config.allow_empty_overrides };
    Ok(Some(Webhook::bind(listen, tls, rules, metrics.clone(), closed)?))
}

/// Publishes the limits until `tasks` are stopped; the first ones make the server ready. Returns the inputs of the feed's clients.
fn publish_limits(sources: &Sources, metrics: Metrics, readiness: Readiness, tasks: &Tasks) -> Inputs {
    let publisher = Publisher::new(rand::random(), HISTORY);
    let (limits, problems) = publish(publisher, sources.limits.clone(), tasks, move |state, published| {
        metrics.set_problems(&state.problems);
        if let Some(published) = published {
            metrics.set_limits(published);
            readiness.set_ready();
        }
    });
    Inputs {
        limits,
        problems,
        freshness: sources.limits.freshness.clone(),
        distributors: sources.distributors.clone(),
        ha_tracker: sources.ha_tracker.as_ref().map(|feed| feed.states.clone()),
    }
}

/// The page of the problems of the default limits and the limits.
fn problems_page(defaults: Vec<Problem>, limits: watch::Receiver<Arc<[Problem]>>) -> Router {
    let defaults: Arc<[Problem]> = defaults.into();
    problems_route(move || [("default_limits", Arc::clone(&defaults)), ("limits", Arc::clone(&limits.borrow()))])
}

/// Connections at once: one for each client, and some for tools such as grpcurl.
const CONNECTIONS: usize = MAX_CLIENTS + 100;
/// Calls at once on a connection. All clients can share one, as behind a proxy; further clients get an error with the reason.
const CONCURRENT_CALLS: u32 = MAX_CLIENTS as u32 + 100;
/// A request holds a version, in five short fields.
const REQUEST_BYTES: usize = 4 << 10;
/// The most headers of a peer; clients need some hundred bytes.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// A client that has disappeared keeps its stream for at most interval and timeout.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// From a call's headers to the first response: bounds the wait for a peer that sends headers and no message.
const FIRST_RESPONSE_WITHIN: Duration = Duration::from_secs(10);

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 2] = ["", "edge.limits.v1.LimitsFeed"];

async fn serve_grpc(
    listener: GrpcListener,
    feed: FeedService,
    readiness: Readiness,
    tasks: &Tasks,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let connections = listener.connections(CONNECTIONS, tasks);
    Server::builder()
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(CONCURRENT_CALLS)
        .timeout(FIRST_RESPONSE_WITHIN)
        .add_service(health_service(readiness, &SERVICES, tasks).await)
        .add_service(LimitsFeedServer::new(feed).max_decoding_message_size(REQUEST_BYTES))
        .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
        .serve_with_incoming_shutdown(connections, stopped)
        .await
        .context("the gRPC side stopped")
}
