//! Problems and elected replicas as messages of the feed.

use std::sync::Arc;
use std::time::Duration;

use limits::{Code, ElectedReplica, Problem, Severity};
use limits_source::HaTrackerState;
use proto::edge::limits::v1::{
    ElectedPart, ElectedReplica as ElectedMessage, Problem as ProblemMessage, ProblemList, Severity as SeverityMessage,
};

/// The most bytes of problems in the feed; `/api/v1/problems` has all of them.
const LIST_BYTES: usize = 1 << 20;
/// The overhead of a problem.
const PROBLEM_BYTES: usize = 32;

/// The problems that fit in, with a last one that says how many more there are.
pub(super) fn problem_list(problems: &[Problem]) -> ProblemList {
    let (mut sent, mut bytes) = (Vec::new(), 0_usize);
    for problem in problems {
        bytes = bytes.saturating_add(size(problem));
        if bytes > LIST_BYTES {
            sent.push(more(problem, problems.len().saturating_sub(sent.len())));
            break;
        }
        sent.push(problem_message(problem));
    }
    ProblemList { problems: sent }
}

fn size(problem: &Problem) -> usize {
    let Problem { document, tenant, field, message, mimir, .. } = problem;
    let texts = [Some(document), tenant.as_ref(), field.as_ref(), Some(message), mimir.as_ref()];
    texts.into_iter().flatten().fold(PROBLEM_BYTES, |size, text| size.saturating_add(text.len()))
}

fn more(first: &Problem, count: usize) -> ProblemMessage {
    let message =
        format!("{count} more problems are too long for the feed; /api/v1/problems of overrides-sync lists them");
    problem_message(&Problem::of_document(Code::MoreProblems, &*first.document, Severity::Ignored, message))
}

fn problem_message(problem: &Problem) -> ProblemMessage {
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

/// The size at which a part ends.
const PART_BYTES: usize = 512 << 10;
/// The overhead of an entry: tags, lengths and two times.
const REPLICA_BYTES: usize = 32;

/// How long a client uses a list after the poll: Mimir may have elected another replica since.
const LIST_HOLDS: Duration = Duration::from_secs(20);

/// The list, unless it has expired.
pub(super) fn fresh_list(state: &HaTrackerState) -> Option<Arc<[ElectedReplica]>> {
    state.elected.clone().filter(|_| state.age() < LIST_HOLDS)
}

/// The part of a list that begins at `sent`, which is moved to the next part. `age` is the age of the list.
pub(super) fn next_part(
    list: &[ElectedReplica],
    sent: &mut usize,
    requested_at_unix_millis: i64,
    age: Duration,
) -> ElectedPart {
    let (mut elected, mut bytes) = (Vec::new(), 0_usize);
    for replica in list.iter().skip(*sent) {
        let texts = [&replica.tenant, &replica.cluster, &replica.replica];
        let size = texts.iter().fold(REPLICA_BYTES, |size, text| size.saturating_add(text.len()));
        if bytes > 0 && bytes.saturating_add(size) > PART_BYTES {
            break;
        }
        bytes = bytes.saturating_add(size);
        elected.push(replica_message(replica));
    }
    *sent = sent.saturating_add(elected.len());
    let age_millis = Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    ElectedPart { requested_at_unix_millis, last: *sent >= list.len(), elected, age_millis }
}

fn replica_message(replica: &ElectedReplica) -> ElectedMessage {
    let ElectedReplica { tenant, cluster, replica, received_at, elected_at } = replica;
    ElectedMessage {
        tenant: tenant.to_string(),
        cluster: cluster.to_string(),
        replica: replica.to_string(),
        received_at: *received_at,
        elected_at: *elected_at,
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
    use tokio::time::Instant;

    fn elected(number: usize, bytes: usize) -> ElectedReplica {
        ElectedReplica {
            tenant: format!("{number:05}{}", "x".repeat(bytes)).into(),
            cluster: "c".into(),
            replica: "r".into(),
            received_at: 1,
            elected_at: 2,
        }
    }

    #[track_caller]
    fn check(entries: usize, bytes: usize, expected_parts: usize) {
        let list: Vec<_> = (0..entries).map(|number| elected(number, bytes)).collect();
        let (mut sent, mut parts) = (0, Vec::new());
        loop {
            parts.push(next_part(&list, &mut sent, 7, Duration::from_millis(parts.len() as u64)));
            if parts.last().unwrap().last {
                break;
            }
        }
        assert_eq!(parts.len(), expected_parts, "{entries} of {bytes}");
        assert!(parts.iter().all(
            |part| part.requested_at_unix_millis == 7 && (part.elected.len() == 1 || prost_len(part) <= PART_BYTES)
        ));
        assert!(
            (0..).zip(&parts).all(|(age, part)| part.age_millis == Some(age)),
            "each part says how old the list is"
        );
        let received: Vec<_> = parts.into_iter().flat_map(|part| part.elected).collect();
        assert_eq!(received, list.iter().map(replica_message).collect::<Vec<_>>());
    }

    fn prost_len(part: &ElectedPart) -> usize {
        prost::Message::encoded_len(part)
    }

    #[test]
    fn a_list_is_sent_until_it_expires_whatever_the_clock() {
        let list: Arc<[_]> = Arc::new([elected(1, 1)]);
        for requested_at_unix_millis in [i64::MIN, 0, 100_000, i64::MAX] {
            for (elected, age, is_sent) in
                [(Some(&list), 0, true), (Some(&list), 15_000, true), (Some(&list), 20_000, false), (None, 0, false)]
            {
                let requested_at = Instant::now().checked_sub(Duration::from_millis(age));
                let state = HaTrackerState { elected: elected.cloned(), requested_at_unix_millis, requested_at };
                assert_eq!(fresh_list(&state).is_some(), is_sent, "{age}");
            }
        }
        let unknown = HaTrackerState { elected: Some(list), requested_at_unix_millis: 0, requested_at: None };
        assert!(fresh_list(&unknown).is_none());
    }

    #[test]
    fn a_list_is_sent_whole_in_parts_of_bounded_size() {
        check(0, 1, 1);
        check(1, 1, 1);
        check(10_000, 10, 1);
        check(20_000, 100, 6);
        check(3, PART_BYTES, 3);
    }
}
