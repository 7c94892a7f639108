//! The life of the server: bind, load limits, serve, drain.

mod calls;
mod grpc;
mod sources;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use edge::{Budget, Clock, ControlWriter, DecodePool, HaTracker, Pipeline, Recorder};
use limits::{ControlState, LimitsState};
use limits_source::{
    DefaultLimits, DefaultLimitsSource, EdgeControl, Source, SourceExtras, SourceSpec, poll_ha_tracker,
};
use prometheus::Registry;
use runtime::{HttpServer, LogHandle, Readiness, Serving, Shutdown, observability_routes};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::admin::Admin;
use crate::envoy::{CheckService, RateLimits};
use crate::metrics::{Metrics, ReadAtScrape};
use calls::Calls;
use grpc::{GrpcServer, Services};
use sources::ControlSources;

/// How long a Mimir is asked for its default limits: as long as one takes to start. A start without them would limit every tenant without an
/// override by limits that its operator did not choose.
const ASK_MIMIR_FOR: Duration = Duration::from_secs(30);
/// How often tenants with full buckets, and what is kept of idle ones, are forgotten.
const EVICT_IDLE_EVERY: Duration = Duration::from_secs(60);
/// The same where new tenants find no place.
const MAKE_ROOM_EVERY: Duration = Duration::from_secs(2);

/// A server whose listeners are bound and whose limits are being watched.
pub struct App {
    grpc: GrpcServer,
    calls: Calls,
    recorder: Recorder,
    serving: Serving,
}

impl App {
    /// Binds both listeners, reads the edge config and the limits once, and starts following them. `logs` is what the admin API changes the log
    /// level of.
    ///
    /// # Errors
    /// When an address cannot be bound, the Mimir of `--default-limits-url` gives no default limits, the audit log cannot be opened, there are no certificates to ask an HA tracker by, or a metric cannot
    /// be registered. Bad limits are no error: the server starts, is not ready, and says why. Nor is a bad edge config: it starts with everybody
    /// in shadow.
    pub async fn build(config: Config, logs: LogHandle) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let http = HttpServer::bind("HTTP", config.http_listen).await?;
        let recorder = Recorder::new(config.audit_log, &registry).context("--audit-log")?;

        let defaults = default_limits(config.default_limits, config.default_limits_given).await?;
        metrics.default_limits_given.set(config.default_limits_given.into());
        let stop = CancellationToken::new();
        let sources = stop.clone().drop_guard();
        let edge = sources::edge_config(config.edge_config, stop.clone()).await;
        let own_tracker = config.ha_tracker_url.map(|url| poll_ha_tracker(url, stop.clone())).transpose();
        let own_tracker = own_tracker.context("--ha-tracker-url")?;
        let is_asked = own_tracker.is_some() || matches!(config.limits, SourceSpec::Feed(_));
        let (mut writer, control) =
            ControlWriter::new(Arc::clone(&edge.borrow().config), HaTracker { is_asked, has_list: false });
        writer.put_distributors(config.distributors);
        let pool = DecodePool::start(config.policy.bodies.limits, config.reading_threads)
            .context("decoding threads cannot be started")?;
        let pipeline = Arc::new(Pipeline::new(control.clone(), config.policy, Some(pool), Clock::start()));
        let calls = Calls::new(metrics.clone());
        let budget = Budget::new(config.max_in_flight_bytes);
        let services = Services {
            check: CheckService::new(Arc::clone(&pipeline), recorder.clone()),
            rate_limits: RateLimits::new(Arc::clone(&pipeline), recorder.clone(), metrics.clone()),
            budget: Arc::clone(&budget),
            bodies: config.policy.bodies,
            control: control.clone(),
            recorder: recorder.clone(),
        };
        let grpc = GrpcServer::bind(config.grpc_listen, services, calls.clone(), metrics.clone()).await?;

        let state = LimitsState::new(defaults.defaults, config.allow_empty_overrides).of_version(config.mimir_version);
        let source = config.limits.start(state, config.limits_cache, None, stop.clone()).await.context("--limits")?;
        let Source { limits, extras, cache_faults, cache } = source;
        let mut control_sources = ControlSources::new(&limits, &edge, &extras, own_tracker.as_ref());
        let tracker = match (own_tracker, &extras) {
            (None, SourceExtras::Feed(feed)) => Some(feed.ha_tracker.clone()),
            (own, _) => own,
        };
        let admin = Admin {
            pipeline: Arc::clone(&pipeline),
            recorder: recorder.clone(),
            default_problems: defaults.problems.into(),
            limits: limits.states.clone(),
            edge: edge.clone(),
            logs: logs.clone(),
            budget: Arc::clone(&budget),
            max_request_bytes: config.policy.bodies.max_request_bytes,
        };
        let changed_limits = {
            let (metrics, readiness, pipeline) = (metrics.clone(), readiness.clone(), Arc::clone(&pipeline));
            move |state: &ControlState| {
                metrics.set_limits(state);
                if let Some(limits) = &state.limits {
                    pipeline.enforcer().keep_places_for(Arc::clone(limits));
                    readiness.set_ready();
                }
            }
        };
        let changed_edge = move |edge: &EdgeControl| metrics.set_edge_config(edge);
        control_sources.apply_first(&mut writer, &changed_limits, &changed_edge).await;
        tokio::spawn(control_sources.follow(writer, stop.clone(), changed_limits, changed_edge));
        tokio::spawn(evict_idle(Arc::clone(&pipeline), recorder.clone(), stop));
        let read = ReadAtScrape {
            pipeline,
            control,
            budget,
            freshness: limits.freshness,
            extras,
            ha_tracker: tracker,
            cache_faults,
            logs,
        };
        read.register(&registry).context("metrics cannot be registered")?;
        let serving = Serving {
            http,
            routes: observability_routes(registry, readiness.clone()).merge(admin.routes()),
            readiness,
            drain_delay: config.server.drain_delay.into(),
            drain_timeout: config.server.drain_timeout.into(),
            sources,
            cache,
        };
        Ok(Self { grpc, calls, recorder, serving })
    }

    /// Where Envoy asks.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.serving.http.address()
    }

    /// Serves until `shutdown` asks for a drain, then drains: unhealthy at once, accepting for the drain delay, then GOAWAY and the calls in
    /// flight. Limits, edge config, distributors and elections are followed to the last call; metrics and probes are served to the end.
    ///
    /// # Errors
    /// When a listener fails, or when a second signal cut the drain short.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { grpc, calls, recorder, serving } = self;
        tracing::info!(grpc = %grpc.address(), http = %serving.http.address(), "serving");
        let readiness = serving.readiness.clone();
        serving.run(move |stop| grpc.serve(readiness, stop), calls.ended(), &shutdown).await?;
        // Its only error is a panic, which was shown.
        drop(tokio::task::spawn_blocking(move || recorder.finish()).await);
        Ok(())
    }
}

/// The default limits, with a log line for all that is wrong with them.
///
/// That no flag says what they are is no problem of a document, and no problem that is counted: where Mimir has its built-in limits it would be counted
/// for ever. A log line and a gauge of its own say it.
async fn default_limits(source: DefaultLimitsSource, given: bool) -> anyhow::Result<DefaultLimits> {
    let defaults = source.resolve(ASK_MIMIR_FOR).await?;
    for problem in &defaults.problems {
        tracing::warn!("default limits problem: {problem}");
    }
    if !given {
        let problem = DefaultLimits::not_given();
        tracing::warn!(code = problem.code.id(), "{problem}");
    }
    Ok(defaults)
}

/// Forgets what has become idle, once a minute, and more often where there is no room for new tenants.
async fn evict_idle(pipeline: Arc<Pipeline>, recorder: Recorder, stop: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + MAKE_ROOM_EVERY, MAKE_ROOM_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if last.elapsed() < EVICT_IDLE_EVERY && !pipeline.enforcer().is_full() {
            continue;
        }
        last = Instant::now();
        let (pipeline, recorder) = (Arc::clone(&pipeline), recorder.clone());
        // Its only error is a panic, which was shown.
        drop(
            tokio::task::spawn_blocking(move || {
                recorder.evict_idle();
                recorder.evicted(pipeline.evict_idle());
            })
            .await,
        );
    }
}
