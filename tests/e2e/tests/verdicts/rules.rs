//! Fields that a rule relates to each other, near the values at which the rule changes its result.

use super::node::Node;
use crate::random::Random;

/// Fields for one tenant.
pub(crate) fn bound(random: &mut Random) -> Vec<(String, Node)> {
    let mut entries = Vec::new();
    let mut set = |name: &str, value: String| entries.push((name.to_owned(), Node::Text(value)));
    let maybe = |random: &mut Random| random.percent(70);
    match random.number(0, 9) {
        0 | 1 => {
            let strategies = [
                "NoUTF8EscapingWithSuffixes",
                "UnderscoreEscapingWithSuffixes",
                "UnderscoreEscapingWithoutSuffixes",
                "NoTranslation",
                "\"\"",
            ];
            set("otel_translation_strategy", random.one(&strategies).to_owned());
            if maybe(random) {
                set("name_validation_scheme", random.one(&["utf8", "legacy", "\"\"", "~"]).to_owned());
            }
            if maybe(random) {
                set("otel_metric_suffixes_enabled", random.one(&["true", "false", "~", "yes", "\"off\""]).to_owned());
            }
        }
        2 | 3 => {
            let (update, jitter) = (random.number(0, 40), random.number(0, 9));
            let failover = update + jitter + random.number(-1, 2);
            let seconds = |seconds: i64, random: &mut Random| match random.number(0, 5) {
                0 if seconds == 0 => "0".to_owned(),
                1 => format!("{}ms", seconds * 1_000 - random.number(0, 1)),
                _ => format!("{seconds}s"),
            };
            for (name, value) in [
                ("ha_tracker_update_timeout", update),
                ("ha_tracker_update_timeout_jitter_max", jitter),
                ("ha_tracker_failover_timeout", failover),
            ] {
                if random.percent(80) {
                    let value = if random.percent(10) { "~".to_owned() } else { seconds(value.max(0), random) };
                    set(name, value);
                }
            }
        }
        4 => {
            set(
                "label_value_length_over_limit_strategy",
                random.one(&["drop", "truncate", "error", "\"\"", "~", "Drop"]).to_owned(),
            );
            if maybe(random) {
                set(
                    "max_label_value_length",
                    random.one(&["69", "70", "71", "72", "70.9", "71.0", "0x47", "-1", "0107", "~"]).to_owned(),
                );
            }
        }
        5 => {
            let values =
                ["0", "0.5", "1", ".99999", "1.0", "-1", ".nan", ".inf", "-.inf", "1e-400", "~", "-0.0", "0x1"];
            set("max_estimated_fetched_chunks_per_query_multiplier", random.one(&values).to_owned());
        }
        6 => set(
            "ingest_storage_read_consistency",
            random.one(&["strong", "eventual", "\"\"", "Strong", "~", "weak", "strong ", "'strong'"]).to_owned(),
        ),
        7 => {
            let values =
                ["0", "12h", "13h", "12h1ms", "11h59m59s999ms", "720m", "43201s", "1d", "0s", "~", "43200001ms"];
            set("query_ingesters_within", random.one(&values).to_owned());
        }
        8 => {
            let values = ["0", "100", "101", "-1", "100.9", "-0.9", "~", "50"];
            set("early_head_compaction_min_estimated_series_reduction_percentage", random.one(&values).to_owned());
        }
        _ => {
            let count = random.count(0, 3);
            let trackers = (0..count).map(|tracker| (format!("t{tracker}"), Node::text("'{a=\"b\"}'"))).collect();
            set(
                "max_active_series_additional_custom_trackers",
                random.one(&["0", "1", "2", "3", "-1", "~", "1.9"]).to_owned(),
            );
            let name = random.one(&["active_series_additional_custom_trackers", "active_series_custom_trackers"]);
            entries.push((name.to_owned(), Node::Map(trackers)));
        }
    }
    if random.percent(30) {
        entries.reverse();
    }
    entries
}
