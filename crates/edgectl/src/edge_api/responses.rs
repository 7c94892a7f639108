//! The responses of the API, as docs/http-api.md describes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answers::OfTenant;

/// Limits by their names in Mimir.
pub(crate) type Fields = Map<String, Value>;

/// `GET /api/v1/tenants`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TenantsPage {
    pub(crate) tenants: Vec<TenantRow>,
    /// Null before the first good limits.
    pub(crate) default_limits: Option<Fields>,
    pub(crate) next: Option<String>,
}

/// A row of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct TenantRow {
    pub(crate) tenant: String,
    pub(crate) mode: String,
    pub(crate) overridden: bool,
    pub(crate) has_buckets: bool,
    /// Those that differ from the defaults.
    pub(crate) limits: Fields,
}

/// `GET /api/v1/tenants/{id}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TenantDetails {
    pub(crate) tenant: String,
    pub(crate) limits_key: String,
    pub(crate) mode: String,
    pub(crate) overridden: bool,
    pub(crate) has_buckets: bool,
    /// Null before the first good limits.
    pub(crate) limits: Option<Fields>,
    pub(crate) edge_limits: Fields,
    pub(crate) request: Option<Bucket>,
    pub(crate) ingestion: Option<Bucket>,
}

/// `POST /api/v1/explain`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Explanation {
    pub(crate) tenant: Option<String>,
    pub(crate) limits_key: Option<String>,
    pub(crate) mode: String,
    pub(crate) decision: String,
    pub(crate) reason: String,
    pub(crate) unmetered: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) status: u16,
    pub(crate) message: Option<String>,
    pub(crate) passes_in_seconds: Option<f64>,
    pub(crate) counts: Counts,
    pub(crate) has_buckets: bool,
    pub(crate) request: Option<Bucket>,
    pub(crate) ingestion: Option<Bucket>,
}

/// The content of a push.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Counts {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    pub(crate) metadata: u64,
    pub(crate) items: u64,
}

/// `GET /api/v1/denials`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DenialsPage {
    /// Newest first.
    pub(crate) denials: Vec<Denial>,
    pub(crate) next: Option<u64>,
}

/// A denial.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Denial {
    /// In RFC 3339 and UTC, so that times are ordered as their texts are.
    pub(crate) time: String,
    /// Counts the denials of a process from 1.
    pub(crate) sequence: u64,
    pub(crate) tenant: Option<String>,
    pub(crate) decision: String,
    pub(crate) mode: String,
    pub(crate) reason: String,
    pub(crate) status: u16,
    pub(crate) api: String,
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    pub(crate) metadata: u64,
    pub(crate) body_bytes: Option<u64>,
    pub(crate) retry_attempt: u64,
    pub(crate) message: String,
}

/// A bucket, and what a push takes from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Bucket {
    pub(crate) limit: BucketLimit,
    pub(crate) capacity: Option<i64>,
    pub(crate) tokens: Option<f64>,
    pub(crate) cost: u64,
    pub(crate) passes: bool,
    pub(crate) passes_in_seconds: Option<f64>,
}

/// The limit of a bucket; null means no limit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct BucketLimit {
    pub(crate) rate: Option<f64>,
    pub(crate) burst: Option<i64>,
}

impl Bucket {
    /// How full it is, from 0 to 1; `None` without a limit, or where it can hold nothing.
    pub(crate) fn fill(&self) -> Option<f64> {
        let capacity = self.capacity.filter(|capacity| *capacity > 0)?;
        self.tokens.map(|tokens| (tokens / capacity as f64).clamp(0.0, 1.0))
    }
}

fn emptiest(buckets: [&Option<Bucket>; 2]) -> f64 {
    buckets.into_iter().flatten().filter_map(Bucket::fill).fold(1.0, f64::min)
}

impl OfTenant for TenantDetails {
    fn has_buckets(&self) -> bool {
        self.has_buckets
    }

    fn fill(&self) -> f64 {
        emptiest([&self.request, &self.ingestion])
    }
}

impl OfTenant for Explanation {
    fn has_buckets(&self) -> bool {
        self.has_buckets
    }

    fn fill(&self) -> f64 {
        emptiest([&self.request, &self.ingestion])
    }
}
