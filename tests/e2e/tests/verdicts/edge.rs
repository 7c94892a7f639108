//! What the edge makes of a document.

use std::panic::{AssertUnwindSafe, catch_unwind};

use limits::{Checked, Defaults, MimirVersion, SourceDocument, TenantLimits, check};

use super::verdict::{Values, Verdict, rate};

/// Reads a document as the edge does.
pub(crate) fn verdict_on(name: &str, document: &[u8]) -> Verdict {
    let checked = catch_unwind(AssertUnwindSafe(|| read(name, document)));
    match checked {
        Err(_) => Verdict::Died,
        Ok(Checked { rejected: true, .. }) => Verdict::Rejected,
        Ok(Checked { limits, .. }) => {
            Verdict::Accepted(limits.into_iter().map(|(tenant, limits)| (tenant, values(&limits))).collect())
        }
    }
}

/// What the edge complains about.
pub(crate) fn problems(name: &str, document: &[u8]) -> String {
    read(name, document).problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn read(name: &str, document: &[u8]) -> Checked {
    check(&Defaults::default(), &MimirVersion::default(), &[SourceDocument::new(name, document)])
}

fn values(limits: &TenantLimits) -> Values {
    [
        rate(limits.ingestion_rate),
        limits.ingestion_burst_size.to_string(),
        rate(limits.request_rate),
        limits.request_burst_size.to_string(),
        limits.max_label_names_per_series.to_string(),
    ]
}
