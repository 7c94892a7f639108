//! The life of the server: bind, load limits, serve, drain.

mod grpc;
mod sources;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use limits::{LimitsState, Problem};
use limits_source::{Beside, Freshness, HaTrackerFeed, Source, WatchCounts};
use prometheus::Registry;
use runtime::{HttpServer, LogHandle, Readiness, Serving, Shutdown, observability_routes, problems_route};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Config;
use crate::events::{self, EventCounts};
use crate::feed::{FeedService, Inputs, publish};
use crate::metrics::{Counted, Metrics};
use crate::publication::{HistoryBounds, Publisher};
use crate::webhook::{Webhook, WebhookCounts};
use grpc::GrpcServer;

/// How far back a client may be and still get what changed instead of everything. A history takes some megabytes at most.
const HISTORY: HistoryBounds = HistoryBounds { changes: 1_000, keys: 100_000 };

/// How long a Mimir is asked for its default limits: as long as one takes to start.
const ASK_MIMIR_FOR: Duration = Duration::from_secs(30);

/// A server whose listeners are bound and whose limits are being watched.
pub struct App {
    grpc: GrpcServer,
    feed: FeedService,
    webhook: Option<Webhook>,
    http: HttpServer,
    routes: Router,
    readiness: Readiness,
    cache: Option<JoinHandle<()>>,
    drain_delay: Duration,
    drain_timeout: Duration,
    /// Ends the streams.
    streams: CancellationToken,
    /// Ends everything that is watched: after the drain, since clients are told what changes until then.
    sources: DropGuard,
}

impl App {
    /// Binds the listeners, reads the limits once, and starts watching them.
    ///
    /// # Errors
    /// When an address cannot be bound, the Mimir of `--default-limits-url` gives no default limits, the webhook's certificate cannot be used, there is a ConfigMap to watch and no way to a cluster, there are no
    /// certificates to ask an HA tracker by, or a metric cannot be registered. Bad limits are no error: the server starts, is not ready, and says
    /// why.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let http = HttpServer::bind(config.http_listen).await?;
        let reviews = Arc::new(WebhookCounts::default());
        let defaults = config.default_limits.resolve(ASK_MIMIR_FOR).await?;
        for problem in &defaults.problems {
            tracing::warn!("default limits problem: {problem}");
        }
        let judged_by = (&defaults.defaults, config.mimir_version.clone(), config.allow_empty_overrides);
        let webhook = sources::webhook(config.webhook, judged_by, Arc::clone(&reviews)).await?;
        let stop = CancellationToken::new();
        let sources = stop.clone().drop_guard();

        let ha_tracker = sources::ha_tracker(config.ha_tracker_url, stop.clone())?;
        let kube = sources::kube(&config.limits, config.distributor_service.as_ref()).await?;
        let distributors = sources::distributors(kube.as_ref(), config.distributor_service, stop.clone());
        let state = LimitsState::new(defaults.defaults, config.allow_empty_overrides).of_version(config.mimir_version);
        let source =
            config.limits.start(state, config.limits_cache, kube.clone(), stop.clone()).await.context("--limits")?;
        let Source { limits: source, beside, cache_faults, cache } = source;

        let told = Arc::new(EventCounts::default());
        let watch = match beside {
            Beside::Watch { counts, names } => {
                if let Some(client) = kube.filter(|_| config.events) {
                    events::start(client, names, source.states.clone(), Arc::clone(&told), stop.clone());
                }
                Some(counts)
            }
            Beside::Nothing | Beside::Feed(_) => None,
        };
        let freshness = source.freshness.clone();
        let publisher = Publisher::new(rand::random(), HISTORY);
        let (shown, ready) = (metrics.clone(), readiness.clone());
        let (limits, problems) = publish(publisher, source, stop, move |state, published| {
            shown.show_problems(&state.problems);
            if let Some(published) = published {
                shown.show_limits(published);
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
        let grpc = GrpcServer::bind(config.grpc_listen, feed.clone(), metrics.clone()).await?;

        let default_problems: Arc<[Problem]> = defaults.problems.into();
        let pages = problems_route(move || {
            [("default_limits", Arc::clone(&default_problems)), ("limits", Arc::clone(&problems.borrow()))]
        });
        let counters = Counters { freshness, ha_tracker, distributors, watch, told, reviews, cache_faults, logs };
        let refresh = move || metrics.refresh(counters.read());
        let routes = observability_routes(registry, readiness.clone(), refresh).merge(pages);
        Ok(Self {
            grpc,
            feed,
            webhook,
            http,
            routes,
            readiness,
            cache,
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            streams,
            sources,
        })
    }

    /// Where mimir-rls pulls limits from.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where the API server asks, if there is a webhook.
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
        tracing::info!(grpc = %self.grpc.address(), http = %self.http.address(), "serving");
        if let Some(webhook) = &self.webhook {
            tracing::info!(webhook = %webhook.address(), "the webhook serves");
        }
        let (readiness, streams, grpc, webhook) = (self.readiness.clone(), self.streams, self.grpc, self.webhook);
        let serving = Serving {
            http: self.http,
            routes: self.routes,
            readiness: self.readiness,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
        };
        let serve = move |stop: CancellationToken| async move {
            let end_streams = stop.clone();
            tokio::spawn(async move {
                end_streams.cancelled().await;
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
        serving.run(serve, self.feed.streams_ended(), &shutdown).await?;
        drop(self.sources);
        if let Some(cache) = self.cache {
            // Its only error is a panic, which was shown.
            drop(cache.await);
        }
        Ok(())
    }
}

/// What is counted where it happens, and read when Prometheus asks.
#[derive(Clone)]
struct Counters {
    freshness: Freshness,
    ha_tracker: Option<HaTrackerFeed>,
    distributors: watch::Receiver<Option<NonZeroU32>>,
    watch: Option<Arc<WatchCounts>>,
    told: Arc<EventCounts>,
    reviews: Arc<WebhookCounts>,
    cache_faults: Arc<AtomicU64>,
    logs: LogHandle,
}

impl Counters {
    fn read(&self) -> Counted {
        let tracker = self.ha_tracker.as_ref();
        Counted {
            stale: self.freshness.age(),
            polls_answered: tracker.map_or(0, |feed| feed.polls.answered()),
            polls_failed: tracker.map_or(0, |feed| feed.polls.failed()),
            pairs: tracker.and_then(|feed| feed.states.borrow().elected.as_ref().map(|list| list.len())).unwrap_or(0),
            distributors: self.distributors.borrow().map_or(0, NonZeroU32::get),
            watch_restarts: self.watch.as_ref().map_or(0, |counts| counts.restarts()),
            configmap_deletions: self.watch.as_ref().map_or(0, |counts| counts.deletions()),
            events: self.told.by_result(),
            reviews: self.reviews.by_answer(),
            bad_certificates: self.reviews.bad_certificates(),
            cache_errors: self.cache_faults.load(Ordering::Relaxed),
            log_lines_dropped: self.logs.dropped_lines(),
        }
    }
}
