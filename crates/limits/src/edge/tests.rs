use super::*;
use crate::problem::Severity;
use proptest::prelude::*;

const ENFORCE: EdgePolicy = policy(Mode::Enforce, None, None);

const fn policy(mode: Mode, max_body_bytes: Option<u64>, max_series_per_request: Option<u64>) -> EdgePolicy {
    EdgePolicy { mode, limits: EdgeLimits { max_body_bytes, max_series_per_request } }
}

fn apply(state: &mut EdgeConfigState, text: &str) -> EdgeConfigApplied {
    state.apply("edge.yaml", text)
}

fn read(text: &str) -> EdgeConfigApplied {
    apply(&mut EdgeConfigState::new(), text)
}

fn severities(applied: &EdgeConfigApplied) -> Vec<Severity> {
    applied.problems.iter().map(|problem| problem.severity).collect()
}

#[track_caller]
fn check(text: &str, default: EdgePolicy, tenants: &[(&str, EdgePolicy)]) {
    let applied = read(text);
    assert_eq!(applied.problems, [], "{text}");
    assert!(applied.accepted && applied.changed, "{text}");
    assert_eq!(*applied.config.default_policy(), default, "{text}");
    let seen: Vec<_> = applied.config.tenants().map(|(id, policy)| (id.as_str(), *policy)).collect();
    assert_eq!(seen, tenants, "{text}");
}

#[test]
fn a_tenant_inherits_what_it_does_not_name() {
    let shadow = policy(Mode::Shadow, Some(9), None);
    check("mode: enforce", ENFORCE, &[]);
    check("{}", ENFORCE, &[]);
    check("tenants:\nedge_limits:\n", ENFORCE, &[]);
    check("mode: \"off\"", policy(Mode::Off, None, None), &[]);
    check("{mode: off, tenants: {a: {mode: enforce}}}", policy(Mode::Off, None, None), &[("a", ENFORCE)]);
    check(
        "tenants: {b: {}, a: {mode: shadow}, c: }\nedge_limits: {max_body_bytes: 9}",
        policy(Mode::Enforce, Some(9), None),
        &[("a", shadow), ("b", policy(Mode::Enforce, Some(9), None)), ("c", policy(Mode::Enforce, Some(9), None))],
    );
    check(
        "mode: shadow\nedge_limits: {max_body_bytes: 9, max_series_per_request: 0}\n\
         tenants: {a: {edge_limits: {max_series_per_request: 5}}, b: {mode: off, edge_limits: {max_body_bytes: 0}}}",
        shadow,
        &[("a", policy(Mode::Shadow, Some(9), Some(5))), ("b", policy(Mode::Off, None, None))],
    );
    check(
        "edge_limits: {max_body_bytes: 18446744073709551615, max_series_per_request: 0x10}",
        policy(Mode::Enforce, Some(u64::MAX), Some(16)),
        &[],
    );
}

#[test]
fn every_spelling_of_a_tenant_has_its_policy() {
    let config = read("tenants: {a: {mode: shadow}}").config;
    for (header, mode) in
        [("a", Mode::Shadow), ("a|a", Mode::Shadow), ("a:k=v", Mode::Shadow), ("b:k=v", Mode::Enforce)]
    {
        let tenant = Tenant::parse(Some(header.as_bytes())).expect("a tenant");
        assert_eq!(config.for_tenant(&tenant).mode, mode, "{header}");
    }
    assert_eq!((config.tenant("a").map(|policy| policy.mode), config.tenant("b")), (Some(Mode::Shadow), None));
}

#[test]
fn everybody_is_in_shadow_before_the_first_good_document() {
    let mut state = EdgeConfigState::new();
    let shadow = policy(Mode::Shadow, None, None);
    assert_eq!(*state.current(), EdgeConfig::for_everybody(shadow));
    for text in ["", "# nothing\n", "~", "mode: on", "mode: [", "overrides: {}", "- mode"] {
        let applied = apply(&mut state, text);
        assert!(!applied.accepted && !applied.changed, "{text:?}");
        assert_eq!(severities(&applied), [Severity::Rejected], "{text:?}");
        assert_eq!(*applied.config.default_policy(), shadow, "{text:?}");
    }
    assert!(apply(&mut state, "mode: shadow").changed, "from now on it is the operator's word");
    assert!(!apply(&mut state, "{mode: shadow}").changed);
}

#[test]
fn without_a_document_everybody_is_enforced() {
    assert_eq!(EdgeConfig::default(), EdgeConfig::for_everybody(ENFORCE));
}

#[test]
fn a_rejected_document_changes_no_tenant() {
    let mut state = EdgeConfigState::new();
    let good = apply(&mut state, "{mode: shadow, tenants: {a: {mode: enforce}}}").config;
    let applied = apply(&mut state, "mode: shadw\ntenants:\n  a: {mode: offf}\n  b: {mode: off}\n");
    assert_eq!((applied.accepted, applied.changed), (false, false));
    assert_eq!(severities(&applied), [Severity::Rejected, Severity::Kept]);
    assert_eq!(applied.config, good);
    assert_eq!(state.current(), good);
}

#[test]
fn a_bad_entry_keeps_the_policy_or_shadows() {
    let mut state = EdgeConfigState::new();
    apply(&mut state, "{mode: shadow, tenants: {a: {edge_limits: {max_body_bytes: 5}}}}");
    let broken = "mode: enforce\ntenants:\n  a: {mode: of}\n  b: {mode: enforced, edge_limits: {max_body_bytes: 7}}\n";
    let applied = apply(&mut state, broken);
    assert!(applied.accepted && applied.changed);
    assert_eq!(severities(&applied), [Severity::Kept, Severity::Shadowed]);
    assert_eq!(
        applied.config.tenant("a"),
        Some(&policy(Mode::Shadow, Some(5), None)),
        "the mode that it had inherited"
    );
    assert_eq!(applied.config.tenant("b"), Some(&policy(Mode::Shadow, Some(7), None)));
    assert_eq!(*applied.config.default_policy(), ENFORCE);

    let again = apply(&mut state, broken);
    assert!(!again.changed);
    assert_eq!(severities(&again), [Severity::Kept, Severity::Shadowed], "a shadowed entry is no good one");

    let fixed = apply(&mut state, "tenants: {a: {}, b: {mode: enforce}}");
    assert_eq!(fixed.problems, []);
    assert_eq!([fixed.config.tenant("a"), fixed.config.tenant("b")], [Some(&ENFORCE); 2]);
}

#[test]
fn a_fixed_fault_is_a_change() {
    let mut state = EdgeConfigState::new();
    apply(&mut state, "tenants: {a: {mode: shadw}}");
    assert!(apply(&mut state, "tenants: {a: {mode: shadow}}").changed);
    let applied = apply(&mut state, "tenants: {a: {mode: shadw}}");
    assert_eq!((applied.changed, severities(&applied)), (false, vec![Severity::Kept]));
}

#[test]
fn a_tenant_without_an_entry_follows_the_default() {
    let mut state = EdgeConfigState::new();
    apply(&mut state, "tenants: {a: {mode: off}}");
    let applied = apply(&mut state, "mode: enforce");
    assert!(applied.changed && applied.config.tenant("a").is_none());
}

#[test]
fn a_document_over_the_cap_is_rejected_unread() {
    let text = format!("mode: off{}", " ".repeat(crate::MAX_DOCUMENT_BYTES));
    let applied = read(&text);
    assert_eq!(severities(&applied), [Severity::Rejected]);
}

#[test]
fn problems_are_bounded() {
    let mut text = "tenants:\n".to_owned();
    for tenant in 0..crate::MAX_PROBLEMS + 500 {
        text += &format!("  t{tenant}: {{zzz: 1}}\n");
    }
    let problems = read(&text).problems;
    assert_eq!(problems.len(), crate::MAX_PROBLEMS);
}

proptest! {
    #[test]
    fn no_likely_text_panics_or_makes_the_edge_stricter(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "mode", "edge_limits", "tenants", ":", ": ", " ", "\n", "\n  ", "a", "enforce", "shadow", "off", "[", "]",
                "{", "}", ",", "&x ", "*x", "<<", "5", "-1", "\"", "'", "|", "---", "~", "max_body_bytes", "#",
            ][..]),
            0..40,
        )
    ) {
        let text = words.concat();
        let applied = read(&text);
        prop_assert_eq!(applied.accepted, applied.changed);
        prop_assert!(applied.accepted || *applied.config == *EdgeConfigState::new().current());
    }
}
