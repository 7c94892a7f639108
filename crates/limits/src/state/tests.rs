use super::*;
use crate::problem::MAX_PROBLEMS;

fn state() -> LimitsState {
    LimitsState::new(TenantLimits::default(), false)
}

fn apply(state: &mut LimitsState, text: &str) -> Applied {
    state.apply(&[SourceDocument::new("limits.yaml", text)])
}

/// Version, and each tenant's rate and mode.
fn seen(state: &LimitsState) -> (u64, Vec<(String, f64, Mode)>) {
    let now = state.current().expect("limits");
    let tenants = now.tenants().map(|(key, entry)| (key.to_string(), entry.limits.ingestion_rate, entry.mode));
    (now.version(), tenants.collect())
}

const GOOD: &str = "overrides: {a: {ingestion_rate: 1}, b: {ingestion_rate: 2}}";

fn good() -> (u64, Vec<(String, f64, Mode)>) {
    (1, vec![("a".to_owned(), 1.0, Mode::Enforce), ("b".to_owned(), 2.0, Mode::Enforce)])
}

#[test]
fn there_are_no_limits_before_the_first_good_document() {
    let mut state = state();
    assert!(state.current().is_none());
    let applied = apply(&mut state, "overrides: {a: {ingestion_rate: fast}}");
    assert!(applied.snapshot.is_none() && !applied.changed && !applied.problems.is_empty());
    let applied = apply(&mut state, GOOD);
    assert!(applied.changed && applied.problems.is_empty());
    assert_eq!(seen(&state), good());
}

#[test]
fn of_several_yaml_documents_the_first_holds() {
    let mut state = state();
    let applied = apply(&mut state, &format!("{GOOD}\n---\noverrides: {{a: {{ingestion_rate: 7}}, c: {{}}}}\n"));
    assert!(applied.accepted);
    assert_eq!(applied.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2)]);
    assert_eq!(seen(&state), good());
}

#[test]
fn a_rejected_document_changes_no_tenant() {
    let mut state = state();
    apply(&mut state, GOOD);
    let applied = apply(&mut state, "overrides: {a: {ingestion_rate: 7}, c: {ingestion_rate: fast}}");
    assert!(!applied.changed);
    assert_eq!(applied.snapshot.map(|now| now.version()), Some(1));
    assert_eq!(seen(&state), good());
}

#[test]
fn the_version_counts_changes_only() {
    let mut state = state();
    apply(&mut state, GOOD);
    let same = apply(
        &mut state,
        "# the same in other words\noverrides:\n  b: {ingestion_rate: 2.0}\n  a: {ingestion_rate: 1}\n",
    );
    assert!(!same.changed);
    assert_eq!(seen(&state), good());
    assert!(apply(&mut state, "overrides: {a: {ingestion_rate: 1}}").changed);
    assert_eq!(seen(&state), (2, vec![("a".to_owned(), 1.0, Mode::Enforce)]));
}

#[test]
fn a_removed_tenant_falls_to_the_defaults() {
    let mut state = LimitsState::new(TenantLimits { ingestion_rate: 42.0, ..TenantLimits::default() }, false);
    apply(&mut state, GOOD);
    apply(&mut state, "overrides: {b: {request_rate: 2}}");
    let now = state.current().expect("limits");
    assert!(now.entry("a").is_none());
    assert_eq!(now.defaults().limits.ingestion_rate, 42.0);
    assert_eq!(now.entry("b").map(|entry| entry.limits.ingestion_rate), Some(42.0));
}

#[test]
fn an_emptied_document_is_kept_off_unless_allowed() {
    for text in ["", "overrides:\n", "overrides: {}\n", "{}"] {
        let mut state = state();
        apply(&mut state, GOOD);
        let applied = apply(&mut state, text);
        assert_eq!(applied.problems.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Kept]);
        assert_eq!(seen(&state), good(), "{text:?}");

        let mut allowing = LimitsState::new(TenantLimits::default(), true);
        apply(&mut allowing, GOOD);
        assert!(apply(&mut allowing, text).changed);
        assert_eq!(seen(&allowing), (2, vec![]), "{text:?}");
    }
}

#[test]
fn no_documents_at_all_are_an_emptied_source() {
    let mut state = state();
    apply(&mut state, GOOD);
    assert_eq!(state.apply(&[]).problems.len(), 1);
    assert_eq!(seen(&state), good());
}

#[test]
fn a_first_document_may_be_empty() {
    let mut state = state();
    let applied = apply(&mut state, "");
    assert!(applied.changed && applied.problems.is_empty());
    assert_eq!(seen(&state), (1, vec![]));
}

#[test]
fn a_tenant_never_good_is_in_shadow() {
    let mut state = state();
    let applied = apply(&mut state, "a.ingestion_rate: '5'\na.request_rate: often\nb.ingestion_rate: '2'\n");
    assert_eq!(seen(&state).1, [("a".to_owned(), 5.0, Mode::Shadow), ("b".to_owned(), 2.0, Mode::Enforce)]);
    assert_eq!(applied.problems[0].severity, Severity::Shadowed);
    apply(&mut state, "a.ingestion_rate: '6'\na.request_rate: seldom\nb.ingestion_rate: '2'\n");
    assert_eq!(seen(&state).1[0], ("a".to_owned(), 6.0, Mode::Shadow));
    apply(&mut state, "a.ingestion_rate: '6'\nb.ingestion_rate: '2'\n");
    assert_eq!(seen(&state).1[0], ("a".to_owned(), 6.0, Mode::Enforce));
}

#[test]
fn a_flat_tenant_gone_bad_keeps_its_last_good_entry() {
    let mut state = state();
    apply(&mut state, "a.ingestion_rate: '5'\nb.ingestion_rate: '2'\n");
    let applied = apply(&mut state, "a.ingestion_rate: fast\na.request_rate: '9'\nb.ingestion_rate: '3'\n");
    assert_eq!(applied.problems[0].severity, Severity::Kept);
    assert_eq!(seen(&state), (2, vec![("a".to_owned(), 5.0, Mode::Enforce), ("b".to_owned(), 3.0, Mode::Enforce)]));
    assert_eq!(state.current().expect("limits").entry("a").map(|entry| entry.limits.request_rate), Some(0.0));
}

#[test]
fn bad_flat_keys_wait_while_a_document_is_rejected() {
    let mut state = state();
    let documents = [("runtime.yaml", "overrides: ["), ("a.ingestion_rate", "fast")];
    let applied = state.apply(&documents.map(|(name, text)| SourceDocument::new(name, text)));
    assert!(applied.snapshot.is_none());
    let severities: Vec<_> = applied.problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Rejected, Severity::Kept]);
}

#[test]
fn the_reason_of_a_rejection_is_always_listed() {
    let mut text = "overrides:\n".to_owned();
    for tenant in 0..MAX_PROBLEMS + 500 {
        text += &format!("  t{tenant}: {{zzz: 1}}\n");
    }
    text += "  last: {ingestion_rate: fast}\n";
    let mut state = state().of_version("3.9".parse().expect("a version"));
    let problems = apply(&mut state, &text).problems;
    assert_eq!(problems.len(), MAX_PROBLEMS);
    assert_eq!(problems.iter().filter(|problem| problem.severity == Severity::Rejected).count(), 1);
}

#[test]
fn problems_come_in_order_and_are_bounded() {
    let mut state = state();
    let mut text = "overrides:\n".to_owned();
    for tenant in 0..MAX_PROBLEMS + 500 {
        text += &format!("  t{tenant}:\n    zzz: 1\n");
    }
    let problems = apply(&mut state, &text).problems;
    assert_eq!(problems.len(), MAX_PROBLEMS);
    assert!(problems[..MAX_PROBLEMS - 1].is_sorted_by_key(|problem| problem.line));
    assert_eq!(problems[MAX_PROBLEMS - 1].message, "501 more problems are not listed; fix these first");
}
