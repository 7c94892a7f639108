//! `GET /api/v1/status`: whether the process is ready, how old its limits are and where they come from, and the flags it runs with.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Json;
use edge::ControlState;
use limits_source::{Freshness, HaTrackerFeed, SourceExtras};
use runtime::{Readiness, Setting};
use serde::Serialize;

use super::Admin;
use super::written::{ConfigMapName, configmap};

/// What the status is read from, besides the rest of the admin API.
#[derive(Clone)]
pub(crate) struct StatusSources {
    /// `--limits`.
    pub source: Arc<str>,
    pub started: SystemTime,
    pub freshness: Freshness,
    pub extras: SourceExtras,
    pub ha_tracker: Option<HaTrackerFeed>,
    pub readiness: Readiness,
    pub settings: Arc<[Setting]>,
}

#[derive(Serialize)]
pub(super) struct Status {
    program: &'static str,
    version: &'static str,
    /// starting, ready or draining.
    phase: &'static str,
    started: String,
    limits: LimitsStatus,
    edge_config: EdgeConfigStatus,
    /// The number of Mimir's distributors in use for decisions.
    distributors: u32,
    /// Null unless the limits come from a feed.
    feed: Option<FeedStatus>,
    /// Null unless no HA tracker is polled, here or by overrides-sync.
    ha_tracker: Option<HaTrackerStatus>,
    /// Prometheus pairs whose election is in memory.
    ha_pairs: usize,
    /// Tenants whose buckets are in memory.
    tenants_with_buckets: usize,
    in_flight_bytes: usize,
    in_flight_bytes_limit: usize,
    /// Whether `/api/v1/replicas/…` asks all replicas.
    asks_replicas: bool,
    /// All flags; empty where the server was not started by its program.
    settings: Arc<[Setting]>,
}

#[derive(Serialize)]
struct LimitsStatus {
    source: Arc<str>,
    /// The ConfigMap that they were read from, if this process reads one.
    configmap: Option<ConfigMapName>,
    /// Changes since the start; null before the first good limits.
    version: Option<u64>,
    /// Tenants with an override.
    overrides: usize,
    stale_seconds: f64,
    problems: usize,
    /// Whether flags give the default limits; otherwise they are Mimir's built-in ones.
    default_limits_given: bool,
}

#[derive(Serialize)]
struct EdgeConfigStatus {
    /// The mode of a tenant without an entry.
    mode: &'static str,
    /// Tenants with an entry.
    tenants: usize,
    problems: usize,
}

#[derive(Serialize)]
struct FeedStatus {
    connected: bool,
    connects: u64,
    failed_connects: u64,
    streams_lost: u64,
    updates: u64,
    rejected_updates: u64,
}

#[derive(Serialize)]
struct HaTrackerStatus {
    /// Whether its last list is new enough to decide by.
    fresh: bool,
    stale_seconds: f64,
    elected: usize,
}

/// `GET /api/v1/status`.
pub(super) async fn status(State(admin): State<Admin>) -> Json<Status> {
    let control = admin.pipeline.control();
    let StatusSources { started, readiness, settings, .. } = &admin.status;
    Json(Status {
        program: "mimir-rls",
        version: env!("CARGO_PKG_VERSION"),
        phase: readiness.phase().as_str(),
        started: humantime::format_rfc3339_seconds(*started).to_string(),
        limits: limits_status(&admin, &control),
        edge_config: EdgeConfigStatus {
            mode: control.mode_without_tenant().as_str(),
            tenants: control.edge.tenants().count(),
            problems: admin.edge.borrow().problems.len(),
        },
        distributors: control.distributors.get(),
        feed: feed_status(&admin.status.extras),
        ha_tracker: admin.status.ha_tracker.as_ref().filter(|_| control.ha_tracker.is_polled).map(|tracker| {
            let elected = tracker.states.borrow().elected.as_ref().map_or(0, |elected| elected.len());
            let stale_seconds = tracker.freshness.age().as_secs_f64();
            HaTrackerStatus { fresh: control.ha_tracker.has_fresh_list(), stale_seconds, elected }
        }),
        ha_pairs: control.elections.len(),
        tenants_with_buckets: admin.pipeline.enforcer().tenants(),
        in_flight_bytes: admin.budget.reserved(),
        in_flight_bytes_limit: admin.budget.limit(),
        asks_replicas: !admin.peers.is_empty(),
        settings: Arc::clone(settings),
    })
}

fn limits_status(admin: &Admin, control: &ControlState) -> LimitsStatus {
    let StatusSources { source, freshness, .. } = &admin.status;
    let problems = admin.limits.borrow().problems.len();
    LimitsStatus {
        source: Arc::clone(source),
        configmap: configmap(admin).map(ConfigMapName::from),
        version: control.limits.as_ref().map(|limits| limits.version()),
        overrides: control.limits.as_ref().map_or(0, |limits| limits.len()),
        stale_seconds: freshness.age().as_secs_f64(),
        problems: problems + admin.default_problems.len(),
        default_limits_given: admin.default_limits_given,
    }
}

fn feed_status(extras: &SourceExtras) -> Option<FeedStatus> {
    let SourceExtras::Feed(feed) = extras else { return None };
    let counts = &feed.counts;
    Some(FeedStatus {
        connected: counts.connected(),
        connects: counts.connects.get(),
        failed_connects: counts.failed_connects.get(),
        streams_lost: counts.streams_lost.get(),
        updates: counts.snapshots_taken.get() + counts.deltas_taken.get(),
        rejected_updates: counts.rejected_older.get() + counts.rejected_unreadable.get(),
    })
}
