//! `GET /api/v1/usage` and `GET /api/v1/usage/{id}`: what tenants sent, beside their limits and the tokens that they have left.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use edge::{ControlState, UsageRow};
use limits::Tenant;
use runtime::{Fault, page_rows};
use serde::{Deserialize, Serialize};
use usage::Interval;

use super::Admin;
use super::view::BucketJson;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rows {
    limit: Option<usize>,
}

#[derive(Serialize)]
struct UsageList {
    /// Those with most items in the last minute first; the last one, `<other>`, is the sum of all without a row of their own.
    tenants: Vec<Row>,
    /// How many tenants have usage of their own.
    total: usize,
    /// The number of Mimir's distributors by which the limits are computed.
    distributors: u32,
}

#[derive(Serialize)]
struct Row {
    tenant: String,
    mode: &'static str,
    overridden: bool,
    minute: WindowJson,
    quarter_hour: WindowJson,
    /// The part of each limit that the last minute used; without limits that are none.
    usage_ratio: BTreeMap<&'static str, f64>,
    /// Pushes since the last one that was not refused with 429.
    refused_in_a_row: u64,
    /// When the first of them was refused.
    refused_since: Option<String>,
    /// Whether refused samples are lost, because no client of the tenant repeats a push.
    never_retries: bool,
    /// Null in mode off and before the first good limits.
    request: Option<BucketJson>,
    ingestion: Option<BucketJson>,
}

#[derive(Serialize)]
struct WindowJson {
    requests_per_second: f64,
    items_per_second: f64,
    #[serde(flatten)]
    counts: Interval,
}

#[derive(Serialize)]
struct Details {
    #[serde(flatten)]
    row: Row,
    distributors: u32,
    /// From the oldest on: steps of ten seconds, and then the last five minutes second by second.
    history: Vec<Interval>,
}

impl From<Interval> for WindowJson {
    fn from(counts: Interval) -> Self {
        Self { requests_per_second: counts.requests_per_second(), items_per_second: counts.items_per_second(), counts }
    }
}

pub(super) async fn list(State(admin): State<Admin>, Query(Rows { limit }): Query<Rows>) -> Result<Response, Fault> {
    let rows = page_rows(limit)?;
    let bounds = admin.bounds.clone();
    let list = move || {
        let control = admin.pipeline.control();
        let mut usage = admin.recorder.usage().rows();
        let (other, total) = (usage.pop(), usage.len());
        usage.truncate(rows);
        usage.extend(other);
        let tenants = usage.into_iter().map(|usage| row(&admin, &control, usage)).collect();
        UsageList { tenants, total, distributors: control.distributors.get() }
    };
    bounds.list(list).await
}

pub(super) async fn one(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Fault> {
    let usage = admin.recorder.usage();
    let Some((usage, history)) = usage.row(&id).zip(usage.history(&id)) else {
        let error = format!(
            "no usage of tenant {id:?}: it sent nothing to this replica, or has no row of its own and counts under <other>"
        );
        return Err(Fault { status: StatusCode::NOT_FOUND, error });
    };
    let bounds = admin.bounds.clone();
    let details = move || {
        let control = admin.pipeline.control();
        Details { row: row(&admin, &control, usage), distributors: control.distributors.get(), history }
    };
    bounds.list(details).await
}

fn row(admin: &Admin, control: &ControlState, usage: UsageRow) -> Row {
    // `<other>` is no valid tenant, and has neither limits nor buckets.
    let tenant = Tenant::parse(Some(usage.tenant.as_bytes())).ok();
    let settings = tenant.as_ref().map(|tenant| control.for_tenant(tenant));
    let (request, ingestion) = tenant.and_then(|tenant| admin.pipeline.buckets(control, &tenant, 1)).unzip();
    Row {
        mode: settings.as_ref().map_or_else(|| control.mode_without_tenant(), |settings| settings.mode).as_str(),
        overridden: settings.and_then(|settings| settings.limits).is_some_and(|limits| limits.has_override),
        usage_ratio: admin.pipeline.usage_ratios(&usage).collect(),
        minute: usage.minute.into(),
        quarter_hour: usage.quarter_hour.into(),
        refused_in_a_row: usage.refused_in_a_row,
        refused_since: usage.refused_since.map(|time| humantime::format_rfc3339_millis(time).to_string()),
        never_retries: usage.never_retries,
        request: request.as_ref().map(BucketJson::request),
        ingestion: ingestion.as_ref().map(BucketJson::ingestion),
        tenant: usage.tenant,
    }
}
