//! Any set of documents, applied as from a source.
//!
//! Checks: applying them again changes nothing and finds the same problems; rejected documents change nothing; a check predicts
//! the result; and a snapshot, written as a cache or as an update of the feed, gives the same limits again.
//!
//! An input is a byte of choices and NUL-separated documents, each with its name on the first line.

use std::sync::Arc;

use limits::{
    Defaults, EntryUpdate, LimitsState, MAX_PROBLEMS, MimirVersion, Severity, Snapshot, SourceDocument, TenantLimits,
    Update, check, render_cache,
};

const BEFORE: &str = "overrides: { team: { ingestion_rate: 5 }, other: { request_rate: 3 } }";

/// Applies an input to a state without limits, and to one with some.
pub fn apply(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    let documents: Vec<_> = text.split('\0').map(document).collect();
    let allow_empty = choice & 1 != 0;
    from_nothing(&documents, allow_empty);
    over_others(&documents, allow_empty);
}

fn document(text: &str) -> SourceDocument<'_> {
    let (name, text) = text.split_once('\n').unwrap_or(("runtime.yaml", text));
    SourceDocument::new(name, text)
}

fn state(allow_empty: bool) -> LimitsState {
    LimitsState::new(TenantLimits::default(), allow_empty)
}

fn from_nothing(documents: &[SourceDocument<'_>], allow_empty: bool) {
    let mut state = state(allow_empty);
    let first = state.apply(documents);
    assert_eq!(first.accepted, first.snapshot.is_some());
    let checked = check(&Defaults::default(), &MimirVersion::default(), documents);
    let rejected = checked.problems.iter().any(|problem| problem.severity == Severity::Rejected);
    // Beyond the cap, the rejecting problem may not be listed.
    assert!(rejected != first.accepted || checked.problems.len() >= MAX_PROBLEMS, "a check decides otherwise");
    let again = state.apply(documents);
    assert_eq!((again.changed, again.accepted), (false, first.accepted));
    assert_eq!(again.problems, first.problems);
    if let Some(snapshot) = first.snapshot {
        assert_eq!(snapshot.len(), checked.tenants);
        round_trip(&snapshot);
    }
}

fn over_others(documents: &[SourceDocument<'_>], allow_empty: bool) {
    let mut state = state(allow_empty);
    let before = state.apply(&[SourceDocument::new("runtime.yaml", BEFORE)]).snapshot.expect("a good one");
    let applied = state.apply(documents);
    let after = applied.snapshot.expect("good limits are never taken away");
    if !applied.accepted {
        assert!(Arc::ptr_eq(&before, &after), "rejected documents changed the limits");
    }
    assert_eq!(applied.changed, !Arc::ptr_eq(&before, &after));
    let again = state.apply(documents);
    assert_eq!((again.changed, again.problems), (false, applied.problems));
}

/// Writes and reads the limits as a cache and as an update.
fn round_trip(snapshot: &Snapshot) {
    let cached = render_cache(snapshot, None).expect("an input is small");
    let restored = state(false).restore(&cached).expect("a cache can be read").limits;
    assert_eq!((restored.content_sum(), restored.len()), (snapshot.content_sum(), snapshot.len()));

    let entries: Vec<_> =
        snapshot.tenants().map(|(key, entry)| (key.as_str(), entry.mode, entry.own_fields())).collect();
    let put = entries.iter().map(|(tenant, mode, own_fields)| EntryUpdate { tenant, mode: *mode, own_fields });
    let update = Update { complete: true, put: put.collect(), removed: Vec::new() };
    let updated = state(true).update(&update).expect("the fields of an entry can be read");
    assert_eq!((updated.snapshot.content_sum(), updated.passed_over.len()), (snapshot.content_sum(), 0));
}
