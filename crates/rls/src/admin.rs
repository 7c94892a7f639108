//! The admin API: what the server knows, as JSON. It reads; only the log level can be changed here.
//!
//! Lists come in pages: `?limit=` rows, from 1 to 1,000, and `next`, the cursor of the page after this one, or null.

mod denials;
mod explain;
mod log_level;
mod problems;
mod tenants;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use limits::{ControlState, Problem};
use limits_source::EdgeControl;
use runtime::LogHandle;
use serde::Serialize;
use tokio::sync::watch;

use crate::budget::Budget;
use crate::decide::Decider;
use crate::records::Records;

/// Rows of a page that names no number.
const DEFAULT_ROWS: usize = 100;
const MOST_ROWS: usize = 1_000;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Admin {
    pub decider: Arc<Decider>,
    pub records: Records,
    /// What is wrong with the default limits' file, which is read once.
    pub default_problems: Arc<[Problem]>,
    pub limits: watch::Receiver<ControlState>,
    pub edge: watch::Receiver<EdgeControl>,
    pub logs: LogHandle,
    /// Of bytes in flight.
    pub budget: Arc<Budget>,
    pub max_request_bytes: usize,
}

impl Admin {
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/api/v1/tenants", get(tenants::list))
            .route("/api/v1/tenants/{id}", get(tenants::one))
            .route("/api/v1/problems", get(problems::list))
            .route("/api/v1/denials", get(denials::list))
            .route("/api/v1/log-level", get(log_level::show).put(log_level::change))
            .route("/api/v1/explain", post(explain::explain))
            .with_state(self)
    }
}

/// An answer that says what is wrong with the question.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    error: String,
}

impl Fault {
    fn bad_request(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    fn unavailable(error: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into() }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.status, Json(Body { error: self.error })).into_response()
    }
}

/// The number of rows that a page is asked for.
fn rows(asked: Option<usize>) -> Result<usize, Fault> {
    match asked {
        None => Ok(DEFAULT_ROWS),
        Some(rows @ 1..=MOST_ROWS) => Ok(rows),
        Some(rows) => Err(Fault::bad_request(format!("limit is {rows}; give a number from 1 to {MOST_ROWS}"))),
    }
}
