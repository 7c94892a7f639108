//! `GET /api/v1/denials`: the last denials, newest first, also those that were only counted.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Json;
use edge::DenialRecord;
use runtime::{Fault, page_rows};
use serde::{Deserialize, Serialize};

use super::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<u64>,
    tenant: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Denials {
    denials: Vec<Arc<DenialRecord>>,
    next: Option<u64>,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Query(Page { limit, after, tenant }): Query<Page>,
) -> Result<Json<Denials>, Fault> {
    let rows = page_rows(limit)?;
    let mut denials = admin.recorder.denials().recent(after, tenant.as_deref(), rows.saturating_add(1));
    let more = denials.len() > rows;
    denials.truncate(rows);
    let next = if more { denials.last().map(|last| last.sequence) } else { None };
    Ok(Json(Denials { denials, next }))
}
