//! The admin API: the state of the server as JSON, in pages. Only the log level can be changed.
//!
//! Invariant: no decision waits for it. Lists are made on a thread of their own, few requests are answered at once, and others get 503.

mod bounds;
mod explain;
mod names;
mod replicas;
mod status;
mod tenants;
mod usage;
mod view;
mod written;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use edge::{Budget, DenialRecord, Pipeline, Recorder};
use limits::{LoadedLimits, Problem};
use limits_source::LoadedEdgeConfig;
use runtime::{Fault, LogFilter, LogHandle, page_rows, problems_route};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use bounds::RequestBounds;
pub(crate) use names::KeptNames;
pub(crate) use replicas::Peers;
pub(crate) use status::StatusSources;

/// Shared by the handlers.
#[derive(Clone)]
pub(crate) struct Admin {
    pub pipeline: Arc<Pipeline>,
    pub recorder: Recorder,
    /// Problems of the default limits, which are read once.
    pub default_problems: Arc<[Problem]>,
    pub limits: watch::Receiver<LoadedLimits>,
    pub edge: watch::Receiver<LoadedEdgeConfig>,
    pub logs: LogHandle,
    /// The budget of bytes in flight.
    pub budget: Arc<Budget>,
    pub max_request_bytes: usize,
    pub default_tenant: Option<Bytes>,
    pub bounds: RequestBounds,
    pub names: Arc<KeptNames>,
    /// Whether flags give the default limits.
    pub default_limits_given: bool,
    pub status: StatusSources,
    /// Where all replicas are, for those who ask any of them.
    pub peers: Peers,
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
            .route("/api/v1/usage", get(usage::list))
            .route("/api/v1/usage/{id}", get(usage::one))
            .route("/api/v1/denials", get(denials))
            .route("/api/v1/replicas/{*path}", get(replicas::ask).post(replicas::ask))
            .route("/api/v1/status", get(status::status))
            .route("/api/v1/log-level", get(log_level).put(change_log_level))
            .route("/api/v1/explain", post(explain::explain))
            .with_state(self)
            .merge(problems)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenialsPage {
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<u64>,
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Denials {
    denials: Vec<Arc<DenialRecord>>,
    next: Option<u64>,
}

/// `GET /api/v1/denials`: the recent denials, newest first, also those that were only counted.
async fn denials(
    State(admin): State<Admin>,
    Query(DenialsPage { limit, after, tenant }): Query<DenialsPage>,
) -> Result<Response, Fault> {
    let rows = page_rows(limit)?;
    let bounds = admin.bounds.clone();
    let page = move || {
        let mut denials = admin.recorder.denials().recent(after, tenant.as_deref(), rows.saturating_add(1));
        let more = denials.len() > rows;
        denials.truncate(rows);
        let next = if more { denials.last().map(|last| last.sequence) } else { None };
        Denials { denials, next }
    };
    bounds.list(page).await
}

/// `GET /api/v1/log-level`.
async fn log_level(State(admin): State<Admin>) -> String {
    format!("{}\n", admin.logs.current())
}

/// `PUT /api/v1/log-level`: changes it until the process ends.
async fn change_log_level(State(admin): State<Admin>, text: String) -> Result<String, Fault> {
    let filter: LogFilter =
        text.trim().parse().map_err(|error| Fault::bad_request(format!("the body is no log level: {error}")))?;
    admin.logs.set(&filter).map_err(|error| Fault {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        error: format!("the log level cannot be changed: {error}"),
    })?;
    tracing::warn!(%filter, "the log level was changed by the admin API");
    Ok(format!("{filter}\n"))
}
