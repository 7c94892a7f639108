//! What the parts of a server share: the pipeline, its control state, and what records it.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use bytes::Bytes;
use edge::{
    BodyPolicy, Budget, Clock, ControlHandle, ControlWriter, DecodePool, Edge, Pipeline, Recorder, close_seconds,
    evict_idle,
};
use edge_sources::ControlSources;
use limits::{LoadedLimits, Problem};
use limits_source::{HaTrackerFeed, LoadedEdgeConfig, Source, SourceExtras};
use prometheus::Registry;
use runtime::{LogHandle, Readiness, Setting};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Config;
use crate::admin::{Admin, Peers, RequestBounds, StatusSources};
use crate::metrics::{Metrics, ReadAtScrape};
use crate::traces::Traces;

pub(super) struct Shared {
    pub(super) edge: Edge,
    pub(super) control: ControlHandle,
    pub(super) bodies: BodyPolicy,
    pub(super) budget: Arc<Budget>,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) default_tenant: Option<Bytes>,
    pub(super) traces: Option<Traces>,
    default_limits_given: bool,
    source: Arc<str>,
    settings: Arc<[Setting]>,
    started: SystemTime,
    peers: Peers,
}

impl Shared {
    pub(super) fn new(
        config: &Config,
        control: ControlHandle,
        recorder: Recorder,
        metrics: Metrics,
        traces: Option<Traces>,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let bodies = config.policy.bodies;
        let pool = DecodePool::start(bodies.limits, config.decode_threads, tasks);
        let pool = pool.context("decoding threads cannot be started")?;
        let pipeline = Arc::new(Pipeline::new(control.clone(), config.policy, Some(pool), Clock::start()));
        let (budget, readiness) = (Budget::new(config.max_in_flight_bytes), Readiness::default());
        let default_tenant = config.default_tenant.clone();
        let edge = Edge::new(pipeline, recorder);
        let (source, settings) = (config.limits_text.as_str().into(), Arc::clone(&config.server.settings));
        let (default_limits_given, started) = (config.default_limits_given, SystemTime::now());
        Ok(Self {
            edge,
            control,
            bodies,
            budget,
            metrics,
            readiness,
            default_tenant,
            traces,
            default_limits_given,
            source,
            settings,
            started,
            peers: config.peers.clone(),
        })
    }

    /// Applies what the sources have loaded, and starts the tasks that apply their changes, evict idle tenants, and keep the usage of tenants.
    pub(super) async fn follow(&self, mut sources: ControlSources, mut writer: ControlWriter, tasks: &Tasks) {
        let (metrics, readiness) = (self.metrics.clone(), self.readiness.clone());
        let limits_changed = move |loaded: &LoadedLimits| {
            metrics.set_limits(loaded);
            if loaded.limits.is_some() {
                readiness.set_ready();
            }
        };
        let metrics = self.metrics.clone();
        let edge_changed = move |edge: &LoadedEdgeConfig| metrics.set_edge_config(edge);
        sources.apply_first(&mut writer, &limits_changed, &edge_changed).await;
        tasks.spawn("control state", sources.follow(writer, limits_changed, edge_changed));
        let evict_idle = evict_idle(Arc::clone(self.edge.pipeline()), self.edge.recorder().clone());
        tasks.spawn("eviction", evict_idle);
        tasks.spawn("usage", close_seconds(self.edge.recorder().clone()));
    }

    pub(super) fn admin(
        &self,
        default_problems: Vec<Problem>,
        Source { limits, extras, .. }: &Source,
        own_tracker: Option<&HaTrackerFeed>,
        edge: &watch::Receiver<LoadedEdgeConfig>,
        logs: LogHandle,
    ) -> Admin {
        let status = StatusSources {
            source: Arc::clone(&self.source),
            started: self.started,
            freshness: limits.freshness.clone(),
            extras: extras.clone(),
            ha_tracker: ha_tracker_of(own_tracker, extras),
            readiness: self.readiness.clone(),
            settings: Arc::clone(&self.settings),
        };
        Admin {
            pipeline: Arc::clone(self.edge.pipeline()),
            recorder: self.edge.recorder().clone(),
            default_problems: default_problems.into(),
            limits: limits.states.clone(),
            edge: edge.clone(),
            logs,
            budget: Arc::clone(&self.budget),
            max_request_bytes: self.bodies.max_request_bytes,
            default_tenant: self.default_tenant.clone(),
            bounds: RequestBounds::default(),
            names: Arc::default(),
            default_limits_given: self.default_limits_given,
            status,
            peers: self.peers.clone(),
        }
    }

    /// Registers the metrics that are read at each scrape. Returns the task that writes the limits cache.
    pub(super) fn register_at_scrape(
        &self,
        Source { limits, distributors: _, extras, cache_faults, cache }: Source,
        own_tracker: Option<HaTrackerFeed>,
        logs: LogHandle,
        registry: &Registry,
    ) -> anyhow::Result<Option<JoinHandle<()>>> {
        let ha_tracker = ha_tracker_of(own_tracker.as_ref(), &extras);
        let read = ReadAtScrape {
            pipeline: Arc::clone(self.edge.pipeline()),
            recorder: self.edge.recorder().clone(),
            control: self.control.clone(),
            budget: Arc::clone(&self.budget),
            freshness: limits.freshness,
            extras,
            ha_tracker,
            cache_faults,
            logs,
        };
        read.register(registry).context("metrics cannot be registered")?;
        Ok(cache)
    }
}

/// The elections of Mimir's HA tracker, as this server polls them or gets them from a feed.
fn ha_tracker_of(own: Option<&HaTrackerFeed>, extras: &SourceExtras) -> Option<HaTrackerFeed> {
    own.cloned().or_else(|| match extras {
        SourceExtras::Feed(feed) => Some(feed.ha_tracker.clone()),
        SourceExtras::None | SourceExtras::ConfigMap { .. } => None,
    })
}
