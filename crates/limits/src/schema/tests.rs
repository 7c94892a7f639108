//! Documents, with what Mimir says of each.

use std::rc::Rc;
use std::time::Duration;

use go_yaml::{Content, Document, Node, Position, RuntimeConfig};
use proptest::prelude::*;

use super::*;
use crate::defaults::Defaults;

mod probes;
mod rules;

const STORE_AFTER: Duration = Duration::from_secs(12 * 3600);

fn tree(text: &str) -> Option<Rc<Node>> {
    let document = Document::parse("x.yaml", text.as_bytes(), 1 << 20).expect(text);
    let mut config = RuntimeConfig::default();
    config.add(&document).expect(text);
    config.into_tree().expect(text)
}

fn settings(version: &str, rules: &RuleSettings, query_store_after: Duration) -> MimirSettings {
    let defaults = Defaults { rules: rules.clone(), query_store_after, ..Defaults::default() };
    MimirSettings { defaults, version: version.parse().expect("a version") }
}

fn checked_as(text: &str, version: &str, base: &RuleSettings) -> Validation {
    check(tree(text).as_deref(), &settings(version, base, STORE_AFTER))
}

fn checked(text: &str) -> Validation {
    checked_as(text, "3.1", &RuleSettings::default())
}

fn block(text: &str) -> (Validation, RuleSettings) {
    let document = Document::parse("mimir.yaml", text.as_bytes(), 1 << 20).expect(text);
    let root = document.tree().expect(text).root.expect("a block");
    check_limits(&root, &settings("3.1", &RuleSettings::default(), STORE_AFTER))
}

#[track_caller]
fn accepts(text: &str) {
    let found = checked(text);
    assert_eq!((found.rejected, found.faults), (false, Vec::new()), "{text}");
}

#[track_caller]
fn rejects(text: &str, mimir: &str) {
    let found = checked(text);
    assert_eq!((found.rejected, found.mimir_error().as_deref()), (true, Some(mimir)), "{text}");
}

#[track_caller]
fn says(text: &str, messages: &[(Code, u64, &str)]) {
    let found = checked(text);
    let reported: Vec<_> =
        found.faults.iter().map(|fault| (fault.code, fault.position.line, fault.message.as_str())).collect();
    assert_eq!(reported, messages, "{text}");
}

#[test]
fn takes_what_mimir_takes() {
    for text in [
        "",
        "overrides:",
        "multi_kv_config: {primary: 5, mirror_enabled: \"no\"}",
        "ingester_limits: {max_series: 1.5e6, max_tenants: 1_000}\ndistributor_limits: {max_ingestion_rate: .inf}",
        "overrides: {a: null, b: {}, c: {~: 12, ingestion_rate: null}}\n~: left out",
        "overrides: {a: {accept_ha_samples: yes, align_queries_with_step: N, otel_metric_suffixes_enabled: On}}",
        "overrides: {a: {past_grace_period: 0.0, max_query_lookback: 00, creation_grace_period: \"0\"}}",
        "overrides: {a: {limited_queries: [{query: up, allowed_frequency: 1m30.5s}, null]}}",
        "overrides: {a: {metric_relabel_configs: [{}, {action: Drop, regex: 1.10, source_labels: [code, 500]}]}}",
        "overrides: {a: {blocked_requests: [{path: /x, query_params: {a: {value: 1}, b: null}}]}}",
        "overrides: {a: {active_series_custom_trackers: {dev: namespace=dev, quiet: , 3: 'a = b, c != d'}}}",
        "overrides: {a: {alertmanager_receivers_firewall_block_cidr_networks: '10.0.0.0/8,fd00::/8'}}",
        "overrides: {a: {alertmanager_notification_rate_limit_per_integration: {email: 5, slack: null}}}",
        "overrides: {a: {ruler_alertmanager_client_config: {oauth2: {scopes: 'a,b', endpoint_params: {a: 1}}}}}",
        "overrides: {16: {}, 0x10: {}, true: {}, TRUE: {}}",
    ] {
        accepts(text);
    }
}

/// Documents, and the lines of Mimir's error after its first.
const TYPES_AND_UNKNOWN_NAMES: &[(&str, &str)] = &[
    ("overrides: {a: {max_global_series_per_user: \"150000\"}}", "line 3: cannot unmarshal !!str `150000` into int"),
    ("overrides: {a: {ingestion_rate: 10k}}", "line 3: cannot unmarshal !!str `10k` into float64"),
    ("overrides: {a: {ingestion_rate: !n 5}}", "line 3: cannot unmarshal !!str `5` into float64"),
    ("overrides: {a: {ingestion_rate: 2025-07-04}}", "line 3: cannot unmarshal !!timestamp `2025-07...` into float64"),
    ("overrides: {a: {ingestion_rate: \"1234567890\"}}", "line 3: cannot unmarshal !!str `1234567890` into float64"),
    ("overrides: {a: {ingestion_rate: ääääää}}", "line 3: cannot unmarshal !!str `äää\u{fffd}...` into float64"),
    ("overrides: {a: {accept_ha_samples: 5}}", "line 3: cannot unmarshal !!int `5` into bool"),
    ("overrides: {a: {ha_max_clusters: .inf}}", "line 3: cannot unmarshal !!float `.inf` into int"),
    (
        "overrides: {a: {compactor_block_upload_max_block_size_bytes: x}}",
        "line 3: cannot unmarshal !!str `x` into int64",
    ),
    ("overrides: {a: {drop_labels: pod}}", "line 3: cannot unmarshal !!str `pod` into flagext.StringSlice"),
    ("overrides: {a: {promote_otel_resource_attributes: [a]}}", "line 4: cannot unmarshal !!seq into string"),
    ("overrides: {a: {ha_cluster_label: {b: 5}}}", "line 4: cannot unmarshal !!map into string"),
    ("overrides: {a: {metric_relabel_configs: x}}", "line 3: cannot unmarshal !!str `x` into []*relabel.Config"),
    ("overrides: {a: {metric_relabel_configs: [x]}}", "line 4: cannot unmarshal !!str `x` into relabel.plain"),
    (
        "overrides: {a: {limited_queries: [{allowed_frequency: 5}]}}",
        "line 4: cannot unmarshal !!int `5` into time.Duration",
    ),
    ("overrides: []", "line 1: cannot unmarshal !!seq into map[string]*validation.Limits"),
    ("overrides: {a: \"\", b: {}}", "line 2: cannot unmarshal !!str `` into validation.plainLimits"),
    ("limits: {ingestion_rate: 5}", "line 1: field limits not found in type mimir.runtimeConfigValues"),
    ("ingester_limits: {max_series_per_user: 5}", "line 2: field max_series_per_user not found in type ingester.plain"),
    ("multi_kv_config: {secondary: b}", "line 2: field secondary not found in type kv.MultiRuntimeConfig"),
    (
        "overrides: {a: {blocked_requests: [{query_params: {b: {regex: true}}}]}}",
        "line 6: field regex not found in type validation.BlockedRequestQueryParam",
    ),
    ("overrides: {~: {}, \"null\": {}}", "line 3: mapping key \"null\" already defined at line 2"),
    (
        "overrides: {1e3: {ingestion_rate: 1}, 1000: {ingestion_rate: x}}",
        "line 4: mapping key \"1000\" already defined at line 2",
    ),
    (
        "overrides: {a: {ingestion_rate: fast, zzz: 1}, b: {request_rate: fast}}\nzzz: 1",
        "line 3: cannot unmarshal !!str `fast` into float64\n  line 4: field zzz not found in type validation.plainLimits\n  \
         line 6: cannot unmarshal !!str `fast` into float64\n  line 7: field zzz not found in type mimir.runtimeConfigValues",
    ),
];

#[test]
fn collects_types_and_unknown_names_of_the_whole_document() {
    let collected = |lines: &str| format!("yaml: unmarshal errors:\n  {lines}");
    for (text, lines) in TYPES_AND_UNKNOWN_NAMES {
        rejects(text, &collected(lines));
    }
}

#[test]
fn a_text_of_the_wrong_type_ends_the_load() {
    for (value, mimir) in [
        ("out_of_order_time_window: 1.5h", r#"unknown unit "." in duration "1.5h""#),
        ("out_of_order_time_window: 10", r#"not a valid duration string: "10""#),
        ("out_of_order_time_window: \"\"", "empty duration string"),
        ("out_of_order_time_window: 300y", "duration out of range"),
        ("label_value_length_over_limit_strategy: x", r#"unrecognized LabelValueLengthOverLimitStrategy: "x""#),
        ("otel_translation_strategy: or", r#"unrecognized OTel translation strategy "or""#),
        ("name_validation_scheme: x", r#"unrecognized ValidationScheme: "x""#),
        ("metric_relabel_configs: [{action: x}]", r#"unknown relabel action "x""#),
        ("metric_relabel_configs: [{regex: 'a('}]", "error parsing regexp: missing closing ): `^(?s:a()$`"),
        ("metric_relabel_configs: [{source_labels: ['']}]", r#""" is not a valid label name"#),
        ("alertmanager_receivers_firewall_block_cidr_networks: '10.0.0.0/8, x'", "cidr:  x: invalid CIDR address:  x"),
        ("alertmanager_notification_rate_limit_per_integration: {fax: 5}", "unknown integration name: fax"),
        (
            "active_series_custom_trackers: {dev: namespace}",
            "can't build active series matcher dev: bad matcher format: namespace",
        ),
    ] {
        rejects(&format!("overrides: {{a: {{{value}, zzz: 1}}, b: {{}}, c: {{ingestion_rate: x}}}}"), mimir);
    }
}

#[test]
fn the_first_text_that_ends_the_load_is_reported() {
    let text = "overrides:\n  b: {past_grace_period: 2}\n  a: {past_grace_period: 1, creation_grace_period: 3, x: 1}";
    rejects(text, r#"not a valid duration string: "3""#);
    assert_eq!(checked(text).faults.len(), 4);
}

#[test]
fn says_what_to_write() {
    says(
        "overrides:\n  a:\n    ingestion_rate: \"5\"\n    ingestion_burst_size: 1e30\n    accept_ha_samples: \"true\"\n    \
         drop_labels: pod\n    max_query_lookback: 10",
        &[
            (
                Code::WrongType,
                5,
                "field accept_ha_samples is the text \"true\", not true or false: write it without quotes",
            ),
            (Code::WrongType, 6, "field drop_labels is \"pod\": write a list such as [pod, node]"),
            (
                Code::WrongType,
                4,
                "field ingestion_burst_size is 1e+30, which is out of range: write a whole number such as 200000",
            ),
            (Code::WrongType, 3, "field ingestion_rate is the text \"5\", not a number: write it without quotes"),
            (Code::BadValue, 7, "field max_query_lookback is \"10\": write a duration such as 30s, 10m or 1h30m"),
        ],
    );
    says(
        "overrides:\n  a:\n    metric_relabel_configs:\n    - {regex: 'b('}\n  b: 5",
        &[
            (
                Code::BadExpression,
                4,
                r#"field metric_relabel_configs[0].regex is "b(", which has a ( without ): close it, or write \( for the character"#,
            ),
            (Code::WrongType, 5, "the entry is 5: write a mapping of fields with their values"),
        ],
    );
}

#[test]
fn says_what_an_unknown_name_is() {
    const BELOW: &str = "is unknown to Mimir 3.1; ";
    for (name, code, advice) in [
        ("ingestion_rte", Code::UnknownField, "did you mean ingestion_rate?"),
        ("ingestion_burst", Code::UnknownField, "did you mean ingestion_burst_size?"),
        ("zzz", Code::UnknownField, "remove it, or check its spelling in Mimir's reference"),
        ("mode", Code::EdgeSetting, "it is a setting of the edge; write it into the edge configuration"),
        (
            "max_samples_per_query",
            Code::UnknownField,
            "Mimir 3.1 does not have it, it is of another release, or no limit of a tenant: remove it",
        ),
    ] {
        says(&format!("overrides: {{a: {{{name}: 1}}}}"), &[(code, 1, &format!("field {name} {BELOW}{advice}"))]);
    }
    for (name, advice) in [
        ("overides", "did you mean overrides?"),
        ("x-defaults", "tenants belong below overrides:"),
        ("limits", "it belongs into Mimir's main configuration; limits of tenants belong below overrides:"),
    ] {
        says(&format!("{name}: 1"), &[(Code::UnknownSection, 1, &format!("section {name} {BELOW}{advice}"))]);
    }
}

#[test]
fn another_version_may_know_more_names() {
    let text = "overrides: {a: {zzz: 1, metric_relabeling_enabled: true, ingestion_rate: 5}}\nzzz: 1";
    let found = checked_as(text, "2.17", &RuleSettings::default());
    let reported: Vec<_> =
        found.faults.iter().map(|fault| (fault.code, fault.severity, fault.message.as_str())).collect();
    let ignored = |message| (Code::UnknownToThisVersion, Severity::Ignored, message);
    assert_eq!(
        reported,
        [
            ignored(
                "field metric_relabeling_enabled is not one of Mimir 3.1; if your Mimir does not know it either, it rejects the \
                 whole document"
            ),
            ignored(
                "field zzz is unknown to the edge; if your Mimir does not know it either, it rejects the whole document"
            ),
            ignored(
                "section zzz is unknown to the edge; if your Mimir does not know it either, it rejects the whole document"
            ),
        ]
    );
    assert_eq!((found.rejected, found.mimir_error()), (false, None));
    assert!(checked_as("overrides: {a: {ingestion_rate: x}}", "2.17", &RuleSettings::default()).rejected);
}

#[test]
fn versions_are_two_numbers() {
    for (text, known) in [("3.1", true), ("3.2", false), ("2.17", false)] {
        let version: MimirVersion = text.parse().expect(text);
        assert_eq!((version.to_string().as_str(), version.is_known()), (text, known));
    }
    for text in ["", "3", "3.", ".1", "3.1.0", "v3.1", "3.x", "+3.1", "99999999999.1"] {
        assert!(text.parse::<MimirVersion>().is_err(), "{text}");
    }
}

#[test]
fn names_the_place_of_each_fault() {
    let found =
        checked("overrides:\n  team-a:\n    blocked_queries:\n    - {pattern: a}\n    - {regex: x, pattern: b}");
    let fault = found.faults.first().expect("a fault");
    assert_eq!((fault.tenant.as_deref(), fault.field.as_deref()), (Some("team-a"), Some("blocked_queries[1].regex")));
    assert_eq!((fault.position.line, fault.position.encoded_line), (5, 6));
    let found = checked("ingester_limits:\n  max_series: x");
    let fault = found.faults.first().expect("a fault");
    assert_eq!((fault.tenant.as_deref(), fault.field.as_deref()), (None, Some("ingester_limits.max_series")));
}

#[test]
fn what_is_kept_of_faults_is_bounded() {
    let fields: String = (0..5_000).map(|number| format!("zz{number}: 1, ")).collect();
    let found = checked(&format!("overrides: {{a: {{{fields}}}, b: {{past_grace_period: x}}}}"));
    assert_eq!((found.faults.len(), found.unlisted), (MAX_FAULTS, 5_001 - MAX_FAULTS));
    assert_eq!(found.mimir_error().as_deref(), Some(r#"not a valid duration string: "x""#));
}

#[test]
fn duplicates_are_reported_in_the_order_of_the_first_ones() {
    let (found, _) = block("a: 1\nb: 2\nb: 3\na: 4\na: 5");
    let lines: Vec<_> = found.faults.iter().filter_map(|fault| fault.mimir.as_ref()).map(MimirError::text).collect();
    assert_eq!(
        lines,
        [
            r#"line 4: mapping key "a" already defined at line 1"#,
            r#"line 5: mapping key "a" already defined at line 1"#,
            r#"line 3: mapping key "b" already defined at line 2"#,
            r#"line 5: mapping key "a" already defined at line 4"#,
        ]
    );
    assert_eq!(
        found.faults.first().map(|fault| fault.message.as_str()),
        Some("key \"a\" is there already, at line 1: remove one of them")
    );
}

fn placed(content: Content) -> Rc<Node> {
    Rc::new(Node { position: Position::default(), content })
}

fn name() -> impl Strategy<Value = String> {
    let paths = include_str!("mimir-3.1.tsv").lines().filter_map(|line| line.split('\t').next());
    let names: Vec<_> = paths.filter_map(|path| path.rsplit('.').next()).collect();
    prop_oneof![proptest::sample::select(names).prop_map(str::to_owned), "\\PC{0,6}"]
}

/// Values of all kinds, with names that fields have.
fn node() -> impl Strategy<Value = Rc<Node>> {
    let text = prop_oneof![
        "[-+0-9.eyx]{0,8}",
        "\\PC{0,12}",
        "[(){}\\[\\]a|*?\\\\\",=~!]{0,12}",
        "(true|no|null|~|1h|10m|.inf|drop|legacy|NoTranslation)"
    ];
    let leaf = (text, any::<bool>())
        .prop_map(|(text, plain)| placed(Content::Scalar(go_yaml::Scalar { text: text.into(), plain })));
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let entry = (name(), proptest::bool::weighted(0.1), inner.clone()).prop_map(|(key, is_null, value)| {
            go_yaml::Entry { key: key.into(), is_null, position: Position::default(), value }
        });
        let items = proptest::collection::vec(inner, 0..6).prop_map(Content::Sequence);
        let entries = proptest::collection::vec(entry, 0..6).prop_map(Content::Mapping);
        prop_oneof![items, entries].prop_map(placed)
    })
}

fn mapping(key: &str, value: Rc<Node>) -> Rc<Node> {
    placed(Content::Mapping(vec![go_yaml::Entry {
        key: key.into(),
        is_null: false,
        position: Position::default(),
        value,
    }]))
}

proptest! {
    #[test]
    fn any_tree_is_taken_or_rejected(field in name(), value in node(), known in any::<bool>()) {
        let mimir = settings(if known { "3.1" } else { "3.0" }, &RuleSettings::default(), STORE_AFTER);
        for root in [Rc::clone(&value), mapping("overrides", mapping("a", mapping(&field, Rc::clone(&value))))] {
            let found = check(Some(&root), &mimir);
            let rejecting = found.faults.iter().filter(|fault| fault.severity == Severity::Rejected);
            prop_assert_eq!(found.rejected, rejecting.count() > 0);
            prop_assert!(found.rejected || found.mimir_error().is_none());
        }
        check_limits(&mapping(&field, value), &mimir);
    }
}
