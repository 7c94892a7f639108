use super::*;
use crate::defaults::Defaults;
use crate::schema::MimirVersion;
use proptest::prelude::*;

fn read_all(documents: &[(&str, &str)]) -> Loaded {
    let documents: Vec<_> = documents.iter().map(|&(name, text)| SourceDocument::new(name, text)).collect();
    read(&MimirSettings::default(), &documents, ExpressionCache::default())
}

fn rate(loaded: &Loaded, tenant: &str) -> Option<f64> {
    loaded.drafts.get(tenant).map(|draft| draft.limits.ingestion_rate)
}

fn defaults_from(name: &str, text: &str) -> Result<(TenantLimits, Vec<Problem>), Vec<Problem>> {
    let parsed = parse_defaults(&SourceDocument::new(name, text), Defaults::default(), &MimirVersion::default());
    parsed.map(|(defaults, problems)| (defaults.limits, problems))
}

#[track_caller]
fn defaults_of(text: &str) -> TenantLimits {
    let (limits, problems) = defaults_from("mimir.yaml", text).expect("defaults");
    assert_eq!(problems, []);
    limits
}

#[test]
fn keys_of_a_config_map_are_read_together() {
    let loaded = read_all(&[
        ("team-a.ingestion_rate", "5000"),
        ("team-a.drop_labels", "[pod]\n"),
        ("team-b.samples_per_second", "6000\n"),
        ("runtime.yaml", "overrides: {team-b: {request_rate: 7}, team-c: {ingestion_rate: 8}}"),
    ]);
    assert_eq!(loaded.problems.listed, []);
    assert_eq!(["team-a", "team-b", "team-c"].map(|tenant| rate(&loaded, tenant)), [5000.0, 6000.0, 8.0].map(Some));
    assert_eq!(loaded.drafts.get("team-b").map(|draft| draft.limits.request_rate), Some(7.0));
}

#[test]
fn a_bad_config_map_key_is_reported_without_a_line() {
    let loaded = read_all(&[("team-a.ingestion_rate", "fast"), ("team-a.ingestion_rte", "5")]);
    let messages: Vec<_> =
        loaded.problems.listed.iter().chain(&loaded.drafts["team-a"].faults).map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "team-a.ingestion_rte: tenant team-a: field ingestion_rte is unknown and is ignored; did you mean ingestion_rate?",
            "team-a.ingestion_rate: tenant team-a: field ingestion_rate is \"fast\": write a number such as 10000",
        ]
    );
}

#[test]
fn unknown_keys_are_ignored_next_to_flat_keys() {
    let loaded = read_all(&[
        ("README", "limits of all teams: see below\n  [unbalanced"),
        ("alertmanager", "route: {receiver: x}"),
        ("team-a.ingestion_rate", "5"),
    ]);
    assert!(!loaded.problems.rejected);
    assert_eq!(loaded.problems.listed.len(), 2);
    assert!(loaded.problems.listed.iter().all(|problem| problem.severity == Severity::Ignored));
    assert_eq!(rate(&loaded, "team-a"), Some(5.0));
}

#[test]
fn documents_of_which_none_is_ours_are_rejected() {
    let loaded = read_all(&[("README", "hello"), ("alertmanager", "route: {receiver: x}")]);
    assert!(loaded.problems.rejected);
    assert_eq!(loaded.problems.listed.len(), 2);
}

#[test]
fn a_broken_file_next_to_flat_keys_is_rejected() {
    assert!(read_all(&[("team-a.ingestion_rate", "5"), ("runtime.yaml", "overrides: [")]).problems.rejected);
    assert!(read_all(&[("team-a.ingestion_rate", "5"), ("runtime.yaml", "<html></html>")]).problems.rejected);
}

#[test]
fn a_later_document_adds_to_an_earlier_one() {
    let loaded = read_all(&[
        ("a.yaml", "overrides: {team-a: {ingestion_rate: 1, request_rate: 2}}"),
        ("b.yaml", "overrides: {team-a: {ingestion_rate: 3}}"),
    ]);
    assert_eq!(rate(&loaded, "team-a"), Some(3.0));
    assert_eq!(loaded.drafts["team-a"].limits.request_rate, 2.0);
}

#[test]
fn no_document_at_all_is_no_tenant() {
    let loaded = read_all(&[]);
    assert!(!loaded.problems.rejected && loaded.drafts.is_empty());
}

#[test]
fn a_document_over_the_cap_is_rejected_unread() {
    let text = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    let loaded = read_all(&[("runtime.yaml", &text)]);
    assert!(loaded.problems.rejected && loaded.problems.listed[0].message.contains("16777217 bytes"));
}

#[test]
fn flat_keys_split_at_the_last_dot_or_colon() {
    assert_eq!(flat::split("a.b.ingestion_rate"), Some(("a.b", "ingestion_rate")));
    assert_eq!(flat::split("a.b:ingestion_rate"), Some(("a.b", "ingestion_rate")));
    assert_eq!(flat::split("a:k=v.ingestion_rate"), Some(("a:k=v", "ingestion_rate")));
    assert_eq!(["ingestion_rate", ".ingestion_rate", "a."].map(flat::split), [None; 3]);
}

#[test]
fn defaults_come_from_a_block_a_file_or_bare_fields() {
    for text in [
        "limits:\n  ingestion_rate: 5\n  max_global_series_per_user: 0\n",
        "target: all\nserver: {http_listen_port: 80}\nlimits: {ingestion_rate: 5}\n",
        "ingestion_rate: 5\n",
        "{\"limits\": {\"ingestion_rate\": 5}}",
    ] {
        assert_eq!(defaults_of(text), TenantLimits { ingestion_rate: 5.0, ..TenantLimits::default() }, "{text}");
    }
    for text in ["limits:\n", "{}"] {
        assert_eq!(defaults_of(text), TenantLimits::default(), "{text}");
    }
}

#[test]
fn a_configuration_without_limits_is_reported() {
    let (limits, problems) = defaults_from("mimir.yaml", "target: all\n").expect("defaults");
    assert_eq!(limits, TenantLimits::default());
    assert_eq!(
        problems[0].to_string(),
        "mimir.yaml: has no limits: block, and Mimir's built-in defaults hold; add one, or leave the file out"
    );
}

#[test]
fn bad_defaults_are_rejected() {
    for (text, message) in [
        (
            "limits: {ingestion_rate: fast}",
            "mimir.yaml:1: field ingestion_rate is \"fast\": write a number such as 10000; the whole document is rejected",
        ),
        (
            "limits: [5]",
            "mimir.yaml:1: limits is a list: write a mapping of fields with their values; the whole document is rejected",
        ),
        ("- 5", "mimir.yaml:1: is a list: write a mapping of Mimir's configuration; the whole document is rejected"),
        (
            "limits: {ha_tracker_failover_timeout: 1s}",
            "mimir.yaml:1: field ha_tracker_failover_timeout is 1s, too short for ha_tracker_update_timeout 15s with ha_tracker_update_timeout_jitter_max 5s: write at least 21s; the whole document is rejected",
        ),
        ("a: 1\na: 2\n", "mimir.yaml:2: a is there twice, first on line 1: remove one; the whole document is rejected"),
        ("", "mimir.yaml: is empty, which Mimir rejects"),
        ("# nothing\n", "mimir.yaml: is empty, which Mimir rejects"),
        ("limits: {", "mimir.yaml:1: is no valid YAML"),
    ] {
        let problems = defaults_from("mimir.yaml", text).expect_err(text);
        assert!(problems[0].to_string().starts_with(message), "{}", problems[0]);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}", name in "[a-z.:_]{0,20}") {
        let _ = read_all(&[(&name, &text)]);
        let _ = defaults_from(&name, &text);
    }

    #[test]
    fn no_likely_text_panics(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "overrides", ":", " ", "\n", "\n  ", "\n    ", "team-a", ".", "ingestion_rate", "metric_relabel_configs",
                "drop_labels", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "<<", "5", "1e999", "\"", "'", "|", "---", "null",
                "action", "~", "!!int ", "? ", "\t", "#", "creation_grace_period", "10m",
            ][..]),
            0..60,
        )
    ) {
        let text = words.concat();
        let _ = read_all(&[("runtime.yaml", &text)]);
        let _ = read_all(&[("team-a.ingestion_rate", &text), ("b", &text)]);
        let _ = defaults_from("mimir.yaml", &text);
    }

    #[test]
    fn fields_that_are_not_named_equal_the_defaults(rate in 0.0..1e9_f64, names in proptest::sample::subsequence(
        vec!["ingestion_rate", "request_rate", "ingestion_burst_factor"], 0..=3,
    )) {
        let fields: Vec<_> = names.iter().map(|name| format!("{name}: {rate}")).collect();
        let defaults = TenantLimits { ha_max_clusters: 3, drop_labels: [std::sync::Arc::from("x")].into(), request_burst_size: 9, ..TenantLimits::default() };
        let mimir = MimirSettings { defaults: defaults.clone().into(), version: MimirVersion::default() };
        let text = format!("overrides: {{team-a: {{{}}}}}", fields.join(", "));
        let loaded = read(&mimir, &[SourceDocument::new("runtime.yaml", &text)], ExpressionCache::default());
        let limits = &loaded.drafts["team-a"].limits;
        let other = |(name, _): &(&str, String)| !names.contains(name);
        let (ours, base): (Vec<_>, Vec<_>) = (limits.fields().filter(other).collect(), defaults.fields().filter(other).collect());
        prop_assert_eq!(ours, base);
        prop_assert!(!names.contains(&"request_rate") || limits.request_rate == rate);
    }
}
