//! `POST /api/v1/explain`: the answer that a push would get now, the deciding limit, and when it would pass. Nothing is charged.
//!
//! The request is the push itself, with its headers and body. Without a body, it stands for a push of `?items=` samples (default 1).

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Json;
use bytes::{Bytes, BytesMut};
use edge::{Arrival, Explanation, Push, PushBody, tenant_of};
use enforce::DenyReason;
use http_body_util::BodyExt;
use remote_write::PushCounts;
use runtime::Fault;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::Admin;
use super::view::BucketJson;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    items: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct ExplainResponse {
    tenant: Option<String>,
    /// The key of its ingestion bucket and limits: the tenant with its metadata.
    limits_key: Option<String>,
    mode: &'static str,
    /// allow, deny, or would_deny in modes shadow and off.
    decision: &'static str,
    reason: &'static str,
    /// Why the push cannot be metered; null where it can.
    unmetered: Option<&'static str>,
    /// The limit that decides, with its value; null where none does.
    limit: Option<String>,
    /// The status that the client would get; 200 where the push goes on to Mimir.
    status: u16,
    /// The text of the denial.
    message: Option<String>,
    /// Seconds until it passes if nothing else is charged: 0 if it passes now, null if waiting does not help.
    passes_in_seconds: Option<f64>,
    counts: Counts,
    /// Whether this replica has the tenant's buckets; on others they are full.
    has_buckets: bool,
    request: Option<BucketJson>,
    ingestion: Option<BucketJson>,
}

#[derive(Serialize)]
struct Counts {
    series: u64,
    samples: u64,
    histograms: u64,
    exemplars: u64,
    metadata: u64,
    /// What the ingestion rate is charged.
    items: u64,
}

pub(super) async fn explain(
    State(admin): State<Admin>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Json<ExplainResponse>, Fault> {
    let (head, body) = request.into_parts();
    let (_arrival, body) = arrived(&admin, body).await?;
    // Slow bodies take no place.
    let _place = admin.bounds.enter()?;
    let push = push_of(&head.headers, body, parameters.items, admin.default_tenant.as_ref())?;
    let explanation = admin.pipeline.explain(&push).await;
    let explanation =
        explanation.map_err(|why| Fault::unavailable(format!("nothing can be decided: {}", why.as_str())))?;
    Ok(Json(response(&push, &explanation)))
}

/// The body of a request, which is reserved as long as the arrival is held.
async fn arrived(admin: &Admin, body: Body) -> Result<(Arrival, PushBody), Fault> {
    // Reserved as for a push without a known tenant.
    let arrival = Arrival::begin(&admin.budget, None, 0).map_err(|_| no_room())?;
    let body = tokio::select! {
        body = timeout(BODY_TIMEOUT, read_body(body, admin.max_request_bytes, &arrival)) => body,
        () = arrival.stalls() => return Err(no_room()),
    };
    let body = body.map_err(|_| Fault {
        status: StatusCode::REQUEST_TIMEOUT,
        error: format!("the body did not come within {BODY_TIMEOUT:?}"),
    })??;
    Ok((arrival, body))
}

/// The same for a body that is passed on.
pub(super) async fn whole_body(admin: &Admin, body: Body) -> Result<(Arrival, Bytes), Fault> {
    match arrived(admin, body).await? {
        (arrival, PushBody::Whole(body)) => Ok((arrival, body)),
        _ => Err(Fault {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error: "the body is larger than a push may be".to_owned(),
        }),
    }
}

fn no_room() -> Fault {
    Fault::unavailable("too much is in flight; try again in a moment")
}

/// The body, or [`PushBody::Partial`] if it is larger than a push may be.
async fn read_body(mut body: Body, most: usize, arrival: &Arrival) -> Result<PushBody, Fault> {
    let claimed = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(most);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::bad_request(format!("the body cannot be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > most.saturating_sub(read.len()) {
            arrival.complete();
            return Ok(PushBody::Partial);
        }
        arrival.add(data.len(), claimed.min(most)).map_err(|_| no_room())?;
        read.extend_from_slice(&data);
    }
    arrival.complete();
    Ok(PushBody::Whole(read.freeze()))
}

fn push_of(
    headers: &HeaderMap,
    body: PushBody,
    items: Option<u64>,
    default_tenant: Option<&Bytes>,
) -> Result<Push, Fault> {
    let body = match (body, items) {
        (PushBody::Whole(body), items) if body.is_empty() => {
            PushBody::Counted(PushCounts { samples: items.unwrap_or(1), ..PushCounts::default() })
        }
        (body, None) => body,
        (_, Some(_)) => {
            return Err(Fault::bad_request("items is for a push without a body; leave one of them out"));
        }
    };
    let values =
        |name: &'static str| headers.get_all(name).iter().map(|value| Bytes::copy_from_slice(value.as_bytes()));
    Ok(Push::from_headers(values, default_tenant, body))
}

fn response(push: &Push, explanation: &Explanation) -> ExplainResponse {
    let verdict = &explanation.verdict;
    let tenant = tenant_of(&push.tenant).ok();
    let denial = verdict.denial();
    let PushCounts { series, samples, histograms, exemplars, metadata, .. } = verdict.counts;
    ExplainResponse {
        tenant: tenant.map(|tenant| tenant.id().to_owned()),
        limits_key: tenant.map(|tenant| tenant.limits_key().to_owned()),
        mode: verdict.mode.as_str(),
        decision: explanation.outcome(),
        reason: verdict.reason(),
        unmetered: verdict.unmetered.map(|(why, _)| why.as_str()),
        limit: denial.and_then(|denial| deciding_limit(denial.reason(), explanation)),
        status: denial.map_or(200, enforce::Denial::status),
        message: denial.map(|denial| denial.message().to_owned()),
        passes_in_seconds: explanation.passes_in().as_ref().map(Duration::as_secs_f64),
        counts: Counts { series, samples, histograms, exemplars, metadata, items: verdict.counts.items() },
        has_buckets: explanation.has_buckets,
        request: explanation.buckets.as_ref().map(|(request, _)| BucketJson::request(request)),
        ingestion: explanation.buckets.as_ref().map(|(_, ingestion)| BucketJson::ingestion(ingestion)),
    }
}

fn deciding_limit(reason: DenyReason, explanation: &Explanation) -> Option<String> {
    let (request, ingestion) = explanation.buckets.as_ref()?;
    match reason {
        DenyReason::RequestRate => Some(format!("request_rate {}", request.level.limit())),
        DenyReason::IngestionRate | DenyReason::IngestionBurst => {
            Some(format!("ingestion_rate {}", ingestion.level.limit()))
        }
        DenyReason::EdgeMaxBodyBytes => explanation.edge.max_body_bytes.map(|most| format!("max_body_bytes {most}")),
        DenyReason::EdgeMaxSeriesPerRequest => {
            explanation.edge.max_series_per_request.map(|most| format!("max_series_per_request {most}"))
        }
        _ => None,
    }
}
