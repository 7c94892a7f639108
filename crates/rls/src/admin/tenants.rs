//! `GET /api/v1/tenants` and `GET /api/v1/tenants/{id}`: known tenants with their modes and limits.
//!
//! A tenant is known if it has an override, an entry in the edge config, or a bucket in memory.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, Query, State};
use axum::response::{Json, Response};
use edge::ControlState;
use limits::Tenant;
use runtime::{Fault, page_rows};
use serde::{Deserialize, Serialize};

use super::Admin;
use super::names::names_after;
use super::view::{BucketJson, EdgeLimitsJson, Fields, fields};
use super::written::{ConfigMapName, PlaceJson, Written};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    /// The last tenant of the previous page.
    after: Option<String>,
}

#[derive(Serialize)]
struct Tenants {
    tenants: Vec<Row>,
    /// The limits of a tenant without an override; null before the first good limits.
    default_limits: Option<Fields>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Row {
    /// The tenant, or the spelling with metadata that has an override of its own.
    tenant: String,
    mode: &'static str,
    /// Whether the limits document has an entry for it.
    overridden: bool,
    /// Whether this replica has its buckets, or had them up to 10 seconds ago.
    has_buckets: bool,
    /// The limits that differ from the defaults.
    limits: Fields,
}

#[derive(Serialize)]
pub(super) struct Details {
    tenant: String,
    /// The key of its ingestion bucket and limits: the tenant with its metadata.
    limits_key: String,
    mode: &'static str,
    overridden: bool,
    /// Whether this replica has the tenant's buckets; on others they are full.
    has_buckets: bool,
    /// The fields that its entry sets itself, and where: null where that is not known, as after a restart without a source. The others are the defaults.
    set_in: BTreeMap<&'static str, Option<PlaceJson>>,
    /// The ConfigMap that the documents are keys of; null where they are none, or it is not known.
    configmap: Option<ConfigMapName>,
    /// All limits of Mimir's write path; null before the first good limits.
    limits: Option<Fields>,
    edge_limits: EdgeLimitsJson,
    /// Null in mode off and before the first good limits.
    request: Option<BucketJson>,
    ingestion: Option<BucketJson>,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Query(Page { limit, after }): Query<Page>,
) -> Result<Response, Fault> {
    let rows = page_rows(limit)?;
    let bounds = admin.bounds.clone();
    bounds.list(move || page(&admin, rows, after.as_deref())).await
}

fn page(admin: &Admin, rows: usize, after: Option<&str>) -> Tenants {
    let control = admin.pipeline.control();
    let one_more = rows.saturating_add(1);
    let overridden = control.limits.iter().flat_map(|limits| limits.tenants_after(after)).take(one_more);
    let in_edge_config =
        control.edge.tenants().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after)).take(one_more);
    let with_bucket = admin.names.get(|| admin.pipeline.enforcer().names());

    let mut known: BTreeSet<&str> = overridden.map(|(key, _)| key.as_str()).collect();
    known.extend(in_edge_config.map(|(id, _)| id.as_str()));
    known.extend(names_after(&with_bucket, after, one_more));
    let next = known.iter().nth(rows).and(known.iter().nth(rows.saturating_sub(1))).map(|last| (*last).to_owned());
    let tenants = known.into_iter().take(rows).map(|key| row(&control, &with_bucket, key)).collect();
    let default_limits = control.limits.as_deref().map(|limits| fields(limits.defaults().limits.fields()));
    Tenants { tenants, default_limits, next }
}

fn row(control: &ControlState, with_bucket: &[Box<str>], key: &str) -> Row {
    // Keys of documents and buckets are valid headers, but for the empty name: its header is `|`.
    let (mode, id) = match Tenant::parse(Some(if key.is_empty() { b"|" } else { key.as_bytes() })) {
        Ok(tenant) => (control.for_tenant(&tenant).mode, tenant.id()),
        Err(_) => (control.mode_without_tenant(), key),
    };
    let limits = control.limits.as_deref();
    let entry = limits.and_then(|limits| limits.entry(key));
    let differences =
        entry.zip(limits).map(|(entry, limits)| fields(entry.limits.differences(&limits.defaults().limits)));
    Row {
        tenant: key.to_owned(),
        mode: mode.as_str(),
        overridden: entry.is_some(),
        has_buckets: with_bucket.binary_search_by(|name| (**name).cmp(id)).is_ok(),
        limits: differences.unwrap_or_default(),
    }
}

pub(super) async fn one(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<Details>, Fault> {
    let tenant = Tenant::parse(Some(id.as_bytes())).map_err(|error| Fault::bad_request(error.to_string()))?;
    let written = Written::read(&admin, tenant.limits_key()).await;
    let control = admin.pipeline.control();
    let of_tenant = control.for_tenant(&tenant);
    let (request, ingestion) = admin.pipeline.buckets(&control, &tenant, 1).unzip();
    let entry = control.limits.as_deref().and_then(|limits| limits.entry(tenant.limits_key()));
    Ok(Json(Details {
        set_in: entry.map(|entry| written.places_of(entry)).unwrap_or_default(),
        configmap: written.configmap,
        tenant: tenant.id().to_owned(),
        limits_key: tenant.limits_key().to_owned(),
        mode: of_tenant.mode.as_str(),
        overridden: entry.is_some(),
        has_buckets: admin.pipeline.has_buckets(&control, &tenant),
        limits: of_tenant.limits.map(|limits| fields(limits.ingestion.limits.fields())),
        edge_limits: of_tenant.edge.into(),
        request: request.as_ref().map(BucketJson::request),
        ingestion: ingestion.as_ref().map(BucketJson::ingestion),
    }))
}
