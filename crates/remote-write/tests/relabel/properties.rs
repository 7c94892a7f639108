//! What holds for any rules and any labels.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 6] = ["__name__", "job", "pod", "__meta_tenant_id", "a.b", "ä"];
const REGEXES: [&str; 11] =
    ["(.*)", "", "(.+)-(.+)", "[a-m]+", "(?i)(?P<n>p).*", "a)|(b", r"\w*", "__.*", r"\PL+", "(|a)*", "(?U)(.+)(.*)"];
const TEXTS: [&str; 10] = ["$1", "${1}_$2", "job", "", "$n", "$", "a b", "$1$1$1", "x_$0", "é"];

/// What ends in one of the lists is often what matters; the rest is anything.
fn text(usual: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(usual).prop_map(str::to_owned), 1 => any::<String>()]
}

fn rule(regex: impl Strategy<Value = String>) -> impl Strategy<Value = RelabelRule> {
    let action = prop::sample::select(&RelabelAction::ALL);
    let sources = prop::collection::vec(prop::sample::select(&NAMES[..]), 0..3);
    (action, sources, text(&[";", "", "-"]), text(&TEXTS), regex, 0..5_u64, text(&TEXTS)).prop_map(
        |(action, sources, separator, target, regex, modulus, replacement)| RelabelRule {
            source_labels: sources.into_iter().map(Into::into).collect(),
            separator: separator.as_str().into(),
            target_label: target.as_str().into(),
            regex: regex.as_str().into(),
            modulus,
            replacement: replacement.as_str().into(),
            action,
        },
    )
}

/// A rule that can be run.
fn good_rule() -> impl Strategy<Value = RelabelRule> {
    rule(prop::sample::select(&REGEXES[..]).prop_map(str::to_owned))
        .prop_map(|rule| RelabelRule { modulus: rule.modulus.max(1), ..rule })
}

fn bytes(usual: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(usual).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::vec((bytes(&NAMES), bytes(&["up", "", "pod-1", "a-b", "ÄÖ", "1"])), 0..10)
}

fn drop_labels() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 0..2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_rules_and_no_labels_panic(
        rules in prop::collection::vec(rule(text(&REGEXES)), 0..4),
        names in drop_labels(),
        labels in labels(),
    ) {
        let Ok(Some(relabeler)) = Relabeler::compile(&limits(rules, &names, NameScheme::Utf8)) else { return Ok(()) };
        let mut set = LabelSet::new();
        fill(&mut set, &labels);
        relabeler.apply("tenant-1", &mut set);
    }

    #[test]
    fn what_is_kept_is_sorted_and_has_no_empty_value(
        rules in prop::collection::vec(good_rule(), 1..4),
        names in drop_labels(),
        labels in labels(),
    ) {
        let Some(kept) = relabelled(&limits(rules, &names, NameScheme::Legacy), "tenant-1", &labels) else { return Ok(()) };
        prop_assert!(!kept.is_empty());
        prop_assert!(kept.is_sorted_by(|left, right| left.0 < right.0), "{kept:?}");
        prop_assert!(kept.iter().all(|(name, value)| !value.is_empty() && name != b"__meta_tenant_id"), "{kept:?}");
    }

    #[test]
    fn keep_and_drop_disagree_and_change_nothing(rule in good_rule(), labels in labels()) {
        let run = |action, labels: &Labels| {
            let rule = RelabelRule { action, ..rule.clone() };
            relabelled(&limits(vec![rule], &[], NameScheme::Legacy), "tenant-1", labels)
        };
        let (kept, dropped) = (run(RelabelAction::Keep, &labels), run(RelabelAction::Drop, &labels));
        prop_assert!(kept.is_none() || dropped.is_none());
        for (action, left) in [(RelabelAction::Keep, kept), (RelabelAction::Drop, dropped)] {
            if let Some(left) = left {
                prop_assert_eq!(run(action, &left), Some(left));
            }
        }
    }

    #[test]
    fn labeldrop_and_labelkeep_share_the_labels_between_them(rule in good_rule(), labels in labels()) {
        let run = |action| {
            let rule = RelabelRule { action, ..rule.clone() };
            relabelled(&limits(vec![rule], &[], NameScheme::Legacy), "tenant-1", &labels).unwrap_or_default()
        };
        let all = RelabelRule { regex: "no label".into(), action: RelabelAction::LabelDrop, ..RelabelRule::default() };
        let all = relabelled(&limits(vec![all], &[], NameScheme::Legacy), "tenant-1", &labels).unwrap_or_default();
        let mut both = [run(RelabelAction::LabelDrop), run(RelabelAction::LabelKeep)].concat();
        both.sort_unstable();
        prop_assert_eq!(both, all);
    }

    #[test]
    fn a_set_that_is_used_again_gives_the_same(rules in prop::collection::vec(good_rule(), 0..3), labels in labels()) {
        let Some(relabeler) = Relabeler::compile(&limits(rules, &["pod"], NameScheme::Utf8)).unwrap() else { unreachable!() };
        let mut set = LabelSet::new();
        let mut run = || {
            fill(&mut set, &labels);
            relabeler.apply("tenant-1", &mut set).then(|| content(&set))
        };
        prop_assert_eq!(run(), run());
    }
}

/// Rules whose matches need no groups, and the default expression, allocate nothing once the buffers are large enough.
#[test]
fn usual_rules_allocate_nothing_on_the_second_series() {
    let base = RelabelRule { source_labels: ["job".into(), "pod".into()].into(), ..RelabelRule::default() };
    let target = |name: &str| RelabelRule { target_label: name.into(), modulus: 8, ..base.clone() };
    let rules = vec![
        RelabelRule { regex: "drop_.*".into(), action: RelabelAction::Drop, ..base.clone() },
        target("both"),
        RelabelRule { regex: "api;.*".into(), replacement: "eu".into(), ..target("region") },
        RelabelRule { action: RelabelAction::HashMod, ..target("shard") },
        RelabelRule { regex: "tmp_.*".into(), action: RelabelAction::LabelDrop, ..base.clone() },
    ];
    let relabeler = Relabeler::compile(&limits(rules, &["pod"], NameScheme::Legacy)).unwrap().unwrap();
    let labels: Labels =
        [("__name__", "up"), ("job", "api"), ("pod", "web-7")].map(|(n, v)| (n.into(), v.into())).into();
    let mut set = LabelSet::new();
    let mut run = || {
        fill(&mut set, &labels);
        assert!(relabeler.apply("tenant-1", &mut set));
    };
    run();
    let allocated = allocation_counter::measure(run);
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}
