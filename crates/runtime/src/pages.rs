//! What the JSON pages of all servers share: errors, lists in pages, and `GET /api/v1/problems`.
//!
//! `?limit=` rows, from 1 to 1,000, and `next`, the cursor of the page after this one, or null.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use limits::Problem;
use serde::{Deserialize, Serialize};

/// Rows of a page that names no number.
const DEFAULT_ROWS: usize = 100;
const MOST_ROWS: usize = 1_000;

/// An answer that says what is wrong with the question.
#[derive(Debug)]
pub struct Fault {
    /// The answer's status.
    pub status: StatusCode,
    /// Its `error`.
    pub error: String,
}

impl Fault {
    /// 400: the question is wrong.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    /// 503: it cannot be answered now.
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

/// The number of rows that a page is asked for.
///
/// # Errors
/// It is none from 1 to 1,000.
pub fn page_rows(asked: Option<usize>) -> Result<usize, Fault> {
    match asked {
        None => Ok(DEFAULT_ROWS),
        Some(rows @ 1..=MOST_ROWS) => Ok(rows),
        Some(rows) => Err(Fault::bad_request(format!("limit is {rows}; give a number from 1 to {MOST_ROWS}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    /// How many problems were seen before.
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
    /// The same in words, such as duplicate-tenant.
    kind: &'static str,
    document: String,
    line: Option<u64>,
    tenant: Option<String>,
    field: Option<String>,
    severity: &'static str,
    message: String,
    /// Mimir's own words, where it refuses the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    mimir: Option<String>,
}

/// The page. `now` gives the problems of each source, under the source's name.
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
