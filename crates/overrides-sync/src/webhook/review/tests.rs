use super::*;

const GOOD: &[(&str, &str)] = &[("runtime.yaml", "overrides: {a: {ingestion_rate: 5}}")];

fn content(documents: &[(&str, &str)]) -> ConfigMapData {
    let text = documents.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    ConfigMapData { text, ..ConfigMapData::default() }
}

fn rules(allow_empty: bool) -> Rules {
    let configmap = "mimir/runtime".parse().unwrap();
    let (defaults, version) = (Defaults::default(), MimirVersion::default());
    Rules { configmap, defaults, version, allow_empty }
}

#[track_caller]
fn check(old: Option<&[(&str, &str)]>, new: &[(&str, &str)], denial: Option<&str>, warnings: &[&str]) {
    let review = review(&rules(false), old.map(content).as_ref(), &content(new));
    assert_eq!(review.denial.as_deref(), denial);
    assert_eq!(review.warnings, warnings);
}

#[test]
fn what_mimir_would_reject_is_denied_with_its_line() {
    let bad = "overrides:\n  a:\n    ingestion_rate: fast\n";
    let denial = "runtime.yaml:3: tenant a: field ingestion_rate is \"fast\": write a number such as 10000; the whole document is rejected; \
                  Mimir says: load file: yaml: unmarshal errors: line 3: cannot unmarshal !!str `fast` into float64";
    check(None, &[("runtime.yaml", bad)], Some(denial), &[]);
    check(Some(GOOD), &[("runtime.yaml", bad)], Some(denial), &[]);
    let broken = review(&rules(false), None, &content(&[("runtime.yaml", "overrides: {a: [")]));
    assert!(broken.denial.is_some_and(|denial| denial.starts_with("runtime.yaml:1: ")));
}

#[test]
fn a_flat_key_with_an_impossible_value_is_denied() {
    let denial = "a.ingestion_rate: tenant a: field ingestion_rate is \"fast\": write a number such as 10000";
    check(None, &[("a.ingestion_rate", "fast"), ("b.ingestion_rate", "5")], Some(denial), &[]);
}

#[test]
fn an_unknown_field_is_denied_only_for_known_versions() {
    let new = [("runtime.yaml", "overrides:\n  a:\n    ingestion_rte: 5\n")];
    let denial = "runtime.yaml:3: tenant a: field ingestion_rte is unknown to Mimir 3.1; did you mean ingestion_rate?; \
                  the whole document is rejected; Mimir says: load file: yaml: unmarshal errors: line 3: field ingestion_rte \
                  not found in type validation.plainLimits";
    check(None, &new, Some(denial), &[]);
    check(Some(GOOD), &new, Some(denial), &[]);
    let newer = Rules { version: "3.9".parse().unwrap_or_default(), ..rules(false) };
    let review = review(&newer, None, &content(&new));
    assert_eq!(review.denial, None);
    assert!(review.warnings[0].contains("if your Mimir does not know it either"), "{:?}", review.warnings);
}

#[test]
fn good_documents_and_unrelated_changes_are_allowed_without_warnings() {
    check(None, GOOD, None, &[]);
    check(Some(GOOD), &[("runtime.yaml", "overrides: {a: {ingestion_rate: 6}, b: {}}")], None, &[]);
    check(None, &[], None, &[]);
    check(Some(&[]), GOOD, None, &[]);
}

#[test]
fn a_change_that_leaves_the_data_alone_is_never_denied() {
    let bad = [("runtime.yaml", "overrides: {a: {ingestion_rate: fast, typo: 1}}")];
    check(Some(&bad), &bad, None, &[]);
}

#[test]
fn one_thing_can_be_mended_at_a_time() {
    let before = [("a.ingestion_rate", "fast"), ("b.ingestion_rate", "slow")];
    let known =
        "existed before: b.ingestion_rate: tenant b: field ingestion_rate is \"slow\": write a number such as 10000";
    check(Some(&before), &[("a.ingestion_rate", "5"), ("b.ingestion_rate", "slow")], None, &[known]);
    let denial = "b.ingestion_rate: tenant b: field ingestion_rate is \"slower\": write a number such as 10000";
    check(Some(&before), &[("a.ingestion_rate", "5"), ("b.ingestion_rate", "slower")], Some(denial), &[]);

    let moved = "existed before: flat.yaml:2: tenant b: field ingestion_rate is \"slow\": write a number such as 10000";
    check(
        Some(&[("flat.yaml", "b.ingestion_rate: slow")]),
        &[("flat.yaml", "a.ingestion_rate: 5\nb.ingestion_rate: slow")],
        None,
        &[moved],
    );

    let bad = ("runtime.yaml", "overrides: [a]");
    let untouched = "existed before: runtime.yaml:1: field overrides is a list: write a mapping of tenants with their limits; the whole document is rejected";
    check(Some(&[bad]), &[bad, ("a.ingestion_rate", "5")], None, &[untouched]);
    // Mimir still rejects it, whatever was fixed in it.
    let half = [("runtime.yaml", "overrides: {a: {ingestion_rate: fast, request_rate: 1}}")];
    let denial = "runtime.yaml:1: tenant a: field ingestion_rate is \"fast\": write a number such as 10000; the whole document is rejected; \
                  Mimir says: load file: yaml: unmarshal errors: line 3: cannot unmarshal !!str `fast` into float64";
    check(
        Some(&[("runtime.yaml", "overrides: {a: {ingestion_rate: fast, request_rate: fast}}")]),
        &half,
        Some(denial),
        &[],
    );
}

#[test]
fn a_document_that_loses_all_its_tenants_is_a_warning() {
    let empty = content(&[("runtime.yaml", "overrides: {}")]);
    let warning = |allow_empty| review(&rules(allow_empty), Some(&content(GOOD)), &empty);
    assert_eq!((warning(false).denial, warning(true).denial), (None, None));
    assert!(warning(false).warnings[0].contains("keeps the last good ones"), "{:?}", warning(false));
    assert!(warning(true).warnings[0].contains("all get the default limits"), "{:?}", warning(true));
    check(Some(&[]), &[("runtime.yaml", "overrides: {}")], None, &[]);
}

#[test]
fn keys_that_are_not_read_are_warnings_and_not_judged() {
    let bad = ("zzz.yaml", "overrides: [a]");
    let warning =
        "zzz.yaml: is not read: runtime.yaml is the key that is read; --limits kube:mimir/runtime/KEY names another";
    check(None, &[GOOD[0], bad], None, &[warning]);
    let chosen =
        Rules { configmap: "mimir/runtime/zzz.yaml".parse().unwrap_or_else(|_| unreachable!()), ..rules(false) };
    let review = review(&chosen, None, &content(&[GOOD[0], bad]));
    assert!(review.denial.is_some_and(|denial| denial.starts_with("zzz.yaml:1: ")), "what is read is reviewed");
    assert_eq!(review.warnings, ["runtime.yaml: is not read: --limits does not name this key"]);
}

#[test]
fn ambiguous_keys_are_denied_unless_they_existed_before() {
    let both = [("a.yaml", "overrides: {}"), ("b.yaml", "overrides: {}")];
    let denial = "data: several keys can be the runtime configuration (a.yaml, b.yaml), and none of them is read; say which one Mimir reads: \
                  --limits kube:mimir/runtime/KEY, or KEY,KEY for several that Mimir merges from left to right";
    check(Some(GOOD), &both, Some(denial), &[]);
    let change = [("a.yaml", "overrides: {a: {}}"), both[1]];
    let warning = format!("existed before: {denial}");
    let shown = review(&rules(false), Some(&content(&both)), &content(&change));
    assert_eq!(shown.denial, None);
    assert!(shown.warnings.len() == 1 && warning.starts_with(shown.warnings[0].trim_end_matches('…')), "{shown:?}");
}

#[test]
fn a_key_that_breaks_a_good_one_is_denied() {
    let chosen =
        Rules { configmap: "mimir/runtime/a.yaml,b.yaml".parse().unwrap_or_else(|_| unreachable!()), ..rules(false) };
    let good = ("a.yaml", "overrides: {a: {ha_tracker_failover_timeout: 30s}}");
    let old = content(&[good, ("b.yaml", "overrides: {}")]);
    let new = content(&[good, ("b.yaml", "overrides: {a: {ha_tracker_update_timeout: 30s}}")]);
    let review = review(&chosen, Some(&old), &new);
    assert!(
        review.denial.is_some_and(|denial| denial.contains("ha_tracker_failover_timeout")),
        "{:?}",
        review.warnings
    );
}

#[test]
fn reasons_and_warnings_are_bounded() {
    let lines: Vec<_> =
        (0..300).map(|number| format!("  t{number}: {{ingestion_rte: 1, ingestion_rate: x}}\n")).collect();
    let text = format!("overrides:\n{}", lines.concat());
    let review = review(&rules(false), None, &content(&[("runtime.yaml", &text)]));
    let denial = review.denial.unwrap_or_default();
    assert_eq!(denial.lines().count(), MAX_REASONS + 1);
    assert!(denial.ends_with("\nand 590 more"), "{denial}");
    let lines: Vec<_> = (0..300).map(|number| format!("  t{number}/: {{}}\n")).collect();
    let text = format!("overrides:\n{}", lines.concat());
    let review = super::review(&rules(false), None, &content(&[("runtime.yaml", &text)]));
    assert_eq!(review.denial, None);
    assert!(review.warnings.iter().map(String::len).sum::<usize>() <= MAX_WARNINGS_BYTES);
    let last = review.warnings.last().map(String::as_str).unwrap_or_default();
    assert_eq!(last, format!("and {} more warnings", 300 - (review.warnings.len() - 1)));
}

#[test]
fn a_warning_is_one_line_of_at_most_256_bytes() {
    let long = one_line(&format!("a\n\u{7f}{}", "ä".repeat(300)), MAX_WARNING_BYTES);
    assert!((253..=256).contains(&long.len()) && long.starts_with("a  ä") && long.ends_with('…'), "{long}");
    assert_eq!(one_line("short", MAX_WARNING_BYTES), "short");
}
