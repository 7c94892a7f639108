//! Checks a set of documents without applying it, independent of the limits in force.

use crate::defaults::{Defaults, MimirSettings};
use crate::document::{self, Loaded, SourceDocument};
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity};
use crate::relabel::ExpressionCache;
use crate::schema::MimirVersion;

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The problems, in the order of the documents and their lines; at most [`crate::MAX_PROBLEMS`].
    /// [`Severity::Rejected`] rejects the documents, [`Severity::Shadowed`] the flat keys of one tenant.
    pub problems: Vec<Problem>,
    /// The number of keys with limits of their own, valid or not; 0 if the documents are rejected.
    pub tenants: usize,
    /// Whether the documents are rejected.
    pub rejected: bool,
    /// The limits of every key of `overrides`, in order, including keys without a map, which have the defaults, and keys that
    /// no push can have. Empty if the documents are rejected.
    pub limits: Vec<(String, TenantLimits)>,
}

/// Checks all documents of a source, files or the keys of one ConfigMap, and applies nothing.
#[must_use]
pub fn check(defaults: &Defaults, version: &MimirVersion, documents: &[SourceDocument<'_>]) -> Checked {
    let mimir = MimirSettings { defaults: defaults.clone(), version: version.clone() };
    let Loaded { drafts, others, mut problems, .. } = document::read(&mimir, documents, ExpressionCache::default());
    let rejected = problems.rejected;
    let tenants = if rejected { 0 } else { drafts.len() };
    let mut limits: Vec<_> = others.into_iter().map(|(key, limits)| (key.into_string(), limits)).collect();
    for (key, draft) in drafts {
        for fault in draft.faults {
            problems.report(Problem { severity: Severity::Shadowed, ..fault });
        }
        limits.push((key.as_str().to_owned(), draft.limits));
    }
    if rejected {
        limits.clear();
    }
    limits.sort_by(|(left, _), (right, _)| left.cmp(right));
    let problems = problems.in_order(documents.iter().map(|document| document.name));
    Checked { problems, tenants, rejected, limits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(documents: &[(&str, &str)], expected: &[&str], tenants: usize) {
        let documents: Vec<_> = documents.iter().map(|(name, text)| SourceDocument::new(name, text)).collect();
        let checked = check(&Defaults::default(), &MimirVersion::default(), &documents);
        let messages: Vec<_> =
            checked.problems.iter().map(|problem| format!("{} {problem}", problem.severity.as_str())).collect();
        assert_eq!(messages, expected);
        assert_eq!(checked.tenants, tenants);
    }

    #[test]
    fn each_problem_says_what_it_costs() {
        found(&[("runtime.yaml", "overrides: {a: {ingestion_rate: 5}, b: {}}")], &[], 2);
        found(
            &[("runtime.yaml", "overrides:\n  a:\n    ingestion_rte: 5\n    request_rate: fast")],
            &[
                "rejected runtime.yaml:3: tenant a: field ingestion_rte is unknown to Mimir 3.1; did you mean ingestion_rate?; \
                 the whole document is rejected",
                "rejected runtime.yaml:4: tenant a: field request_rate is \"fast\": write a number such as 10000; \
                 the whole document is rejected",
            ],
            0,
        );
        found(
            &[("a.ingestion_rate", "fast"), ("b.ingestion_rate", "5")],
            &["shadowed a.ingestion_rate: tenant a: field ingestion_rate is \"fast\": write a number such as 10000"],
            2,
        );
    }
}
