//! The admin API: what the server knows, as JSON. It reads; only the log level can be changed here.
//!
//! Lists come in pages, as `runtime` has them.

mod denials;
mod explain;
mod log_level;
mod tenants;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use edge::{Budget, Pipeline, Recorder};
use limits::{LoadedLimits, Problem};
use limits_source::LoadedEdgeConfig;
use runtime::{LogHandle, problems_route};
use tokio::sync::watch;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Admin {
    pub pipeline: Arc<Pipeline>,
    pub recorder: Recorder,
    /// What is wrong with the default limits' file, which is read once.
    pub default_problems: Arc<[Problem]>,
    pub limits: watch::Receiver<LoadedLimits>,
    pub edge: watch::Receiver<LoadedEdgeConfig>,
    pub logs: LogHandle,
    /// Of bytes in flight.
    pub budget: Arc<Budget>,
    pub max_request_bytes: usize,
}

impl Admin {
    pub(crate) fn routes(self) -> Router {
        let (defaults, limits, edge) = (self.default_problems.clone(), self.limits.clone(), self.edge.clone());
        let problems = problems_route(move || {
            let (limits, edge) = (limits.borrow().problems.clone(), edge.borrow().problems.clone());
            [("default_limits", defaults.clone()), ("limits", limits), ("edge_config", edge)]
        });
        Router::new()
            .route("/api/v1/tenants", get(tenants::list))
            .route("/api/v1/tenants/{id}", get(tenants::one))
            .route("/api/v1/denials", get(denials::list))
            .route("/api/v1/log-level", get(log_level::show).put(log_level::change))
            .route("/api/v1/explain", post(explain::explain))
            .with_state(self)
            .merge(problems)
    }
}
