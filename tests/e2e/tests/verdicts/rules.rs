//! Fields that a rule relates to each other, near the values at which the rule changes its result.

use super::node::Node;
use crate::random::Random;

/// Values of `max_estimated_fetched_chunks_per_query_multiplier`: 0, or 1 and more.
const MULTIPLIERS: &[&str] =
    &["0", "0.5", "1", ".99999", "1.0", "-1", ".nan", ".inf", "-.inf", "1e-400", "~", "-0.0", "0x1"];
/// Values of `ingest_storage_read_consistency`.
const CONSISTENCIES: &[&str] = &["strong", "eventual", "\"\"", "Strong", "~", "weak", "strong ", "'strong'"];
/// Values of `query_ingesters_within`, which must be longer than 12 h.
const QUERY_INGESTERS_WITHIN: &[&str] =
    &["0", "12h", "13h", "12h1ms", "11h59m59s999ms", "720m", "43201s", "1d", "0s", "~", "43200001ms"];
/// Values of `early_head_compaction_min_estimated_series_reduction_percentage`, from 0 to 100.
const REDUCTIONS: &[&str] = &["0", "100", "101", "-1", "100.9", "-0.9", "~", "50"];

/// Fields for one tenant.
pub(crate) fn bound(random: &mut Random) -> Vec<(String, Node)> {
    let mut entries = match random.number(0, 9) {
        0 | 1 => translation_of_names(random),
        2 | 3 => timeouts_of_the_ha_tracker(random),
        4 => long_label_values(random),
        5 => vec![field("max_estimated_fetched_chunks_per_query_multiplier", random.one(MULTIPLIERS))],
        6 => vec![field("ingest_storage_read_consistency", random.one(CONSISTENCIES))],
        7 => vec![field("query_ingesters_within", random.one(QUERY_INGESTERS_WITHIN))],
        8 => {
            vec![field("early_head_compaction_min_estimated_series_reduction_percentage", random.one(REDUCTIONS))]
        }
        _ => custom_trackers(random),
    };
    if random.percent(30) {
        entries.reverse();
    }
    entries
}

fn field(name: &str, value: impl Into<String>) -> (String, Node) {
    (name.to_owned(), Node::text(value))
}

/// Whether a further field of a rule is set.
fn maybe(random: &mut Random) -> bool {
    random.percent(70)
}

/// A strategy that keeps UTF-8 names needs a scheme that allows them, and one with suffixes needs suffixes.
fn translation_of_names(random: &mut Random) -> Vec<(String, Node)> {
    let strategies = [
        "NoUTF8EscapingWithSuffixes",
        "UnderscoreEscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoTranslation",
        "\"\"",
    ];
    let mut entries = vec![field("otel_translation_strategy", random.one(&strategies))];
    if maybe(random) {
        entries.push(field("name_validation_scheme", random.one(&["utf8", "legacy", "\"\"", "~"])));
    }
    if maybe(random) {
        let suffixes = random.one(&["true", "false", "~", "yes", "\"off\""]);
        entries.push(field("otel_metric_suffixes_enabled", suffixes));
    }
    entries
}

/// The failover timeout must be a second longer than the update timeout and its jitter.
fn timeouts_of_the_ha_tracker(random: &mut Random) -> Vec<(String, Node)> {
    let (update, jitter) = (random.number(0, 40), random.number(0, 9));
    let failover = update + jitter + random.number(-1, 2);
    let seconds = |seconds: i64, random: &mut Random| match random.number(0, 5) {
        0 if seconds == 0 => "0".to_owned(),
        1 => format!("{}ms", seconds * 1_000 - random.number(0, 1)),
        _ => format!("{seconds}s"),
    };
    let mut entries = Vec::new();
    for (name, value) in [
        ("ha_tracker_update_timeout", update),
        ("ha_tracker_update_timeout_jitter_max", jitter),
        ("ha_tracker_failover_timeout", failover),
    ] {
        if random.percent(80) {
            let value = if random.percent(10) { "~".to_owned() } else { seconds(value.max(0), random) };
            entries.push(field(name, value));
        }
    }
    entries
}

/// A strategy that shortens values needs room for the hash that it appends.
fn long_label_values(random: &mut Random) -> Vec<(String, Node)> {
    let strategy = random.one(&["drop", "truncate", "error", "\"\"", "~", "Drop"]);
    let mut entries = vec![field("label_value_length_over_limit_strategy", strategy)];
    if maybe(random) {
        let length = random.one(&["69", "70", "71", "72", "70.9", "71.0", "0x47", "-1", "0107", "~"]);
        entries.push(field("max_label_value_length", length));
    }
    entries
}

/// There must not be more trackers than the maximum.
fn custom_trackers(random: &mut Random) -> Vec<(String, Node)> {
    let count = random.count(0, 3);
    let trackers = (0..count).map(|tracker| (format!("t{tracker}"), Node::text("'{a=\"b\"}'"))).collect();
    let most = random.one(&["0", "1", "2", "3", "-1", "~", "1.9"]);
    let name = random.one(&["active_series_additional_custom_trackers", "active_series_custom_trackers"]);
    vec![field("max_active_series_additional_custom_trackers", most), (name.to_owned(), Node::Map(trackers))]
}
