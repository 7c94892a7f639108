//! `GET /api/v1/usage` and `GET /api/v1/usage/{id}`: what tenants sent, beside their limits and the tokens that they have left.

mod listing;

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use edge::{ControlState, UsageRow};
use limits::Tenant;
use runtime::{Fault, page_rows};
use serde::Serialize;
use usage::{Counted, Interval, Suggestion, suggest};

use super::Admin;
use super::view::BucketJson;
use listing::{ListQuery, Selected, Selection, select};

/// A tenant that uses this part of a limit is near it.
const NEAR: f64 = 0.8;

#[derive(Serialize)]
struct UsageList {
    /// In the order that was asked for; the last one, `<other>`, is the sum of all without usage of their own.
    tenants: Vec<Row>,
    /// How many tenants match, on all pages.
    total: usize,
    sums: Sums,
    /// The number of Mimir's distributors by which the limits are computed.
    distributors: u32,
}

/// Of the last minute, whatever was searched.
#[derive(Serialize)]
struct Sums {
    tenants: usize,
    requests_per_second: f64,
    items_per_second: f64,
    /// Tenants of which pushes were refused with 429.
    refused: usize,
    /// Tenants of which pushes would have been, but for their mode.
    would_be_refused: usize,
    /// Tenants that used at least 80 % of a limit, and of which no push was denied.
    near_limit: usize,
}

#[derive(Serialize)]
struct Row {
    tenant: String,
    mode: &'static str,
    overridden: bool,
    /// Null where the tenant has no usage of its own.
    minute: Option<WindowJson>,
    quarter_hour: Option<WindowJson>,
    /// The part of each limit that the last minute used; without limits that are none.
    usage_ratio: BTreeMap<&'static str, f64>,
    /// Pushes since the last one that was not refused with 429.
    refused_in_a_row: u64,
    /// When the first of them was refused.
    refused_since: Option<String>,
    /// When its denials began, also those that were only counted; null if there was none for five minutes.
    denied_since: Option<String>,
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
    /// Limits under which this history passes; null where nothing was sent.
    suggested: Suggested,
    /// From the oldest on: steps of ten seconds, and then the last five minutes second by second.
    history: Vec<Interval>,
}

#[derive(Serialize)]
struct Suggested {
    request: Option<Suggestion>,
    ingestion: Option<Suggestion>,
}

impl Suggested {
    fn by(history: &[Interval]) -> Self {
        Self { request: suggest(history, Counted::Requests), ingestion: suggest(history, Counted::Items) }
    }
}

impl From<Interval> for WindowJson {
    fn from(counts: Interval) -> Self {
        Self { requests_per_second: counts.requests_per_second(), items_per_second: counts.items_per_second(), counts }
    }
}

pub(super) async fn list(State(admin): State<Admin>, Query(query): Query<ListQuery>) -> Result<Response, Fault> {
    let rows = page_rows(query.limit)?;
    let bounds = admin.bounds.clone();
    let list = move || {
        let control = admin.pipeline.control();
        let mut usage = admin.recorder.usage().rows();
        let sums = Sums::of(&admin, &usage);
        let other = usage.pop();
        let Selection { mut page, matching, tenants } = select(&admin, &control, &usage, &query, rows);
        page.extend(other.map(|usage| Selected { tenant: usage.tenant.clone(), usage: Some(usage) }));
        let rows = page.into_iter().map(|selected| row(&admin, &control, selected)).collect();
        let distributors = control.distributors.get();
        UsageList { tenants: rows, total: matching, sums: Sums { tenants, ..sums }, distributors }
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
        let selected = Selected { tenant: usage.tenant.clone(), usage: Some(usage) };
        let (row, suggested) = (row(&admin, &control, selected), Suggested::by(&history));
        Details { row, distributors: control.distributors.get(), suggested, history }
    };
    bounds.list(details).await
}

impl Sums {
    /// All but the number of tenants.
    fn of(admin: &Admin, usage: &[UsageRow]) -> Self {
        let count = |of: &dyn Fn(&UsageRow) -> bool| usage.iter().filter(|row| of(row)).count();
        let refused = |row: &UsageRow| row.minute.total.refused > 0;
        Self {
            tenants: 0,
            requests_per_second: usage.iter().map(|row| row.minute.requests_per_second()).sum(),
            items_per_second: usage.iter().map(|row| row.minute.items_per_second()).sum(),
            refused: count(&refused),
            would_be_refused: count(&|row| row.minute.total.denied > 0 && !refused(row)),
            near_limit: count(&|row| {
                row.minute.total.denied == 0 && admin.pipeline.usage_ratios(row).any(|(_, ratio)| ratio >= NEAR)
            }),
        }
    }
}

fn row(admin: &Admin, control: &ControlState, Selected { tenant: name, usage }: Selected) -> Row {
    // `<other>` is no valid tenant, and has neither limits nor buckets.
    let tenant = Tenant::parse(Some(name.as_bytes())).ok();
    let settings = tenant.as_ref().map(|tenant| control.for_tenant(tenant));
    let (request, ingestion) = tenant.and_then(|tenant| admin.pipeline.buckets(control, &tenant, 1)).unzip();
    let since = |of: fn(&UsageRow) -> Option<SystemTime>| {
        usage.as_ref().and_then(of).map(|time| humantime::format_rfc3339_millis(time).to_string())
    };
    let (refused_since, denied_since) = (since(|usage| usage.refused_since), since(|usage| usage.denied_since));
    Row {
        mode: settings.as_ref().map_or_else(|| control.mode_without_tenant(), |settings| settings.mode).as_str(),
        overridden: settings.and_then(|settings| settings.limits).is_some_and(|limits| limits.has_override),
        usage_ratio: usage.as_ref().map(|usage| admin.pipeline.usage_ratios(usage).collect()).unwrap_or_default(),
        minute: usage.as_ref().map(|usage| usage.minute.into()),
        quarter_hour: usage.as_ref().map(|usage| usage.quarter_hour.into()),
        refused_in_a_row: usage.as_ref().map_or(0, |usage| usage.refused_in_a_row),
        refused_since,
        denied_since,
        never_retries: usage.is_some_and(|usage| usage.never_retries),
        request: request.as_ref().map(BucketJson::request),
        ingestion: ingestion.as_ref().map(BucketJson::ingestion),
        tenant: name,
    }
}
