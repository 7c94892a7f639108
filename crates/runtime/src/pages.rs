//! What the HTTP APIs of all servers share: error responses, pagination, and `GET /api/v1/problems`.
//!
//! A page has `?limit=` rows, 1 to 1,000, and `next`: the cursor of the next page, or null.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use limits::Problem;
use serde::{Deserialize, Serialize};

/// Rows of a page without `?limit=`.
const DEFAULT_ROWS: usize = 100;
const MAX_ROWS: usize = 1_000;

/// An error response.
#[derive(Debug)]
pub struct Fault {
    /// The status.
    pub status: StatusCode,
    /// `error` of the JSON body.
    pub error: String,
}

impl Fault {
    /// 400: the request is wrong.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    /// 503: the request cannot be answered now.
    pub fn unavailable(error: impl Into<String>) -> Self {
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

/// The number of rows of a page.
///
/// # Errors
/// `limit` is not from 1 to 1,000.
pub fn page_rows(limit: Option<usize>) -> Result<usize, Fault> {
    match limit {
        None => Ok(DEFAULT_ROWS),
        Some(rows @ 1..=MAX_ROWS) => Ok(rows),
        Some(rows) => Err(Fault::bad_request(format!("limit is {rows}; give a number from 1 to {MAX_ROWS}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    /// How many problems to skip.
    #[serde(default)]
    after: usize,
}

#[derive(Serialize)]
struct Problems {
    problems: Vec<ProblemJson>,
    next: Option<usize>,
}

#[derive(Serialize)]
struct ProblemJson {
    /// default_limits, limits or edge_config.
    source: &'static str,
    /// Stable, such as MRC0012.
    code: &'static str,
    /// The code in words, such as duplicate-tenant.
    kind: &'static str,
    document: String,
    line: Option<u64>,
    tenant: Option<String>,
    field: Option<String>,
    severity: &'static str,
    message: String,
    /// Mimir's own error, if Mimir rejects the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    mimir: Option<String>,
}

/// The route. `now` gives the current problems of each source, under the source's name.
pub fn problems_route<const SOURCES: usize>(
    now: impl Fn() -> [(&'static str, Arc<[Problem]>); SOURCES] + Clone + Send + Sync + 'static,
) -> Router {
    Router::new().route("/api/v1/problems", get(move |page| async move { list(&now(), page) }))
}

fn list(
    sources: &[(&'static str, Arc<[Problem]>)],
    Query(Page { limit, after }): Query<Page>,
) -> Result<Json<Problems>, Fault> {
    let rows = page_rows(limit)?;
    let all = || sources.iter().flat_map(|(source, problems)| problems.iter().map(|problem| (*source, problem)));
    let end = after.saturating_add(rows);
    let next = (end < all().count()).then_some(end);
    let problems = all().skip(after).take(rows).map(ProblemJson::from).collect();
    Ok(Json(Problems { problems, next }))
}

impl From<(&'static str, &Problem)> for ProblemJson {
    fn from((source, problem): (&'static str, &Problem)) -> Self {
        let Problem { code, document, tenant, field, line, severity, message, mimir } = problem.clone();
        Self {
            source,
            code: code.id(),
            kind: code.name(),
            document,
            line,
            tenant,
            field,
            severity: severity.as_str(),
            message,
            mimir,
        }
    }
}
