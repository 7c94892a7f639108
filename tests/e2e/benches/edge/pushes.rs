//! The tenants of the benchmark with their limits, and their pushes.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Request, push_request};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

#[path = "../../../../crates/remote-write/benches/batch/labels.rs"]
mod batch;

pub(crate) const SIZES: [u32; 5] = [100, 775, 2_000, 10_000, 38_000];

/// Why a push is denied, or that it is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Rate,
    Requests,
    Allowed,
}

impl Case {
    pub(crate) const ALL: [Self; 3] = [Self::Rate, Self::Requests, Self::Allowed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rate => "denied by the ingestion rate",
            Self::Requests => "denied by the request rate",
            Self::Allowed => "allowed",
        }
    }

    /// The cost of the edge in parts of Mimir's that it is to stay below, if there is a target for this size.
    pub(crate) fn target(self, samples: u32) -> Option<f64> {
        match (self, samples) {
            (Self::Rate, 100) => Some(1.6),
            (Self::Rate, 775) => Some(0.42),
            (Self::Rate, 2_000) => Some(0.28),
            (Self::Rate, 10_000) => Some(0.16),
            (Self::Rate, _) => Some(0.14),
            (Self::Requests, _) => Some(3.0),
            (Self::Allowed, 100) => Some(0.40),
            (Self::Allowed, 2_000) => Some(0.10),
            (Self::Allowed, _) => None,
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Requests => "requests",
            Self::Allowed => "allowed",
        }
    }

    pub(crate) fn tenant(self, samples: u32) -> String {
        format!("{}-{samples}", self.kind())
    }

    fn limits(self, samples: u32) -> String {
        let limits = match self {
            // The burst is larger than a push, as Mimir's default is, and the first pushes empty it.
            Self::Rate => format!("ingestion_rate: 0.001, ingestion_burst_size: {}", 10 * samples),
            Self::Requests => format!("{OPEN}, request_rate: 0.001, request_burst_size: 1"),
            Self::Allowed => OPEN.to_owned(),
        };
        format!("  {}: {{ {limits} }}\n", self.tenant(samples))
    }
}

/// Nothing is denied.
const OPEN: &str = "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000, max_global_series_per_user: 0";

/// The overrides of all of them.
pub(crate) fn overrides() -> String {
    let documents = Case::ALL.iter().flat_map(|case| SIZES.map(|samples| case.limits(samples)));
    format!("overrides:\n{}", documents.collect::<String>())
}

/// Pushes of a tenant. The times of those that are stored increase, as those of a Prometheus do.
pub(crate) struct Pushes {
    tenant: String,
    is_stored: bool,
    series: Vec<Series>,
    next: Request,
}

impl Pushes {
    pub(crate) fn of(case: Case, samples: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let series = |index| {
            let labels = batch::labels(index);
            Series { labels, samples: vec![(f64::from(index) * 1.37, now)], ..Series::default() }
        };
        let (series, tenant): (Vec<Series>, _) = ((0..samples).map(series).collect(), case.tenant(samples));
        Self { next: encoded(&tenant, &series), tenant, is_stored: case == Case::Allowed, series }
    }

    /// The status of the answer to each of them, once the tenant's bucket is empty.
    pub(crate) fn expected_status(&self) -> u16 {
        if self.is_stored { 200 } else { 429 }
    }

    pub(crate) fn next(&mut self) -> &Request {
        if self.is_stored {
            for (value, time) in self.series.iter_mut().flat_map(|series| &mut series.samples) {
                *value += 1.0;
                *time += 1;
            }
            self.next = encoded(&self.tenant, &self.series);
        }
        &self.next
    }
}

fn encoded(tenant: &str, series: &[Series]) -> Request {
    push_request(tenant, &encode_push(Protocol::V1, series, &[]).unwrap_or_else(|error| unreachable!("{error}")))
}
