//! `GET /api/v1/problems`: everything that is wrong with the documents as they are now.

use axum::extract::{Query, State};
use axum::response::Json;
use limits::Problem;
use serde::{Deserialize, Serialize};

use super::{Admin, Fault, rows};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    /// How many problems were seen before.
    #[serde(default)]
    after: usize,
}

#[derive(Serialize)]
pub(super) struct Problems {
    problems: Vec<ProblemJson>,
    next: Option<usize>,
}

#[derive(Serialize)]
struct ProblemJson {
    /// default_limits, limits or edge_config.
    source: &'static str,
    document: String,
    line: Option<u64>,
    tenant: Option<String>,
    field: Option<String>,
    severity: &'static str,
    message: String,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Query(Page { limit, after }): Query<Page>,
) -> Result<Json<Problems>, Fault> {
    let rows = rows(limit)?;
    let (limits, edge) = (admin.limits.borrow().problems.clone(), admin.edge.borrow().problems.clone());
    let named = |source, problems: &[Problem]| {
        problems.iter().cloned().map(move |problem| (source, problem)).collect::<Vec<_>>()
    };
    let all = [named("default_limits", &admin.default_problems), named("limits", &limits), named("edge_config", &edge)]
        .concat();
    let end = after.saturating_add(rows);
    let next = (end < all.len()).then_some(end);
    let problems = all.into_iter().skip(after).take(rows).map(ProblemJson::from).collect();
    Ok(Json(Problems { problems, next }))
}

impl From<(&'static str, Problem)> for ProblemJson {
    fn from((source, problem): (&'static str, Problem)) -> Self {
        let Problem { document, tenant, field, line, severity, message } = problem;
        Self { source, document, line, tenant, field, severity: severity.as_str(), message }
    }
}
