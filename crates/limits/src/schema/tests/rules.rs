//! Rules over a whole entry, with Mimir's words.

use super::*;

#[track_caller]
fn breaks(fields: &str, mimir: &str) {
    rejects(&format!("overrides: {{a: {{}}, b: {{{fields}}}, c: {{}}}}"), mimir);
}

#[track_caller]
fn keeps(fields: &str) {
    accepts(&format!("overrides: {{b: {{{fields}}}}}"));
}

#[test]
fn a_strategy_of_otel_needs_its_scheme_and_suffixes() {
    let scheme = |strategy, scheme| {
        format!("OTLP translation strategy {strategy} is not allowed unless validation scheme is {scheme}")
    };
    let suffixes = |strategy, state| {
        format!("OTLP translation strategy {strategy} is not allowed unless metric suffixes are {state}")
    };
    for (strategy, own, other, enabled) in [
        ("UnderscoreEscapingWithoutSuffixes", "legacy", "utf8", false),
        ("UnderscoreEscapingWithSuffixes", "legacy", "utf8", true),
        ("NoUTF8EscapingWithSuffixes", "utf8", "legacy", true),
        ("NoTranslation", "utf8", "legacy", false),
    ] {
        let fields = |scheme, enabled| {
            format!(
                "otel_translation_strategy: {strategy}, name_validation_scheme: {scheme}, otel_metric_suffixes_enabled: {enabled}"
            )
        };
        keeps(&fields(own, enabled));
        breaks(&fields(other, enabled), &scheme(strategy, own));
        let state = if enabled { "enabled" } else { "disabled" };
        breaks(&fields(own, !enabled), &suffixes(strategy, state));
    }
    keeps("otel_translation_strategy: UnderscoreEscapingWithoutSuffixes, name_validation_scheme: \"\"");
    breaks("otel_translation_strategy: NoTranslation", &scheme("NoTranslation", "utf8"));
}

#[test]
fn entries_do_not_inherit_scheme_and_suffixes() {
    let (found, base) = block(
        "otel_translation_strategy: NoUTF8EscapingWithSuffixes\nname_validation_scheme: utf8\notel_metric_suffixes_enabled: true",
    );
    assert!(!found.rejected);
    let empty = checked_as("overrides: {a: {}}", "3.1", &base);
    let mimir = "OTLP translation strategy NoUTF8EscapingWithSuffixes is not allowed unless validation scheme is utf8";
    assert_eq!(empty.mimir_error().as_deref(), Some(mimir));
    assert_eq!(
        empty.faults.first().map(|fault| fault.message.as_str()),
        Some(
            "field otel_translation_strategy is NoUTF8EscapingWithSuffixes, which needs name_validation_scheme utf8: \
         write that into the same entry, which does not inherit it"
        )
    );
    for text in [
        "overrides: {a: null}",
        "overrides: {a: {name_validation_scheme: utf8, otel_metric_suffixes_enabled: true}}",
        "overrides: {a: {otel_translation_strategy: \"\"}}",
    ] {
        assert!(!checked_as(text, "3.1", &base).rejected, "{text}");
    }
    assert!(
        checked_as("overrides: {a: {name_validation_scheme: utf8, otel_metric_suffixes_enabled: null}}", "3.1", &base)
            .rejected
    );
}

/// Fields of a tenant that break a rule, and Mimir's error.
const BROKEN_RULES: &[(&str, &str)] = &[
    ("metric_relabel_configs: [{}, null]", "invalid metric_relabel_configs"),
    (
        "max_estimated_fetched_chunks_per_query_multiplier: 0.5",
        "invalid value for -querier.max-estimated-fetched-chunks-per-query-multiplier: must be 0 or greater than or equal to 1",
    ),
    (
        "ingest_storage_read_consistency: Strong",
        "invalid ingest storage read consistency (supported values: strong, eventual)",
    ),
    (
        "ha_tracker_update_timeout: 30s",
        "HA Tracker failover timeout (30s) must be at least 1s greater than update timeout - max jitter (36s)",
    ),
    (
        "ha_tracker_update_timeout: 1d12h",
        "HA Tracker failover timeout (30s) must be at least 1s greater than update timeout - max jitter (1d12h6s)",
    ),
    (
        "ha_tracker_failover_timeout: 20s",
        "HA Tracker failover timeout (20s) must be at least 1s greater than update timeout - max jitter (21s)",
    ),
    (
        "label_value_length_over_limit_strategy: drop, max_label_value_length: 70",
        "cannot set -validation.label-value-length-over-limit-strategy to \"drop\": \
         label value hash suffix would exceed max label value length of 70",
    ),
    ("cost_attribution_labels_structured: [{output: b}]", "cost attribution input label must not be empty: \":b\""),
    (
        "cost_attribution_labels_structured: [{input: a, output: __b}]",
        "invalid cost attribution output label: \"a:__b\"",
    ),
    ("cost_attribution_labels_structured: [null, {input: a, output: b}, {input: b}]", "duplicate output label: \"b:\""),
    (
        "early_head_compaction_min_estimated_series_reduction_percentage: 101",
        "early_head_compaction_min_estimated_series_reduction_percentage must be between 0 and 100",
    ),
    (
        "max_active_series_additional_custom_trackers: -1",
        "active_series_additional_custom_trackers validation failed: invalid max custom trackers limit: -1",
    ),
    (
        "max_active_series_additional_custom_trackers: 1, active_series_additional_custom_trackers: {a: b=c, d: }",
        "active_series_additional_custom_trackers validation failed: \
         the number of custom trackers [2] exceeds the configured limit [1]",
    ),
];

#[test]
fn the_rules_inside_the_decoding() {
    for (fields, mimir) in BROKEN_RULES {
        breaks(fields, mimir);
    }
}

#[test]
fn the_rules_hold_at_their_bounds() {
    for fields in [
        "metric_relabel_configs: null",
        "max_estimated_fetched_chunks_per_query_multiplier: .nan",
        "max_estimated_fetched_chunks_per_query_multiplier: 1",
        "ha_tracker_update_timeout: 0, ha_tracker_failover_timeout: 0",
        "ha_tracker_failover_timeout: 21s",
        "ha_tracker_update_timeout: 292y, ha_tracker_update_timeout_jitter_max: 292y",
        "label_value_length_over_limit_strategy: truncate, max_label_value_length: 71",
        "max_label_value_length: 1",
        "early_head_compaction_min_estimated_series_reduction_percentage: 100.9",
        "cost_attribution_labels_structured: [{input: __a}, {input: b, output: a}]",
        "max_active_series_additional_custom_trackers: 1, active_series_custom_trackers: {a: b=c, d: }",
        "blocked_queries: [{pattern: 'sum(', regex: false}, null]",
        "query_ingesters_within: 0",
        "query_ingesters_within: 12h1ms",
    ] {
        keeps(fields);
    }
}

#[test]
fn the_first_rule_in_mimirs_order_is_reported() {
    breaks(
        "ingest_storage_read_consistency: x, early_head_compaction_min_estimated_series_reduction_percentage: -1",
        "invalid ingest storage read consistency (supported values: strong, eventual)",
    );
    // Rules are for entries whose types are all right.
    breaks(
        "ingest_storage_read_consistency: x, request_rate: fast",
        "yaml: unmarshal errors:\n  line 5: cannot unmarshal !!str `fast` into float64",
    );
}

#[test]
fn the_rules_once_the_whole_document_is_read() {
    for (fields, mimir) in [
        ("blocked_queries: [{regex: true}]", "blocked_queries[0]: pattern is required"),
        ("blocked_queries: [null, {pattern: a}, {pattern: ' '}]", "blocked_queries[1]: pattern is required"),
        (
            "blocked_queries: [{pattern: 'sum(', regex: false}, {pattern: 'sum(', regex: true}]",
            "blocked_queries[1]: invalid regex pattern \"sum(\": error parsing regexp: missing closing ): `sum(`",
        ),
        (
            "query_ingesters_within: 12h",
            "invalid limits config for querier: the -querier.query-ingesters-within setting must be greater than \
             -querier.query-store-after otherwise queries might return partial results",
        ),
    ] {
        breaks(fields, &format!("tenant \"b\": {mimir}"));
        let types = format!("overrides: {{b: {{{fields}}}, c: {{past_grace_period: x}}}}");
        rejects(&types, "not a valid duration string: \"x\"");
    }
    let text = "overrides: {a: {query_ingesters_within: 1h}}";
    let off = check(tree(text).as_deref(), &settings("3.1", &RuleSettings::default(), Duration::ZERO));
    assert!(!off.rejected);
}

#[test]
fn a_broken_rule_is_reported_where_to_fix_it() {
    let text = "overrides:\n  a:\n    blocked_queries:\n    - {pattern: a}\n    - {pattern: ''}\n    ha_tracker_update_timeout: 1m";
    says(
        text,
        &[
            (
                Code::BrokenRule,
                2,
                "field ha_tracker_failover_timeout is 30s, too short for ha_tracker_update_timeout 1m with \
                 ha_tracker_update_timeout_jitter_max 5s: write at least 1m6s",
            ),
            (
                Code::BrokenRule,
                5,
                "field blocked_queries has in its item [1] no pattern: write the query that is blocked",
            ),
        ],
    );
}

#[test]
fn mimirs_own_limits_are_what_entries_are_read_over() {
    let (found, base) = block(
        "ha_tracker_update_timeout: 5m\nha_tracker_failover_timeout: 10m\nmax_active_series_additional_custom_trackers: 1\n\
         active_series_additional_custom_trackers: {a: b=c}\nlabel_value_length_over_limit_strategy: drop",
    );
    assert_eq!((found.rejected, found.faults), (false, Vec::new()));
    for (fields, rejected) in [
        ("", false),
        ("ha_tracker_failover_timeout: 1m", true),
        ("max_label_value_length: 70", true),
        ("active_series_additional_custom_trackers: {a: b=c, d: e=f}", true),
        ("active_series_additional_custom_trackers: null", false),
        ("label_value_length_over_limit_strategy: null, max_label_value_length: 70", true),
    ] {
        let text = format!("overrides: {{a: {{{fields}}}}}");
        assert_eq!(checked_as(&text, "3.1", &base).rejected, rejected, "{text}");
    }
}

#[test]
fn a_block_of_limits_is_looked_at_alone() {
    let (found, base) = block("ingestion_rate: \"5\"\nzzz: 1\nha_cluster_label: 007");
    let mimir = "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `5` into float64\n  \
                 line 2: field zzz not found in type validation.plainLimits";
    assert_eq!((found.mimir_error().as_deref(), &base), (Some(mimir), &RuleSettings::default()));
    let (found, _) = block("ingest_storage_read_consistency: weak");
    assert!(found.rejected && found.faults.iter().all(|fault| fault.tenant.is_none()));
    assert!(!block("null").0.rejected);
}

#[test]
fn a_value_valid_elsewhere_is_still_checked() {
    rejects(
        "overrides: {a: {active_series_custom_trackers: {x: a=b, y: b}}, b: {metric_relabel_configs: [{regex: b}, {regex: a=b}]}}",
        "can't build active series matcher y: bad matcher format: b",
    );
}
