//! What the edge makes of a document.

use std::panic::{AssertUnwindSafe, catch_unwind};

use limits::{LimitsState, SourceDocument, TenantLimits};

use super::verdict::{Values, Verdict, rate};

/// Reads a document as the edge does.
pub(crate) fn judge(name: &str, document: &[u8]) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| read(name, document))).unwrap_or(Verdict::Died)
}

/// What the edge complains about.
pub(crate) fn problems(name: &str, document: &[u8]) -> String {
    let mut state = LimitsState::new(TenantLimits::default(), true);
    let applied = state.apply(&[SourceDocument::new(name, document)]);
    applied.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn read(name: &str, document: &[u8]) -> Verdict {
    let mut state = LimitsState::new(TenantLimits::default(), true);
    let applied = state.apply(&[SourceDocument::new(name, document)]);
    match applied.snapshot.filter(|_| applied.accepted) {
        Some(snapshot) => Verdict::Accepted(
            snapshot.tenants().map(|(tenant, entry)| (tenant.as_str().to_owned(), values(&entry.limits))).collect(),
        ),
        None => Verdict::Refused,
    }
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
