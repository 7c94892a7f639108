//! What is wrong with the documents, as a message of the feed.

use limits::{Code, Problem, Severity};
use proto::edge::limits::v1::{Problem as ProblemMessage, ProblemList, Severity as SeverityMessage};

/// How much of the texts is sent; `/api/v1/problems` has all of them.
const LIST_BYTES: usize = 1 << 20;
/// What a problem takes beside its texts.
const PROBLEM_BYTES: usize = 32;

/// The list, or what of it has room, with a last problem that says how many more there are.
pub(super) fn problem_list(problems: &[Problem]) -> ProblemList {
    let (mut sent, mut bytes) = (Vec::new(), 0_usize);
    for problem in problems {
        bytes = bytes.saturating_add(size(problem));
        if bytes > LIST_BYTES {
            sent.push(more(problem, problems.len().saturating_sub(sent.len())));
            break;
        }
        sent.push(message(problem));
    }
    ProblemList { problems: sent }
}

fn size(problem: &Problem) -> usize {
    let Problem { document, tenant, field, message, mimir, .. } = problem;
    let texts = [Some(document), tenant.as_ref(), field.as_ref(), Some(message), mimir.as_ref()];
    texts.into_iter().flatten().fold(PROBLEM_BYTES, |size, text| size.saturating_add(text.len()))
}

fn more(first: &Problem, count: usize) -> ProblemMessage {
    ProblemMessage {
        code: Code::MoreProblems.id().to_owned(),
        mimir: None,
        document: first.document.clone(),
        tenant: None,
        field: None,
        line: None,
        severity: SeverityMessage::Ignored.into(),
        message: format!(
            "{count} more problems are too long for the feed; /api/v1/problems of overrides-sync lists them"
        ),
    }
}

fn message(problem: &Problem) -> ProblemMessage {
    let Problem { code, document, tenant, field, line, severity, message, mimir } = problem.clone();
    let severity = match severity {
        Severity::Ignored => SeverityMessage::Ignored,
        Severity::Kept => SeverityMessage::Kept,
        Severity::Shadowed => SeverityMessage::Shadowed,
        Severity::Rejected => SeverityMessage::Rejected,
    };
    ProblemMessage {
        document,
        tenant,
        field,
        line,
        severity: severity.into(),
        message,
        code: code.id().to_owned(),
        mimir,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(message: String) -> Problem {
        let document = "overrides.yaml".to_owned();
        Problem {
            code: Code::BadValue,
            document,
            tenant: Some("t".to_owned()),
            field: None,
            line: Some(3),
            severity: Severity::Kept,
            message,
            mimir: None,
        }
    }

    #[test]
    fn problems_beyond_the_bound_are_counted() {
        let problems: Vec<_> = (0..5).map(|_| problem("x".repeat(LIST_BYTES / 4))).collect();
        let list = problem_list(&problems).problems;
        assert_eq!(list.len(), 4);
        assert!(list[3].message.starts_with("2 more problems"), "{}", list[3].message);
        assert_eq!(problem_list(&problems[..3]).problems.len(), 3);
        assert!(problem_list(&[]).problems.is_empty());
    }
}
