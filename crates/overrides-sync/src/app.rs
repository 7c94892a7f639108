//! The life of the server: bind, load limits, serve, drain.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use limits::{LimitsState, Problem};
use limits_source::{
    DistributorsSource, HaTrackerFeed, HaTrackerSource, HaTrackerUrl, KubeClient, ServiceName, Source, SourceExtras,
    SourceSpec,
};
use prometheus::Registry;
use proto::edge::limits::v1::limits_feed_server::LimitsFeedServer;
use runtime::{
    HttpServer, LogHandle, Readiness, Serving, Shutdown, bounded_connections, health_service, listen,
    observability_routes, problems_route, reflection_service,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::config::WebhookConfig;
use crate::feed::{FeedService, Inputs, MOST_CLIENTS, publish};
use crate::metrics::{Metrics, ReadAtScrape};
use crate::publication::{HistoryBounds, Publisher};
use crate::webhook::{Rules, Webhook};
use crate::{Config, events};

/// How far back a client may be and still get what changed instead of everything. A history takes some megabytes at most.
const HISTORY: HistoryBounds = HistoryBounds { changes: 1_000, keys: 100_000 };

/// How long to wait for the default limits of a Mimir: as long as one takes to start.
const DEFAULT_LIMITS_WITHIN: Duration = Duration::from_secs(30);

/// A server whose listeners are bound and whose limits are being watched.
pub struct App {
    grpc: GrpcServer,
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
    /// When an address cannot be bound, the Mimir of `--default-limits-url` gives no default limits, the webhook's certificate cannot be used, there
    /// is no way to a cluster that is to be watched, there are no root certificates for an https HA tracker, or a metric cannot be registered. Bad
    /// limits are no error: the server starts, is not ready, and says why.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let http = HttpServer::bind(config.http_listen).await?;
        let defaults = config.default_limits.resolve(DEFAULT_LIMITS_WITHIN).await?;
        for problem in &defaults.problems {
            tracing::warn!("default limits problem: {problem}");
        }
        let webhook = match config.webhook {
            Some(WebhookConfig { listen, tls, configmap }) => {
                let (defaults, version) = (defaults.defaults.clone(), config.mimir_version.clone());
                let rules = Rules { configmap, defaults, version, allow_empty: config.allow_empty_overrides };
                Some(Webhook::bind(listen, tls, rules, metrics.clone()).await?)
            }
            None => None,
        };
        let stop = CancellationToken::new();
        let sources = stop.clone().drop_guard();

        let ha_tracker = poll_ha_tracker(config.ha_tracker_url, stop.clone())?;
        let kube = kube_client(&config.limits, config.distributor_service.as_ref()).await?;
        let distributors = count_distributors(kube.as_ref(), config.distributor_service, stop.clone());
        let state = LimitsState::new(defaults.defaults, config.allow_empty_overrides).of_version(config.mimir_version);
        let source =
            config.limits.start(state, config.limits_cache, kube.clone(), stop.clone()).await.context("--limits")?;
        let Source { limits: source, extras, cache_faults, cache } = source;
        let watch = match extras {
            SourceExtras::ConfigMap { counts, names } => {
                if let Some(client) = kube.filter(|_| config.events) {
                    events::start(client, names, source.states.clone(), metrics.clone(), stop.clone());
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
        let grpc = GrpcServer::bind(config.grpc_listen, feed.clone(), metrics).await?;

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
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            sources,
            cache,
        };
        Ok(Self { grpc, feed, webhook, serving, streams })
    }

    /// Where mimir-rls pulls limits from.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.serving.http.address()
    }

    /// Where the API server sends changes for review, if there is a webhook.
    #[must_use]
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().map(Webhook::address)
    }

    /// Serves until `shutdown` asks for a drain, then drains: unhealthy at once, serving for the drain delay, then GOAWAY and the end of all
    /// streams. Metrics and probes are served to the end.
    ///
    /// # Errors
    /// When a listener fails, or when a second signal cut the drain short.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { grpc, feed, webhook, serving, streams } = self;
        tracing::info!(grpc = %grpc.address(), http = %serving.http.address(), "serving");
        if let Some(webhook) = &webhook {
            tracing::info!(webhook = %webhook.address(), "the webhook serves");
        }
        let readiness = serving.readiness.clone();
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
            tokio::try_join!(grpc.serve(readiness, stop.clone()), review).map(|_| ())
        };
        serving.run(serve, feed.streams_ended(), &shutdown).await
    }
}

/// The client of the cluster, where something of it is watched.
async fn kube_client(limits: &SourceSpec, service: Option<&ServiceName>) -> anyhow::Result<Option<KubeClient>> {
    let flag = match (limits, service) {
        (SourceSpec::Kube(_), _) => "--limits",
        (_, Some(_)) => "--distributor-service",
        _ => return Ok(None),
    };
    Ok(Some(KubeClient::infer().await.context(flag)?))
}

fn count_distributors(
    kube: Option<&KubeClient>,
    service: Option<ServiceName>,
    stop: CancellationToken,
) -> watch::Receiver<Option<NonZeroU32>> {
    match (kube, service) {
        (Some(client), Some(service)) => DistributorsSource::new(client.clone(), service).start(stop),
        _ => watch::channel(None).1,
    }
}

/// Does not wait for the first answer.
fn poll_ha_tracker(url: Option<HaTrackerUrl>, stop: CancellationToken) -> anyhow::Result<Option<HaTrackerFeed>> {
    let source = url.map(HaTrackerSource::new).transpose().context("--ha-tracker-url")?;
    Ok(source.map(|source| source.start(stop)))
}

/// Connections at once: a client has one, and tools such as grpcurl are let in beside a full house.
const CONNECTIONS: usize = MOST_CLIENTS + 100;
/// Calls at once on a connection. All clients fit through one, as they come where a proxy is between; one more is told why it is refused.
const CONCURRENT_CALLS: u32 = MOST_CLIENTS as u32 + 100;
/// A client says a version, in five short fields.
const REQUEST_BYTES: usize = 4 << 10;
/// What a peer may send as headers; ours need some hundred bytes.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// A client that is gone without a word keeps its stream for at most both.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// From a call's headers to the first answer: what sends a request's headers and no request is not waited for.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 2] = ["", "edge.limits.v1.LimitsFeed"];

struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    feed: FeedService,
    metrics: Metrics,
}

impl GrpcServer {
    /// Binds `address`.
    async fn bind(address: SocketAddr, feed: FeedService, metrics: Metrics) -> anyhow::Result<Self> {
        let (listener, address) = listen("gRPC", address).await?;
        Ok(Self { listener, address, feed, metrics })
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn serve(self, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
        let metrics = self.metrics;
        let connections = bounded_connections(self.listener, CONNECTIONS, move || metrics.connections_refused.inc());
        Server::builder()
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(CONCURRENT_CALLS)
            .timeout(FIRST_ANSWER_WITHIN)
            .add_service(health_service(readiness, &SERVICES).await)
            .add_service(LimitsFeedServer::new(self.feed).max_decoding_message_size(REQUEST_BYTES))
            .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
            .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
            .await
            .context("the gRPC side stopped")
    }
}
