//! `POST /api/v1/explain`: what the edge would answer to this push now, which limit decides, and when it would pass. Nothing is charged.
//!
//! The request is the push itself, with its own headers and body. Without a body it is asked for a push of `?items=` samples (1).

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Json;
use bytes::Bytes;
use enforce::{Decision, DenyReason};
use remote_write::PushCounts;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::view::BucketJson;
use super::{Admin, Fault};
use crate::decide::{Explanation, tenant_of};
use crate::push::{Push, PushBody, TenantHeader, retry_attempt};

const TENANT_HEADER: &str = "x-scope-orgid";
const RETRY_ATTEMPT: &str = "retry-attempt";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    items: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    tenant: Option<String>,
    /// The key of its ingestion bucket and limits: with its metadata, if it has any.
    limits_key: Option<String>,
    mode: &'static str,
    /// allow, deny, or would_deny where the mode lets a refusal pass.
    decision: &'static str,
    reason: &'static str,
    /// The limit that decides, with its value; null where none does.
    limit: Option<String>,
    /// What the client would get; 200 stands for going on to Mimir.
    status: u16,
    /// The text of the refusal.
    message: Option<String>,
    /// Seconds until both buckets let it pass if nobody else is charged; null if they never do, or are not looked at.
    passes_in_seconds: Option<f64>,
    counts: Counts,
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
    Query(question): Query<Question>,
    request: Request,
    explaining: Arc<Semaphore>,
) -> Result<Json<Answer>, Fault> {
    let Ok(_place) = explaining.try_acquire() else {
        let error = "other pushes are being explained; try again in a moment".to_owned();
        return Err(Fault { status: StatusCode::SERVICE_UNAVAILABLE, error });
    };
    let (head, body) = request.into_parts();
    let most = admin.max_request_bytes;
    let body = to_bytes(body, most).await.map_err(|_| Fault {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        error: format!("the body could not be read, or has more than the {most} bytes of --max-request-bytes; such a push gets 413, body_too_large"),
    })?;
    let push = push_of(&head.headers, body, question.items)?;
    let explanation = admin.decider.explain(&push).await.map_err(|why| Fault {
        status: StatusCode::SERVICE_UNAVAILABLE,
        error: format!("nothing can be decided: {}", why.as_str()),
    })?;
    Ok(Json(answer(&push, &explanation)))
}

fn push_of(headers: &HeaderMap, body: Bytes, items: Option<u64>) -> Result<Push, Fault> {
    let mut tenants = headers.get_all(TENANT_HEADER).iter().map(|value| Bytes::copy_from_slice(value.as_bytes()));
    let tenant = match (tenants.next(), tenants.next()) {
        (None, _) => TenantHeader::Absent,
        (Some(tenant), None) => TenantHeader::Once(tenant),
        (Some(_), Some(_)) => TenantHeader::Repeated,
    };
    let body = match (body.is_empty(), items) {
        (true, items) => PushBody::Counted(PushCounts { samples: items.unwrap_or(1), ..PushCounts::default() }),
        (false, None) => PushBody::Whole(body),
        (false, Some(_)) => {
            return Err(Fault::bad_request("items is for a push without a body; leave one of them out"));
        }
    };
    Ok(Push {
        tenant,
        content_type: headers.get(header::CONTENT_TYPE).map(|value| Bytes::copy_from_slice(value.as_bytes())),
        retry_attempt: headers.get(RETRY_ATTEMPT).map_or(0, |value| retry_attempt(value.as_bytes())),
        body,
    })
}

fn answer(push: &Push, explanation: &Explanation) -> Answer {
    let verdict = &explanation.verdict;
    let tenant = tenant_of(&push.tenant).ok();
    let denial = match &verdict.decision {
        Decision::Allow => None,
        Decision::Deny(denial) => Some(denial),
    };
    let PushCounts { series, samples, histograms, exemplars, metadata, .. } = verdict.counts;
    Answer {
        tenant: tenant.map(|tenant| tenant.id().to_owned()),
        limits_key: tenant.map(|tenant| tenant.limits_key().to_owned()),
        mode: verdict.mode.as_str(),
        decision: explanation.outcome(),
        reason: verdict.reason(),
        limit: denial.and_then(|denial| deciding_limit(denial.reason(), explanation)),
        status: denial.map_or(200, enforce::Denial::status),
        message: denial.map(|denial| denial.message().to_owned()),
        passes_in_seconds: passes_in_seconds(explanation),
        counts: Counts { series, samples, histograms, exemplars, metadata, items: verdict.counts.items() },
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

fn passes_in_seconds(explanation: &Explanation) -> Option<f64> {
    let (request, ingestion) = explanation.buckets.as_ref()?;
    let waits = [request, ingestion].map(|view| view.level.wait_for(view.cost));
    let [Some(request), Some(ingestion)] = waits else { return None };
    Some(request.max(ingestion).as_secs_f64())
}
