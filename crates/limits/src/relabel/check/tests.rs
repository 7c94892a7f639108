use super::*;
use crate::{LimitsState, SourceDocument, TenantLimits};

/// The problems of a document whose one tenant has these fields, without what all of them begin with.
fn reported(fields: &str) -> Vec<String> {
    let text =
        format!("overrides:\n  team-a:\n{}", fields.lines().map(|line| format!("    {line}\n")).collect::<String>());
    let state = LimitsState::new(TenantLimits::default(), false);
    // One that still has metric_relabeling_enabled, and no field that Mimir 3.1 does not have.
    let mut state = if fields.contains("relabeling") { state.of_version("3.0".parse().unwrap()) } else { state };
    let applied = state.apply(&[SourceDocument::new("r.yaml", &text)]);
    let rejected = applied.problems.iter().any(|problem| problem.severity == Severity::Rejected);
    assert_eq!(applied.accepted, !rejected, "{text}");
    let start = "r.yaml:3: tenant team-a: field metric_relabel_configs has rule 1 ";
    let reported = applied.problems.iter().map(|problem| (problem.severity, problem.to_string()));
    let rule = "r.yaml:3: tenant team-a: field metric_relabel_configs[0].";
    let short = |text: &str| text.strip_prefix(start).or(text.strip_prefix(rule)).unwrap_or(text).to_owned();
    reported.map(|(severity, text)| format!("{} {}", severity.as_str(), short(&text))).collect()
}

#[track_caller]
fn check_rule(rule: &str, expected: &[&str]) {
    assert_eq!(reported(&format!("metric_relabel_configs: [{rule}]")), expected, "{rule}");
}

#[track_caller]
fn takes(rule: &str) {
    check_rule(rule, &[]);
}

#[track_caller]
fn rejects(rule: &str, message: &str) {
    let reported = reported(&format!("metric_relabel_configs: [{rule}]"));
    assert!(
        reported.len() == 1 && reported[0].starts_with("rejected ") && reported[0].contains(message),
        "{rule}: {reported:?}"
    );
}

#[track_caller]
fn leaves(rule: &str, message: &str) {
    check_rule(rule, &[&format!("ignored {message}; the edge cannot run it, and leaves the samples to Mimir")]);
}

/// Every one was put to a real Mimir.
#[test]
fn rules_that_mimir_loads_are_taken() {
    takes("{}");
    takes("{source_labels: [__name__], regex: 'go_.*', action: drop}");
    takes("{regex: 'a)|(b'}");
    takes("{regex: ''}, {regex: }, {regex: 5}");
    takes(r"{regex: '\p{Old_Italic}\p{Han}\p{LC}\p{Cn}'}");
    takes("{regex: 'a{1000}'}");
    takes("{source_labels: [a, null, 5, true, 'a-b', a.b, ä, ' ']}");
    takes("{source_labels: [a], target_label: ''}");
    takes("{source_labels: [a], target_label: a-b}");
    takes("{source_labels: [a], target_label: '${1'}");
    takes("{source_labels: [a], action: keepequal}");
    takes("{source_labels: [a], regex: b, action: labeldrop}");
    takes("{regex: b, action: labelmap, replacement: a b}");
    takes("{action: DROP}, {action: \"\\u212aeep\"}, {action: }");
    takes("{separator: 5}, {replacement: null}");
}

#[test]
fn an_expression_that_go_does_not_take_rejects_the_document() {
    rejects("{regex: '('}", r"has a ( without ): close it, or write \( for the character");
    rejects("{regex: '(', action: lowercase}", r"has a ( without ): close it, or write \( for the character");
    rejects("{regex: 'a))'}", r"has a ) without (: remove it, or write \) for the character");
    rejects("{regex: '[a'}", r"has a [ without ]: close it, or write \[ for the character");
    let range = r"has a class or range of characters that does not exist: write one such as [a-z], \d or \p{Greek}";
    for regex in ["[b-a]", r"\p{Klingon}", r"\p{greek}", r"\p{Letter}", r"\p{GREEK}", r"\p{Grek}"] {
        rejects(&format!("{{regex: '{regex}'}}"), range);
    }
    for regex in [r"\y", r"(a)\1"] {
        let message = r"has a \ that RE2 does not know: write \\ for the character";
        rejects(&format!("{{regex: '{regex}'}}"), message);
    }
    let group = "has a (? that RE2 does not know: write (?:a), (?P<name>a), or flags of i, m, s and U";
    rejects("{regex: '(?=a)'}", group);
    for regex in ["*a", "a**"] {
        let message = "repeats what cannot be repeated: write *, +, ? and {} once, behind what they repeat";
        rejects(&format!("{{regex: '{regex}'}}"), message);
    }
    let many = "repeats more than 1000 times, or has a {2,1}: write at most 1000, the smaller number first";
    rejects("{regex: 'a{1001}'}", many);
    let deep = format!("{{regex: '{}a{}'}}", "(".repeat(300), ")".repeat(299));
    rejects(&deep, r"has a ( without ): close it, or write \( for the character");
}

#[test]
fn an_empty_source_label_rejects_the_document() {
    rejects("{source_labels: ['']}", "] is \"\": write the name of a label");
    rejects("{source_labels: [a, '']}", "] is \"\": write the name of a label");
}

#[test]
fn settings_of_another_type_reject_the_document() {
    let modulus = |found| format!("modulus is {found}");
    for (value, found) in [
        ("-1", "-1"),
        ("1e20", "1e+20"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("'8'", "the text \"8\""),
        ("true", "true"),
        ("[8]", "a list"),
    ] {
        rejects(&format!("{{modulus: {value}}}"), &modulus(found));
    }
    rejects("{regex: [a]}", "regex is a list: write a regular expression");
    rejects("{source_labels: a}", "source_labels is \"a\": write a list");
    rejects("{Regex: a}", "Regex is unknown to Mimir 3.1");
    for (action, found) in [("''", ""), ("remove", "remove"), ("'drop '", "drop ")] {
        rejects(&format!("{{action: {action}}}"), &format!("action is \"{found}\": write "));
    }
}

/// Mimir loads them all, and cuts off a fraction.
#[test]
fn a_modulus_may_be_any_number_that_go_takes() {
    for (value, modulus) in [
        ("8.0", 8),
        ("1.5", 1),
        ("1e3", 1000),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e19", 10_000_000_000_000_000_000),
        ("18446744073709551615", u64::MAX),
    ] {
        let text = format!("overrides: {{t: {{metric_relabel_configs: [{{action: hashmod, modulus: {value}}}]}}}}");
        let mut state = LimitsState::new(TenantLimits::default(), false);
        let applied = state.apply(&[SourceDocument::new("r.yaml", &text)]);
        assert_eq!(applied.problems, [], "{value}");
        let snapshot = applied.snapshot.unwrap();
        assert_eq!(snapshot.entry("t").unwrap().limits.metric_relabel_configs[0].modulus, modulus, "{value}");
    }
}

#[test]
fn what_the_edge_cannot_run_is_left_to_mimir() {
    let modulus = "with the action hashmod and no modulus: set one of at least 1";
    for value in ["0", "null", "-0.5", "-1.5", "-.inf", "18446744073709551616"] {
        leaves(&format!("{{action: hashmod, modulus: {value}}}"), modulus);
    }
    leaves("{action: hashmod}", modulus);
    let large = "whose regex is too large: it has over 65536 bytes or 200 levels, or compiles to over 4194304 bytes";
    leaves(r"{regex: '\pL{1000}'}", large);
    leaves(&format!("{{regex: '{}a{}'}}", "(".repeat(250), ")".repeat(250)), large);
    leaves(&format!("{{regex: '{}'}}", "a".repeat(70_000)), large);
}

#[test]
fn the_worst_of_several_rules_is_reported() {
    let rules = "{action: hashmod}, {regex: a}, {regex: '('}, {regex: ')'}";
    let reported = reported(&format!("metric_relabel_configs: [{rules}]"));
    assert!(reported.len() == 2 && reported.iter().all(|problem| problem.starts_with("rejected ")), "{reported:?}");
    check_rule(
        "{regex: a}, {action: hashmod}, {action: hashmod}",
        &[
            "ignored r.yaml:3: tenant team-a: field metric_relabel_configs has rule 2 with the action hashmod and no modulus: \
         set one of at least 1; the edge cannot run it, and leaves the samples to Mimir",
        ],
    );
}

#[test]
fn disabled_relabelling_must_still_load() {
    for off in ["metric_relabeling_enabled: false\n{}", "{}\nmetric_relabeling_enabled: false"] {
        let [version] = reported(&off.replace("{}", "metric_relabel_configs: [{action: hashmod}]")).try_into().unwrap();
        assert!(version.contains("metric_relabeling_enabled is not one of Mimir 3.1"), "{version}");
        let reported = reported(&off.replace("{}", "metric_relabel_configs: [{regex: '('}]"));
        assert!(reported.iter().any(|problem| problem.starts_with("rejected ")), "{reported:?}");
    }
}

#[test]
fn each_expression_is_compiled_once() {
    let mut expressions = ExpressionCache::default();
    let rule = |regex: &str| RelabelRule { regex: regex.into(), ..RelabelRule::default() };
    for _ in 0..3 {
        assert!(check(&[rule("a"), rule("b"), rule("a")], &mut expressions).is_ok());
        assert!(check(&[rule("(")], &mut expressions).is_err());
    }
    assert_eq!(expressions.faults.len(), 3);
}

/// A document with 500 expressions, of which each takes a tenth of a second to compile and the last few are too large.
fn costly(tag: &str) -> String {
    let rules = (0..500).map(|number| {
        let times = if number < 3 { 1_000 } else { 36 };
        format!("      - {{regex: '(\\pL|\\pN|{tag}{number}){{{times}}}', action: drop}}\n")
    });
    format!("overrides:\n  t:\n    metric_relabel_configs:\n{}", rules.collect::<String>())
}

#[test]
fn a_document_does_not_wait_for_costly_expressions() {
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let mut apply = |text: &str| state.apply(&[SourceDocument::new("r.yaml", text)]);
    let document = costly("x");
    let began = std::time::Instant::now();
    let applied = apply(&document);
    let taken = began.elapsed();
    assert!(taken < std::time::Duration::from_secs(8), "{taken:?}");
    assert!(applied.accepted && applied.problems.len() == 1, "{:?}", applied.problems);
    // What was compiled is known, and others are compiled the next time.
    assert_eq!(apply(&document).problems, applied.problems);
    assert_eq!(state.expressions.compiled.len(), 2 * MAX_COMPILED_PER_LOAD);
    assert!(state.apply(&[SourceDocument::new("r.yaml", "overrides: {t: {}}")]).accepted);
    assert!(state.apply(&[SourceDocument::new("r.yaml", "overrides: {t: {}}")]).accepted);
    assert_eq!(state.expressions.compiled.len(), 0, "and what no document has is forgotten");
}
