//! `GET /api/v1/status`: whether the process is ready, how old its limits are and who gets them, and the flags it runs with.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::response::Json;
use axum::routing::get;
use limits_source::{Freshness, HaTrackerFeed, NamespacedName};
use runtime::{Readiness, Setting};
use serde::Serialize;

use crate::Config;
use crate::documents::Documents;
use crate::feed::Inputs;
use crate::metrics::{FeedClients, Metrics};

/// What the status is read from; cheap to clone.
#[derive(Clone)]
pub(crate) struct StatusSources {
    /// `--limits`.
    source: Arc<str>,
    started: SystemTime,
    readiness: Readiness,
    inputs: Inputs,
    ha_tracker: Option<HaTrackerFeed>,
    metrics: Metrics,
    settings: Arc<[Setting]>,
}

#[derive(Serialize)]
struct Status {
    program: &'static str,
    version: &'static str,
    /// starting, ready or draining.
    phase: &'static str,
    started: String,
    limits: LimitsStatus,
    /// Ready distributors; null if they are not counted, or none was seen yet.
    distributors: Option<NonZeroU32>,
    feed_clients: FeedClients,
    /// Null unless an HA tracker is polled.
    ha_tracker: Option<HaTrackerStatus>,
    /// All flags; empty where the server was not started by its program.
    settings: Arc<[Setting]>,
}

#[derive(Serialize)]
struct LimitsStatus {
    source: Arc<str>,
    configmap: Option<ConfigMapName>,
    /// Changes since the start; null before the first good limits.
    version: Option<u64>,
    /// Tenants with an override.
    overrides: usize,
    stale_seconds: f64,
    problems: usize,
}

#[derive(Serialize)]
struct ConfigMapName {
    namespace: String,
    name: String,
}

#[derive(Serialize)]
struct HaTrackerStatus {
    stale_seconds: f64,
    elected: usize,
}

/// The route.
pub(crate) fn status_route(sources: StatusSources, documents: Documents) -> Router {
    let status = move || {
        let status = sources.status(&documents);
        async move { Json(status) }
    };
    Router::new().route("/api/v1/status", get(status))
}

impl StatusSources {
    /// Of a server that starts now.
    pub(crate) fn new(
        config: &Config,
        readiness: &Readiness,
        inputs: &Inputs,
        ha_tracker: Option<&HaTrackerFeed>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            source: config.limits_text.as_str().into(),
            started: SystemTime::now(),
            readiness: readiness.clone(),
            inputs: inputs.clone(),
            ha_tracker: ha_tracker.cloned(),
            metrics: metrics.clone(),
            settings: Arc::clone(&config.server.settings),
        }
    }

    fn status(&self, documents: &Documents) -> Status {
        let Self { source, started, readiness, inputs, ha_tracker, metrics, settings } = self;
        let published = inputs.limits.borrow().clone();
        let stale_seconds = |freshness: &Freshness| freshness.age().as_secs_f64();
        let configmap =
            documents.configmap().map(|NamespacedName { namespace, name }| ConfigMapName { namespace, name });
        Status {
            program: "overrides-sync",
            version: env!("CARGO_PKG_VERSION"),
            phase: readiness.phase().as_str(),
            started: humantime::format_rfc3339_seconds(*started).to_string(),
            limits: LimitsStatus {
                source: Arc::clone(source),
                configmap,
                version: published.as_ref().map(|published| published.version().sequence),
                overrides: published.as_ref().map_or(0, |published| published.tenants()),
                stale_seconds: stale_seconds(&inputs.freshness),
                problems: inputs.problems.borrow().len(),
            },
            distributors: *inputs.distributors.borrow(),
            feed_clients: metrics.feed_clients(),
            ha_tracker: ha_tracker.as_ref().map(|tracker| HaTrackerStatus {
                stale_seconds: stale_seconds(&tracker.freshness),
                elected: tracker.states.borrow().elected.as_ref().map_or(0, |elected| elected.len()),
            }),
            settings: Arc::clone(settings),
        }
    }
}
