//! The server: bind, load limits, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use limits::{LimitsState, Problem};
use limits_source::{
    KubeClient, NamespacedName, Source, SourceExtras, SourceSpec, count_distributors, poll_ha_tracker,
};
use prometheus::Registry;
use proto::edge::limits::v1::limits_feed_server::LimitsFeedServer;
use runtime::{
    ConnectionCounts, GrpcListener, HttpServer, ListenAddress, LogHandle, Readiness, ServerSecurity, Serving, Shutdown,
    health_service, observability_routes, problems_route, reflection_service,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::config::WebhookConfig;
use crate::feed::{FeedService, Inputs, MOST_CLIENTS, publish};
use crate::metrics::{Metrics, ReadAtScrape};
use crate::publication::{HistoryBounds, Publisher};
use crate::webhook::{Rules, Webhook};
use crate::{Config, events};

/// How far behind a client may be and still get changes instead of everything. A history takes some megabytes at most.
const HISTORY: HistoryBounds = HistoryBounds { changes: 1_000, keys: 100_000 };

/// How long to wait for the default limits of a Mimir: as long as it takes to start.
const DEFAULT_LIMITS_WITHIN: Duration = Duration::from_secs(30);

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
    /// An address cannot be bound, the files of TLS or the token cannot be used, the Mimir of `--default-limits-url` returns no default limits, the webhook's certificate is invalid, there is no client
    /// for the Kubernetes API, there are no root certificates for an https HA tracker, or a metric cannot be registered. Bad limits are no error: the server
    /// starts, is not ready, and logs why.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let security = config.server.security(&registry, "overrides_sync_bad_tls_files_total")?;
        let ServerSecurity { grpc_tls, http_tls, http_token } = security;
        let closed = |name| ConnectionCounts::new(&registry, name);
        let http_closed = closed("overrides_sync_http_connections_closed_total")?;
        let http = HttpServer::bind("HTTP", config.http_listen, http_closed)?;
        let http = http.with_tls(http_tls).with_token(http_token);
        let defaults = config.default_limits.resolve(DEFAULT_LIMITS_WITHIN).await?;
        for problem in &defaults.problems {
            tracing::warn!("default limits problem: {problem}");
        }
        let webhook_closed = closed("overrides_sync_webhook_connections_closed_total")?;
        let webhook = match config.webhook {
            Some(WebhookConfig { listen, tls, configmap }) => {
                let (defaults, version) = (defaults.defaults.clone(), config.mimir_version.clone());
                let rules = Rules { configmap, defaults, version, allow_empty: config.allow_empty_overrides };
                Some(Webhook::bind(listen, tls, rules, metrics.clone(), webhook_closed)?)
            }
            None => None,
        };
        let stop = CancellationToken::new();
        let sources = stop.clone().drop_guard();

        let ha_tracker = config.ha_tracker_url.map(|url| poll_ha_tracker(url, stop.clone())).transpose();
        let ha_tracker = ha_tracker.context("--ha-tracker-url")?;
        let kube = kube_client(&config.limits, config.distributor_service.as_ref()).await?;
        let distributors = match (&kube, config.distributor_service) {
            (Some(client), Some(service)) => count_distributors(client.clone(), service, stop.clone()),
            _ => watch::channel(None).1,
        };
        let state = LimitsState::new(defaults.defaults, config.allow_empty_overrides).of_version(config.mimir_version);
        let source =
            config.limits.start(state, config.limits_cache, kube.clone(), stop.clone()).await.context("--limits")?;
        let Source { limits: source, extras, cache_faults, cache } = source;
        let watch = match extras {
            SourceExtras::ConfigMap { counts, last_read } => {
                if let Some(client) = kube.filter(|_| config.events) {
                    events::start(client, last_read, source.states.clone(), metrics.clone(), stop.clone());
                }
                Some(counts)
            }
            SourceExtras::None | SourceExtras::Feed(_) => None,
        };

        let freshness = source.freshness.clone();
        let (on_state, ready) = (metrics.clone(), readiness.clone());
        let (limits, problems) =
            publish(Publisher::new(rand::random(), HISTORY), source, stop, move |state, published| {
                on_state.set_problems(&state.problems);
                if let Some(published) = published {
                    on_state.set_limits(published);
                    ready.set_ready();
                }
            });
        let inputs = Inputs {
            limits,
            problems: problems.clone(),
            freshness: freshness.clone(),
            distributors: distributors.clone(),
            ha_tracker: ha_tracker.as_ref().map(|feed| feed.states.clone()),
        };
        let streams = CancellationToken::new();
        let feed = FeedService::new(inputs, metrics.clone(), streams.clone());
        let grpc_closed = closed("overrides_sync_grpc_connections_closed_total")?;
        let grpc = GrpcListener::bind(&config.grpc_listen, grpc_tls, grpc_closed).await?;

        let default_problems: Arc<[Problem]> = defaults.problems.into();
        let pages = problems_route(move || {
            [("default_limits", Arc::clone(&default_problems)), ("limits", Arc::clone(&problems.borrow()))]
        });
        let read = ReadAtScrape { freshness, ha_tracker, distributors, watch, cache_faults, logs };
        read.register(&registry).context("metrics cannot be registered")?;
        let serving = Serving {
            http,
            routes: observability_routes(registry, readiness.clone()).merge(pages),
            readiness,
            drain_delay: config.server.drain_delay.into(),
            drain_timeout: config.server.drain_timeout.into(),
            sources,
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
    /// A listener failed, or a second signal came during the drain.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut grpc, feed, webhook, serving, streams } = self;
        let _socket_file = grpc.take_file();
        tracing::info!(grpc = %grpc.address(), http = %serving.http.address(), "serving");
        if let Some(webhook) = &webhook {
            tracing::info!(webhook = %webhook.address(), "the webhook serves");
        }
        let (readiness, service) = (serving.readiness.clone(), feed.clone());
        let serve = move |stop: CancellationToken| async move {
            let draining = stop.clone();
            tokio::spawn(async move {
                draining.cancelled().await;
                streams.cancel();
            });
            let review = async {
                if let Some(webhook) = webhook {
                    webhook.serve(stop.clone()).await;
                }
                Ok(())
            };
            tokio::try_join!(serve_grpc(grpc, service, readiness, stop.clone()), review).map(|_| ())
        };
        serving.run(serve, feed.streams_ended(), &shutdown).await
    }
}

/// The client of the Kubernetes API, if anything in a cluster is watched.
async fn kube_client(limits: &SourceSpec, service: Option<&NamespacedName>) -> anyhow::Result<Option<KubeClient>> {
    let flag = match (limits, service) {
        (SourceSpec::Kube(_), _) => "--limits",
        (_, Some(_)) => "--distributor-service",
        _ => return Ok(None),
    };
    Ok(Some(KubeClient::new(None).await.context(flag)?))
}

/// Connections at once: one for each client, and some for tools such as grpcurl.
const CONNECTIONS: usize = MOST_CLIENTS + 100;
/// Calls at once on a connection. All clients can share one, as behind a proxy; further clients get an error with the reason.
const CONCURRENT_CALLS: u32 = MOST_CLIENTS as u32 + 100;
/// A request holds a version, in five short fields.
const REQUEST_BYTES: usize = 4 << 10;
/// The most headers of a peer; clients need some hundred bytes.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// A client that has disappeared keeps its stream for at most interval and timeout.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// From a call's headers to the first response: bounds the wait for a peer that sends headers and no message.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 2] = ["", "edge.limits.v1.LimitsFeed"];

async fn serve_grpc(
    listener: GrpcListener,
    feed: FeedService,
    readiness: Readiness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let connections = listener.connections(CONNECTIONS, stop.clone());
    Server::builder()
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(CONCURRENT_CALLS)
        .timeout(FIRST_ANSWER_WITHIN)
        .add_service(health_service(readiness, &SERVICES).await)
        .add_service(LimitsFeedServer::new(feed).max_decoding_message_size(REQUEST_BYTES))
        .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
        .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
        .await
        .context("the gRPC side stopped")
}
