//! What mimir-rls says that it saw.

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use crate::args::Phase;
use crate::edge_api::{ApiError, Denial, DenialsPage, EdgeApi, EdgeError, Replica, TenantDetails, encoded};
use crate::steps::Step;

/// The newest denial of the tenant by replica; 0 where there is none.
pub(super) type Newest = BTreeMap<String, u64>;

/// The usage of the tenant.
#[derive(Deserialize)]
struct Usage {
    quarter_hour: Window,
}

#[derive(Deserialize)]
struct Window {
    requests: u64,
}

/// Asks for one tenant.
pub(super) struct Evidence {
    edge: EdgeApi,
    tenant: String,
}

impl Evidence {
    pub(super) fn new(edge: EdgeApi, tenant: &HeaderValue) -> Self {
        Self { edge, tenant: String::from_utf8_lossy(tenant.as_bytes()).into_owned() }
    }

    /// The pushes that all replicas counted in the last quarter of an hour.
    ///
    /// # Errors
    /// No replica answers.
    pub(super) async fn pushes(&self) -> Result<u64, String> {
        // Usage is that of the bare tenant.
        let bare = self.tenant.split(':').next().unwrap_or_default();
        let path = format!("/api/v1/usage/{}", encoded(bare));
        let ask = async |replica: &Replica| match replica.get::<Usage>(&path).await {
            Ok(usage) => Ok(usage.quarter_hour.requests),
            Err(ApiError::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(0),
            Err(error) => Err(error),
        };
        let answers = self.edge.ask(ask).await.map_err(text)?;
        Ok(answers.answers.iter().map(|answer| answer.value).sum())
    }

    /// One sample more than the burst of the tenant.
    ///
    /// # Errors
    /// It has none, or the edge does not deny it in this phase: the step as it ends.
    pub(super) async fn over_burst(&self, name: &'static str, phase: Phase) -> Result<i64, Step> {
        let path = format!("/api/v1/tenants/{}", encoded(&self.tenant));
        let hint = || "name all replicas of mimir-rls with --address, or use kubectl mimir-edge".to_owned();
        let answers =
            self.edge.get::<TenantDetails>(&path).await.map_err(|error| Step::failed(name, text(error), hint()))?;
        let (details, _) = answers.deciding().ok_or_else(|| Step::failed(name, "no replica answers", hint()))?;
        let TenantDetails { mode, ingestion, .. } = details.value;
        if phase == Phase::Full && mode != "enforce" {
            let hint = "in this mode the edge refuses nothing: set the mode enforce in the edge config, or name another tenant";
            let found = format!("the tenant is in mode {mode}");
            // The operator chose to count only; any other mode lets pushes go past the edge.
            let is_chosen = mode == "shadow";
            return Err(if is_chosen { Step::skipped(name, found, hint) } else { Step::failed(name, found, hint) });
        }
        let burst = ingestion.and_then(|bucket| bucket.limit.burst);
        let burst = burst.ok_or_else(|| {
            let hint = "give the tenant an override with an ingestion_rate and an ingestion_burst_size, such as 1000";
            Step::failed(name, "the tenant has no limit", hint)
        })?;
        Ok(burst.saturating_add(1))
    }

    /// The newest denials, to know later ones by.
    ///
    /// # Errors
    /// No replica answers.
    pub(super) async fn newest_denials(&self) -> Result<Newest, String> {
        let answers = self.edge.get::<DenialsPage>(&self.denials(1)).await.map_err(text)?;
        let newest = |page: &DenialsPage| page.denials.first().map_or(0, |denial| denial.sequence);
        Ok(answers.answers.iter().map(|answer| (answer.replica.clone(), newest(&answer.value))).collect())
    }

    /// A later denial of a push of so many samples.
    ///
    /// # Errors
    /// No replica answers.
    pub(super) async fn denial_after(&self, before: &Newest, samples: i64) -> Result<Option<Denial>, String> {
        let answers = self.edge.get::<DenialsPage>(&self.denials(100)).await.map_err(text)?;
        let later = answers.answers.into_iter().flat_map(|answer| {
            let newest = before.get(&answer.replica).copied().unwrap_or_default();
            answer.value.denials.into_iter().filter(move |denial| denial.sequence > newest)
        });
        let is_it = |denial: &Denial| i64::try_from(denial.samples).is_ok_and(|count| count == samples);
        Ok(later.into_iter().find(is_it))
    }

    fn denials(&self, limit: u32) -> String {
        format!("/api/v1/denials?tenant={}&limit={limit}", encoded(&self.tenant))
    }
}

fn text(error: EdgeError) -> String {
    error.to_string()
}
