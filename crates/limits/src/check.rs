//! What a set of documents is on its own, whatever limits are in force: for whoever looks at it before it is taken.

use crate::document::{self, Reading, SourceDocument};
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity};
use crate::relabel::Expressions;

/// What was found of a set of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Everything found wrong, in the order of the documents and their lines; at most [`crate::MAX_PROBLEMS`].
    /// [`Severity::Rejected`] refuses a document, [`Severity::Shadowed`] the flat keys of one tenant, and the rest is
    /// passed over.
    pub problems: Vec<Problem>,
    /// How many keys have limits of their own, good or bad.
    pub tenants: usize,
}

/// Looks at everything that a source would hold, as one file or the keys of one ConfigMap. Nothing is taken from it.
#[must_use]
pub fn check(defaults: &TenantLimits, documents: &[SourceDocument<'_>]) -> Checked {
    let Reading { drafts, mut problems, .. } = document::read(defaults, documents, Expressions::default());
    let tenants = drafts.len();
    for fault in drafts.into_values().flat_map(|draft| draft.faults) {
        problems.tell(Problem { severity: Severity::Shadowed, ..fault });
    }
    Checked { problems: problems.in_order(documents.iter().map(|document| document.name)), tenants }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(documents: &[(&str, &str)], expected: &[&str], tenants: usize) {
        let documents: Vec<_> = documents.iter().map(|(name, text)| SourceDocument::new(name, text)).collect();
        let checked = check(&TenantLimits::default(), &documents);
        let told: Vec<_> =
            checked.problems.iter().map(|problem| format!("{} {problem}", problem.severity.as_str())).collect();
        assert_eq!(told, expected);
        assert_eq!(checked.tenants, tenants);
    }

    #[test]
    fn each_problem_says_what_it_costs() {
        found(&[("runtime.yaml", "overrides: {a: {ingestion_rate: 5}, b: {}}")], &[], 2);
        found(
            &[("runtime.yaml", "overrides:\n  a:\n    ingestion_rte: 5\n    request_rate: fast")],
            &[
                "ignored runtime.yaml:3: tenant a: field ingestion_rte is unknown and is ignored; did you mean ingestion_rate?",
                "rejected runtime.yaml:4: tenant a: field request_rate is \"fast\": write a number such as 10000; \
                 the whole document is refused",
            ],
            1,
        );
        found(
            &[("a.ingestion_rate", "fast"), ("b.ingestion_rate", "5")],
            &["shadowed a.ingestion_rate: tenant a: field ingestion_rate is \"fast\": write a number such as 10000"],
            2,
        );
    }
}
