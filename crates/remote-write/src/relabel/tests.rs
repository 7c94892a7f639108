use limits::{NameScheme, RelabelAction, RelabelRule};

use super::*;

/// A rule of this action on these labels, else as Prometheus has it by default.
fn rule(action: RelabelAction, sources: &[&str]) -> RelabelRule {
    let source_labels = sources.iter().map(|name| (*name).into()).collect();
    RelabelRule { source_labels, action, ..RelabelRule::default() }
}

fn with_regex(action: RelabelAction, sources: &[&str], regex: &str) -> RelabelRule {
    RelabelRule { regex: regex.into(), ..rule(action, sources) }
}

fn replace(sources: &[&str], regex: &str, target: &str, replacement: &str) -> RelabelRule {
    let rule = with_regex(RelabelAction::Replace, sources, regex);
    RelabelRule { target_label: target.into(), replacement: replacement.into(), ..rule }
}

fn writes(action: RelabelAction, sources: &[&str], target: &str) -> RelabelRule {
    RelabelRule { target_label: target.into(), ..rule(action, sources) }
}

fn limits(rules: &[RelabelRule], drop_labels: &[&str]) -> TenantLimits {
    TenantLimits {
        metric_relabel_configs: rules.into(),
        drop_labels: drop_labels.iter().map(|name| (*name).into()).collect(),
        ..TenantLimits::default()
    }
}

/// `name=value` for each label that Mimir goes on with, or "dropped".
fn run(limits: &TenantLimits, labels: &str) -> String {
    let mut set = LabelSet::new();
    for (name, value) in labels.split(' ').filter_map(|label| label.split_once('=')) {
        set.push(name.as_bytes(), value.as_bytes());
    }
    let relabeler = Relabeler::compile(limits).unwrap().unwrap();
    if !relabeler.apply("team-a", &mut set) {
        return "dropped".to_owned();
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let labels: Vec<_> = set.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
    labels.join(" ")
}

#[track_caller]
fn check(rules: &[RelabelRule], labels: &str, expected: &str) {
    assert_eq!(run(&limits(rules, &[]), labels), expected, "{rules:?}");
}

#[track_caller]
fn check_drop_labels(drop_labels: &[&str], labels: &str, expected: &str) {
    assert_eq!(run(&limits(&[], drop_labels), labels), expected, "{drop_labels:?}");
}

#[test]
fn keep_and_drop_look_at_the_whole_joined_value() {
    for (regex, matches) in [("up;api", true), ("up", false), ("u.*i", true), ("p;a", false), ("", false)] {
        let (kept, dropped) = ("__name__=up job=api", "dropped");
        let sources = ["__name__", "job"];
        check(&[with_regex(RelabelAction::Keep, &sources, regex)], kept, if matches { kept } else { dropped });
        check(&[with_regex(RelabelAction::Drop, &sources, regex)], kept, if matches { dropped } else { kept });
    }
    check(&[with_regex(RelabelAction::Drop, &["absent"], "")], "a=1", "dropped");
    check(&[with_regex(RelabelAction::Keep, &[], "")], "a=1", "a=1");
    check(&[rule(RelabelAction::Drop, &["a"])], "a=1", "dropped");
}

#[test]
fn a_dot_takes_line_feeds_and_classes_are_ascii() {
    check(&[with_regex(RelabelAction::Drop, &["a"], "x.y")], "a=x\ny", "dropped");
    check(&[with_regex(RelabelAction::Drop, &["a"], r"\d")], "a=٣", "a=٣");
    check(&[with_regex(RelabelAction::Drop, &["a"], r"\w")], "a=ä", "a=ä");
    check(&[with_regex(RelabelAction::Drop, &["a"], r"\pL")], "a=ä", "dropped");
}

#[test]
fn replace_writes_what_the_match_gives() {
    check(&[replace(&["pod"], "(.*)-([0-9]+)", "node", "${2}_$1")], "pod=web-7", "node=7_web pod=web-7");
    check(&[replace(&["pod"], "(.*)-([0-9]+)", "node", "$1")], "pod=web", "pod=web");
    check(&[replace(&["pod"], "(?P<app>.*)-.*", "${app}_pod", "$app$$")], "pod=web-7", "pod=web-7 web_pod=web$");
    check(&[replace(&["a", "b"], "(.*)", "c", "$1")], "a=1 b=2", "a=1 b=2 c=1;2");
    check(&[replace(&["a"], "1", "a", "")], "a=1 b=2", "b=2");
    check(&[replace(&["a"], "(1)", "a", "$1x")], "a=1 b=2", "b=2");
    check(&[replace(&[], "(.*)", "region", "eu")], "a=1", "a=1 region=eu");
    check(&[replace(&["a"], "(.*)", "a", "$1")], "b=2", "b=2");
}

#[test]
fn replace_does_not_write_names_that_the_scheme_forbids() {
    check(&[replace(&["a"], "(.*)", "${1}.x", "y")], "a=b", "a=b");
    check(&[replace(&["a"], "(.+)", "$2", "y")], "a=b", "a=b");
    let rules = [replace(&["a"], "(.*)", "${1}.x", "y")];
    let utf8 = TenantLimits { name_validation_scheme: NameScheme::Utf8, ..limits(&rules, &[]) };
    assert_eq!(run(&utf8, "a=b"), "a=b b.x=y");
}

/// Prometheus' short cut for an empty value and a plain target does not look at the name: a real Mimir then rejects the
/// series with err-mimir-label-invalid.
#[test]
fn replace_of_an_empty_value_writes_any_plain_name() {
    check(&[replace(&["absent"], "(.*)", "no name", "y")], "a=b", "a=b no name=y");
    check(&[replace(&["a"], "(.*)", "no name", "y")], "a=b", "a=b");
}

#[test]
fn keepequal_and_dropequal_compare_with_the_target() {
    check(&[writes(RelabelAction::KeepEqual, &["a"], "b")], "a=1 b=1", "a=1 b=1");
    check(&[writes(RelabelAction::KeepEqual, &["a"], "b")], "a=1 b=2", "dropped");
    check(&[writes(RelabelAction::DropEqual, &["a"], "b")], "a=1 b=1", "dropped");
    check(&[writes(RelabelAction::DropEqual, &["a"], "b")], "a=1", "a=1");
    check(&[writes(RelabelAction::DropEqual, &["x"], "y")], "a=1", "dropped");
}

/// The expected numbers are Python's: `int.from_bytes(md5(value).digest()[8:], "big") % modulus`.
#[test]
fn hashmod_takes_the_end_of_the_md5_hash() {
    let hash = |modulus| RelabelRule { modulus, ..writes(RelabelAction::HashMod, &["pod"], "shard") };
    check(&[hash(1)], "pod=web-7", "pod=web-7 shard=0");
    check(&[hash(1000)], "pod=web-7", "pod=web-7 shard=837");
    check(&[hash(u64::MAX)], "a=1", "a=1 shard=16825458760271544958");
}

#[test]
fn lowercase_and_uppercase_write_the_target() {
    check(&[writes(RelabelAction::Lowercase, &["a", "b"], "c")], "a=AÄ b=x", "a=AÄ b=x c=aä;x");
    check(&[writes(RelabelAction::Uppercase, &["a"], "a")], "a=straße", "a=STRAßE");
    check(&[writes(RelabelAction::Lowercase, &["absent"], "a")], "a=1 b=2", "b=2");
}

#[test]
fn labelmap_copies_labels_to_the_names_that_match() {
    let map = |regex, replacement: &str| {
        let rule = with_regex(RelabelAction::LabelMap, &[], regex);
        RelabelRule { replacement: replacement.into(), ..rule }
    };
    check(&[map("x_(.+)", "$1")], "x_a=1 x_b=2", "a=1 b=2 x_a=1 x_b=2");
    check(&[map("x_(.+)", "$1")], "a=0 x_a=1", "a=1 x_a=1");
    check(&[map("x_.*", "y")], "x_b=1 x_a=2", "x_a=2 x_b=1 y=2");
    check(&[map("a|b", "c.d")], "a=1 b=2", "a=1 b=2 c.d=2");
    check(&[map("__meta_(.+)", "$1")], "a=1", "a=1 tenant_id=team-a");
}

#[test]
fn labeldrop_and_labelkeep_look_at_names() {
    check(&[with_regex(RelabelAction::LabelDrop, &[], "x_.*")], "a=1 x_a=1 ax_=2", "a=1 ax_=2");
    check(&[with_regex(RelabelAction::LabelKeep, &[], "x_.*")], "a=1 x_a=1 ax_=2", "x_a=1");
    check(&[with_regex(RelabelAction::LabelKeep, &[], "b")], "a=1", "dropped");
    check(&[with_regex(RelabelAction::LabelDrop, &[], ".*")], "a=1", "dropped");
}

#[test]
fn rules_run_in_their_order_until_one_drops_the_series() {
    let rules = [
        replace(&["a"], "1", "b", "2"),
        with_regex(RelabelAction::Keep, &["b"], "2"),
        with_regex(RelabelAction::LabelDrop, &[], "a"),
    ];
    check(&rules, "a=1", "b=2");
    check(&rules, "a=2", "dropped");
}

#[test]
fn rules_see_the_tenant_and_leave_no_trace_of_it() {
    check(&[replace(&["__meta_tenant_id"], "(.*)", "team", "$1")], "a=1", "a=1 team=team-a");
    check(&[replace(&[], "(.*)", "__meta_tenant_id", "b")], "a=1 __meta_tenant_id=c", "a=1");
    check(&[with_regex(RelabelAction::LabelDrop, &[], "x")], "__meta_tenant_id=c", "dropped");
    check_drop_labels(&["x"], "__meta_tenant_id=c", "__meta_tenant_id=c");
}

/// Mimir builds the labels anew where there are rules, which leaves one of each name.
#[test]
fn where_there_are_rules_no_label_is_left_twice() {
    let nothing = [with_regex(RelabelAction::LabelDrop, &[], "absent")];
    check(&nothing, "b=1 a=1 b=2", "a=1 b=2");
    check(&nothing, "b=1 a=1 b=", "a=1");
    check(&nothing, "b=1 a=1 b= b=3", "a=1 b=3");
    check(&nothing, "b=", "dropped");
}

#[test]
fn drop_labels_removes_the_first_label_of_each_name() {
    check_drop_labels(&["pod"], "b=1 pod=x a=2", "a=2 b=1");
    check_drop_labels(&["pod"], "pod=x a=2 pod=y", "a=2 pod=y");
    check_drop_labels(&["pod", "pod"], "pod=x a=2 pod=y", "a=2");
    check_drop_labels(&["pod", "a"], "pod=x a=2", "dropped");
    check_drop_labels(&["pod"], "a= b=1", "b=1");
    check_drop_labels(&["pod"], "a=", "dropped");
    check_drop_labels(&["pod"], "", "dropped");
}

#[test]
fn drop_labels_comes_after_the_rules() {
    let rules = [replace(&["pod"], "(.*)", "shard", "$1")];
    assert_eq!(run(&limits(&rules, &["pod"]), "pod=x"), "shard=x");
}

#[test]
fn without_rules_or_with_relabelling_off_nothing_happens() {
    assert!(Relabeler::compile(&TenantLimits::default()).unwrap().is_none());
    let rules = [rule(RelabelAction::Drop, &[])];
    let off = TenantLimits { metric_relabeling_enabled: false, ..limits(&rules, &["pod"]) };
    assert!(Relabeler::compile(&off).unwrap().is_none());
}

#[test]
fn rules_that_cannot_be_run_are_named() {
    let good = rule(RelabelAction::Keep, &["a"]);
    let error = |rule| Relabeler::compile(&limits(&[good.clone(), rule], &[])).unwrap_err().to_string();
    // Mimir compiles the expression of a rule that does not use it, too.
    assert_eq!(
        error(with_regex(RelabelAction::Lowercase, &[], "(")),
        r"has rule 2 whose regex has a ( without ): close it, or write \( for the character"
    );
    assert_eq!(error(rule(RelabelAction::Keep, &[""])), "has rule 2 with an empty name in source_labels: remove it");
    let modulus = "has rule 2 with the action hashmod and no modulus: set one of at least 1";
    assert_eq!(error(rule(RelabelAction::HashMod, &[])), modulus);
}

/// It is dropped.
#[test]
fn a_series_that_outgrows_relabelling_is_out_of_bounds() {
    let double = replace(&["a"], "(.*)", "a", "$1$1");
    let map = with_regex(RelabelAction::LabelMap, &[], "(.*)");
    let doubled: Vec<_> = (0..30)
        .map(|index| RelabelRule { replacement: format!("${{1}}_{index}").as_str().into(), ..map.clone() })
        .collect();
    check(&vec![double.clone(); 3], "a=1", "a=11111111");
    check(&vec![double; 40], "a=1", "dropped");
    check(&doubled, "a=1 b=1", "dropped");
    let relabeler = Relabeler::compile(&limits(&doubled, &[])).unwrap().unwrap();
    let mut set = LabelSet::new();
    set.push(b"a", b"1");
    assert!(set.is_within_bounds() && !relabeler.apply("t", &mut set) && !set.is_within_bounds());
}

#[test]
fn invalid_utf8_matches_as_in_go() {
    let mut set = LabelSet::new();
    set.push(b"a", b"x\xff-\xe2\x82");
    let rules = [replace(&["a"], "x(.)-(.)(.)", "b", "$3$1"), with_regex(RelabelAction::LabelDrop, &[], "a")];
    assert!(Relabeler::compile(&limits(&rules, &[])).unwrap().unwrap().apply("t", &mut set));
    assert_eq!(set.iter().collect::<Vec<_>>(), [(b"b".as_slice(), b"\x82\xff".as_slice())]);
}
