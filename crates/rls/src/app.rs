//! The life of the server: bind, load limits, serve, drain.

mod calls;
mod grpc;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use limits::{LimitsState, Mode};
use limits_source::{FileSource, LimitsFeed, SourceSpec};
use prometheus::Registry;
use runtime::{HttpServer, Readiness, Shutdown, observability_routes};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::admission::{Admission, Budget, ModeOf};
use crate::decide::Decider;
use crate::envoy::CheckService;
use crate::limits_in_force::LimitsInForce;
use crate::metrics::Metrics;
use calls::Calls;
use grpc::GrpcServer;

/// How often tenants with full buckets are forgotten.
const EVICT_EVERY: Duration = Duration::from_secs(60);
/// How long the last answers of a drain get to leave, once no call is in flight and only idle connections may be left.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A server whose listeners are bound and whose limits are being watched.
pub struct App {
    grpc: GrpcServer,
    calls: Calls,
    http: HttpServer,
    routes: Router,
    readiness: Readiness,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl App {
    /// Binds both listeners, reads the limits once, and starts watching them until `shutdown` asks for a drain.
    ///
    /// # Errors
    /// When an address cannot be bound or a metric cannot be registered. Bad limits are no error: the server starts, is not ready, and says why.
    pub async fn build(config: Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).context("metrics cannot be registered")?;
        let readiness = Readiness::default();
        let http = HttpServer::bind(config.http_listen).await?;
        let limits = LimitsInForce::default();
        let decider = Arc::new(Decider::new(limits.clone(), config.bodies));
        let service = CheckService::new(Arc::clone(&decider), metrics.clone());
        let calls = Calls::new(metrics.clone());
        let budget = Budget::new(config.max_in_flight_bytes);
        let admission = Admission::new(Arc::clone(&budget), config.bodies, mode_by(limits.clone()), metrics.clone());
        let grpc = GrpcServer::bind(config.grpc_listen, service, admission, calls.clone(), metrics.clone()).await?;

        for problem in &config.default_problems {
            tracing::warn!("default limits problem: {problem}");
        }
        let stop = shutdown.drain.clone();
        let state = LimitsState::new(config.default_limits, config.allow_empty_overrides);
        let feed = start_source(config.limits, state, stop.clone()).await;
        let freshness = feed.freshness.clone();
        let (shown, ready) = (metrics.clone(), readiness.clone());
        tokio::spawn(limits.follow(feed, stop.clone(), move |state| {
            shown.show_limits(state);
            if state.limits.is_some() {
                ready.set_ready();
            }
        }));
        tokio::spawn(evict_idle_tenants(Arc::clone(&decider), metrics.clone(), stop));
        let refresh = move || {
            metrics.refresh(decider.enforcer(), &freshness);
            metrics.show_budget(&budget);
        };
        let routes = observability_routes(registry, readiness.clone(), refresh);
        Ok(Self {
            grpc,
            calls,
            http,
            routes,
            readiness,
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
        })
    }

    /// Where Envoy asks.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Serves until `shutdown` asks for a drain, then drains: unhealthy at once, accepting for the drain delay, then GOAWAY and the calls in
    /// flight. Metrics and probes are served to the end.
    ///
    /// # Errors
    /// When a listener fails, or when a second signal cut the drain short.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        tracing::info!(grpc = %self.grpc.address(), http = %self.http.address(), "serving");
        let (grpc_stop, http_stop) = (CancellationToken::new(), CancellationToken::new());
        let mut http = tokio::spawn(self.http.serve(self.routes, http_stop.clone()));
        let mut grpc = tokio::spawn(self.grpc.serve(self.readiness.clone(), grpc_stop.clone()));
        tokio::select! {
            () = shutdown.drain.cancelled() => {}
            ended = &mut http => return Err(ended_early(ended, "HTTP")),
            ended = &mut grpc => return Err(ended_early(ended, "gRPC")),
        }
        self.readiness.set_draining();
        tracing::info!(delay = ?self.drain_delay, timeout = ?self.drain_timeout, "draining");
        let drain = async {
            sleep(self.drain_delay).await;
            grpc_stop.cancel();
            timeout(self.drain_timeout, last_call(&mut grpc, &self.calls)).await
        };
        tokio::select! {
            drained = drain => match drained {
                Ok(()) => tracing::info!("drained"),
                Err(_) => tracing::warn!(timeout = ?self.drain_timeout, "calls were still in flight at the end of the drain"),
            },
            () = shutdown.abort.cancelled() => bail!("stopped by a second signal before the drain was over"),
        }
        http_stop.cancel();
        Ok(())
    }
}

/// The mode of a tenant, or of pushes whose tenant is not known, by the limits in force.
fn mode_by(limits: LimitsInForce) -> ModeOf {
    Arc::new(move |tenant| match (limits.load(), tenant) {
        (Some(snapshot), Some(tenant)) => snapshot.for_tenant(tenant).tenant.mode,
        (Some(snapshot), None) => snapshot.defaults().mode,
        (None, _) => Mode::Enforce,
    })
}

/// Waits until the last call has its answer. A peer that only holds a connection open is not waited for.
async fn last_call(grpc: &mut JoinHandle<anyhow::Result<()>>, calls: &Calls) {
    let idle = async {
        calls.ended().await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = grpc => {}
        () = idle => {}
    }
}

fn ended_early(ended: Result<anyhow::Result<()>, JoinError>, side: &str) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("the {side} side ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => anyhow!("the {side} side failed: {error}"),
    }
}

async fn start_source(spec: SourceSpec, state: LimitsState, stop: CancellationToken) -> LimitsFeed {
    match spec {
        SourceSpec::File(path) => FileSource::new(path, state).start(stop).await,
    }
}

async fn evict_idle_tenants(decider: Arc<Decider>, metrics: Metrics, stop: CancellationToken) {
    let mut ticks = interval(EVICT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let decider = Arc::clone(&decider);
        if let Ok(evicted) = tokio::task::spawn_blocking(move || decider.evict_idle()).await {
            metrics.evicted(evicted);
        }
    }
}
