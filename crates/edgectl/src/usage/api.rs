//! `GET /api/v1/usage` and `GET /api/v1/usage/{id}`, as docs/http-api.md describes them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use ::usage::Interval;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::edge_api::{Answer, Answers, ApiError, Bucket, EdgeApi, EdgeError, Replica, encoded};
use crate::exit;

/// The name of the sum of all tenants without usage of their own.
pub(super) const OTHER: &str = "<other>";

const LIST: &str = "/api/v1/usage?limit=1000";

/// The usage of the tenants of one replica.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct UsageList {
    pub(super) tenants: Vec<Row>,
    pub(super) distributors: NonZeroU32,
}

/// The usage of one tenant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Row {
    pub(super) tenant: String,
    pub(super) mode: String,
    pub(super) overridden: bool,
    pub(super) minute: Window,
    pub(super) quarter_hour: Window,
    pub(super) usage_ratio: BTreeMap<String, f64>,
    pub(super) refused_in_a_row: u64,
    pub(super) refused_since: Option<String>,
    pub(super) never_retries: bool,
    pub(super) request: Option<Bucket>,
    pub(super) ingestion: Option<Bucket>,
}

/// A time that ends now.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Window {
    pub(super) requests_per_second: f64,
    pub(super) items_per_second: f64,
    pub(super) seconds: u32,
    pub(super) requests: u32,
    pub(super) items: u32,
    pub(super) denied: u32,
    pub(super) peak_items: u32,
    pub(super) peak_requests: u32,
}

/// All that a replica keeps of one tenant.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Details {
    pub(super) history: Vec<Interval>,
}

impl Row {
    /// The part of the nearest limit.
    pub(super) fn used(&self) -> Option<f64> {
        self.usage_ratio.values().copied().reduce(f64::max)
    }
}

/// The rows of all replicas.
pub(super) async fn rows(edge: &EdgeApi) -> Result<Answers<UsageList>, EdgeError> {
    edge.get(LIST).await
}

/// What each replica keeps of a tenant; nothing of those that know no usage of it.
pub(super) async fn histories(edge: &EdgeApi, tenant: &str) -> Result<Vec<Answer<Vec<Interval>>>, EdgeError> {
    let answers = edge.ask(async |replica| history(replica, tenant).await).await?.answers;
    Ok(answers.into_iter().filter(|answer| !answer.value.is_empty()).collect())
}

/// All that one replica keeps.
pub(super) struct AllHistories {
    pub(super) distributors: NonZeroU32,
    /// Of each tenant with usage of its own.
    pub(super) tenants: Vec<(String, Vec<Interval>)>,
    /// Whether others sent something, whose usage is one sum.
    pub(super) has_others: bool,
}

/// Asks one replica for the histories of all its tenants.
pub(super) async fn all_histories(replica: &Replica) -> Result<AllHistories, ApiError> {
    let list: UsageList = replica.get(LIST).await?;
    let (others, own): (Vec<_>, Vec<_>) = list.tenants.into_iter().partition(|row| row.tenant == OTHER);
    let mut tenants = Vec::new();
    for row in own {
        let history = history(replica, &row.tenant).await?;
        tenants.push((row.tenant, history));
    }
    let has_others = others.iter().any(|row| row.quarter_hour.requests > 0);
    Ok(AllHistories { distributors: list.distributors, tenants, has_others })
}

/// What a replica keeps of a tenant; nothing if it knows no usage of it.
async fn history(replica: &Replica, tenant: &str) -> Result<Vec<Interval>, ApiError> {
    match replica.get::<Details>(&format!("/api/v1/usage/{}", encoded(tenant))).await {
        Ok(details) => Ok(details.history),
        Err(ApiError::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The history of the replica that saw most of a tenant: where the number of replicas has changed, several saw a part.
pub(super) fn longest(tenant: &str, histories: Vec<Answer<Vec<Interval>>>) -> Option<Answer<Vec<Interval>>> {
    let pushes = |answer: &Answer<Vec<Interval>>| -> u64 {
        answer.value.iter().map(|interval| u64::from(interval.total.requests)).sum()
    };
    let several = histories.iter().filter(|answer| pushes(answer) > 0).count() > 1;
    let longest = histories.into_iter().max_by_key(pushes)?;
    if several {
        exit::note(&format!(
            "several replicas have usage of {tenant}, as after a change of their number; that of {} counts, which has most pushes",
            longest.replica
        ));
    }
    Some(longest)
}
