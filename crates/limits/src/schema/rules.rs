//! What Mimir asks of a tenant's limits as a whole (Mimir `pkg/util/validation/limits.go`, `Validate`), in its order.

use std::sync::Arc;
use std::time::Duration;

use go_yaml::{Content, Node, Place};

use super::go::quote;
use super::lists::{self, ListViolation};
use super::scalar::{as_bool, as_float, as_int, as_text};
use super::{Issue, MimirError};
use crate::code::Code;
use crate::duration::{parse, render};
use crate::model::TenantLimits;
use crate::value::{quote as quoted, shortened};

/// The settings that Mimir's rules look at, as one entry has them or Mimir's own limits.
///
/// They are more than [`crate::TenantLimits`] holds: a tenant's entry is read over them, and refused where the outcome breaks
/// a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSettings {
    otel_strategy: Arc<str>,
    name_scheme: Arc<str>,
    otel_suffixes: bool,
    chunks_multiplier: f64,
    read_consistency: Arc<str>,
    // Durations are in nanoseconds, as Go adds them.
    ha_update: i64,
    ha_jitter: i64,
    ha_failover: i64,
    length_strategy: Arc<str>,
    max_label_value_length: i64,
    compaction_percentage: i64,
    max_trackers: i64,
    trackers: usize,
    query_ingesters_within: i64,
    relabel: Option<ListViolation>,
    cost_attribution: Option<ListViolation>,
    blocked_queries: Option<ListViolation>,
}

const SECOND: i64 = 1_000_000_000;

impl Default for RuleSettings {
    /// Mimir's built-in defaults.
    fn default() -> Self {
        RuleSettings {
            otel_strategy: "".into(),
            name_scheme: "legacy".into(),
            otel_suffixes: false,
            chunks_multiplier: 0.0,
            read_consistency: "eventual".into(),
            ha_update: 15 * SECOND,
            ha_jitter: 5 * SECOND,
            ha_failover: 30 * SECOND,
            length_strategy: "error".into(),
            max_label_value_length: 2048,
            compaction_percentage: 15,
            max_trackers: 0,
            trackers: 0,
            query_ingesters_within: 13 * 3600 * SECOND,
            relabel: None,
            cost_attribution: None,
            blocked_queries: None,
        }
    }
}

/// A rule that does not hold.
#[derive(Debug)]
pub(super) struct Violation {
    /// The field to change.
    pub(super) field: &'static str,
    pub(super) issue: Issue,
    /// The item of a list that is to be changed.
    pub(super) place: Option<Place>,
}

/// The rules that hold for any entry's limits, Mimir's or not, over the fields that the edge reads: each that does not hold, as
/// the field to change and what is wrong with it.
pub(crate) fn validate(limits: &TenantLimits) -> Vec<(&'static str, String)> {
    let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let settings = RuleSettings {
        length_strategy: limits.label_value_length_over_limit_strategy.as_str().into(),
        max_label_value_length: limits.max_label_value_length,
        ha_update: nanoseconds(limits.ha_tracker_update_timeout),
        ha_jitter: nanoseconds(limits.ha_tracker_update_timeout_jitter_max),
        ha_failover: nanoseconds(limits.ha_tracker_failover_timeout),
        ..RuleSettings::default()
    };
    let violations = settings.length().into_iter().chain(settings.ha_tracker());
    violations.map(|violation| (violation.field, violation.issue.predicate)).collect()
}

impl RuleSettings {
    /// What an entry starts from: of two settings it does not take Mimir's own.
    pub(super) fn of_entry(&self) -> Self {
        RuleSettings { name_scheme: "legacy".into(), otel_suffixes: false, ..self.clone() }
    }

    /// Takes a value over that its field can hold; other fields are passed over.
    pub(super) fn set(&mut self, field: &str, node: &Node) {
        match field {
            "otel_translation_strategy" => set_text(&mut self.otel_strategy, node),
            "name_validation_scheme" if as_text(node) != Some("") => set_text(&mut self.name_scheme, node),
            "otel_metric_suffixes_enabled" => self.otel_suffixes = as_bool(node).unwrap_or_default(),
            "max_estimated_fetched_chunks_per_query_multiplier" => {
                self.chunks_multiplier = as_float(node).unwrap_or(self.chunks_multiplier);
            }
            "ingest_storage_read_consistency" => set_text(&mut self.read_consistency, node),
            "ha_tracker_update_timeout" => set_duration(&mut self.ha_update, node),
            "ha_tracker_update_timeout_jitter_max" => set_duration(&mut self.ha_jitter, node),
            "ha_tracker_failover_timeout" => set_duration(&mut self.ha_failover, node),
            "label_value_length_over_limit_strategy" => set_text(&mut self.length_strategy, node),
            "max_label_value_length" => set_int(&mut self.max_label_value_length, node),
            "early_head_compaction_min_estimated_series_reduction_percentage" => {
                set_int(&mut self.compaction_percentage, node);
            }
            "max_active_series_additional_custom_trackers" => set_int(&mut self.max_trackers, node),
            "active_series_additional_custom_trackers" => {
                if let Content::Mapping(entries) = &node.content {
                    self.trackers = entries.iter().filter(|entry| !entry.is_null).count();
                }
            }
            "query_ingesters_within" => set_duration(&mut self.query_ingesters_within, node),
            "metric_relabel_configs" => self.relabel = lists::relabel(node),
            "cost_attribution_labels_structured" => self.cost_attribution = lists::cost_attribution(node),
            "blocked_queries" => self.blocked_queries = lists::blocked_queries(node),
            _ => {}
        }
    }

    /// Every rule that does not hold, in the order in which Mimir looks at them. The last two are looked at once the whole
    /// document is read.
    pub(super) fn violations(&self, query_store_after: Duration) -> Vec<Violation> {
        let now = [
            self.otel(),
            self.list("metric_relabel_configs", &self.relabel, MimirError::Fatal),
            self.multiplier(),
            self.consistency(),
            self.ha_tracker(),
            self.length(),
            self.list("cost_attribution_labels_structured", &self.cost_attribution, MimirError::Fatal),
            self.compaction(),
            self.custom_trackers(),
        ];
        let afterwards = [
            self.list("blocked_queries", &self.blocked_queries, MimirError::Validation),
            self.ingesters(query_store_after),
        ];
        now.into_iter().chain(afterwards).flatten().collect()
    }

    fn list(
        &self,
        field: &'static str,
        broken: &Option<ListViolation>,
        error: fn(String) -> MimirError,
    ) -> Option<Violation> {
        let ListViolation { code, predicate, go, place } = broken.clone()?;
        let issue = Issue { code, predicate, mimir: Some(error(go)) };
        Some(Violation { field, issue, place: Some(place) })
    }

    fn otel(&self) -> Option<Violation> {
        let (scheme, suffixes) = match &*self.otel_strategy {
            "UnderscoreEscapingWithoutSuffixes" => ("legacy", false),
            "UnderscoreEscapingWithSuffixes" => ("legacy", true),
            "NoUTF8EscapingWithSuffixes" => ("utf8", true),
            "NoTranslation" => ("utf8", false),
            _ => return None,
        };
        let (needed, rule) = if *self.name_scheme != *scheme {
            (format!("name_validation_scheme {scheme}"), format!("validation scheme is {scheme}"))
        } else if self.otel_suffixes != suffixes {
            let state = if suffixes { "enabled" } else { "disabled" };
            (format!("otel_metric_suffixes_enabled {suffixes}"), format!("metric suffixes are {state}"))
        } else {
            return None;
        };
        let strategy = &self.otel_strategy;
        broken(
            "otel_translation_strategy",
            format!("is {strategy}, which needs {needed}: write that into the same entry, which does not inherit it"),
            format!("OTLP translation strategy {strategy} is not allowed unless {rule}"),
        )
    }

    fn multiplier(&self) -> Option<Violation> {
        let value = self.chunks_multiplier;
        if !(value < 1.0 && value != 0.0) {
            return None;
        }
        broken(
            "max_estimated_fetched_chunks_per_query_multiplier",
            format!("is {value}: write 0, or a number from 1"),
            "invalid value for -querier.max-estimated-fetched-chunks-per-query-multiplier: \
             must be 0 or greater than or equal to 1"
                .to_owned(),
        )
    }

    fn consistency(&self) -> Option<Violation> {
        let value = &*self.read_consistency;
        if matches!(value, "strong" | "eventual") {
            return None;
        }
        broken(
            "ingest_storage_read_consistency",
            format!("is {}: write strong or eventual", quoted(&shortened(value))),
            "invalid ingest storage read consistency (supported values: strong, eventual)".to_owned(),
        )
    }

    fn ha_tracker(&self) -> Option<Violation> {
        if self.ha_update <= 0 && self.ha_failover <= 0 {
            return None;
        }
        // Go's sum of three huge durations is negative, and then every failover is long enough.
        let least = self.ha_update.wrapping_add(self.ha_jitter).wrapping_add(SECOND);
        if self.ha_failover >= least {
            return None;
        }
        let [update, jitter, failover, least] = [self.ha_update, self.ha_jitter, self.ha_failover, least].map(shown);
        broken(
            "ha_tracker_failover_timeout",
            format!(
                "is {failover}, too short for ha_tracker_update_timeout {update} with \
                 ha_tracker_update_timeout_jitter_max {jitter}: write at least {least}"
            ),
            format!(
                "HA Tracker failover timeout ({failover}) must be at least 1s greater than update timeout - max jitter ({least})"
            ),
        )
    }

    fn length(&self) -> Option<Violation> {
        /// The length of `(hash:` + 64 hex digits + `)`, which replaces a value or its end.
        const HASH_BYTES: i64 = 71;
        let (strategy, length) = (&*self.length_strategy, self.max_label_value_length);
        if !matches!(strategy, "truncate" | "drop") || length >= HASH_BYTES {
            return None;
        }
        broken(
            "max_label_value_length",
            format!(
                "is {length}, too small for label_value_length_over_limit_strategy {strategy}: write at least {HASH_BYTES}"
            ),
            format!(
                "cannot set -validation.label-value-length-over-limit-strategy to {}: \
                 label value hash suffix would exceed max label value length of {length}",
                quote(strategy)
            ),
        )
    }

    fn compaction(&self) -> Option<Violation> {
        let value = self.compaction_percentage;
        if (0..=100).contains(&value) {
            return None;
        }
        let field = "early_head_compaction_min_estimated_series_reduction_percentage";
        broken(
            field,
            format!("is {value}: write a percentage from 0 to 100"),
            format!("{field} must be between 0 and 100"),
        )
    }

    fn custom_trackers(&self) -> Option<Violation> {
        const FIELD: &str = "active_series_additional_custom_trackers";
        let (count, limit) = (self.trackers, self.max_trackers);
        let failed = |reason| format!("{FIELD} validation failed: {reason}");
        if limit < 0 {
            return broken(
                "max_active_series_additional_custom_trackers",
                format!("is {limit}: write a number from 0, where 0 is no limit"),
                failed(format!("invalid max custom trackers limit: {limit}")),
            );
        }
        if limit == 0 || i64::try_from(count).is_ok_and(|count| count <= limit) {
            return None;
        }
        broken(
            FIELD,
            format!(
                "has {count} trackers, more than max_active_series_additional_custom_trackers {limit}: remove some"
            ),
            failed(format!("the number of custom trackers [{count}] exceeds the configured limit [{limit}]")),
        )
    }

    fn ingesters(&self, query_store_after: Duration) -> Option<Violation> {
        let within = u128::try_from(self.query_ingesters_within).unwrap_or_default();
        if within == 0 || query_store_after.is_zero() || within > query_store_after.as_nanos() {
            return None;
        }
        let issue = Issue {
            code: Code::BrokenRule,
            predicate: format!(
                "is {}, not longer than -querier.query-store-after {}: write a longer one, or 0",
                shown(self.query_ingesters_within),
                render(query_store_after)
            ),
            mimir: Some(MimirError::Validation(
                "invalid limits config for querier: the -querier.query-ingesters-within setting must be greater than \
                 -querier.query-store-after otherwise queries might return partial results"
                    .to_owned(),
            )),
        };
        Some(Violation { field: "query_ingesters_within", issue, place: None })
    }
}

fn broken(field: &'static str, predicate: String, go: String) -> Option<Violation> {
    let issue = Issue { code: Code::BrokenRule, predicate, mimir: Some(MimirError::Fatal(go)) };
    Some(Violation { field, issue, place: None })
}

fn shown(nanoseconds: i64) -> String {
    render(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()))
}

// A null leaves what was there.

fn set_text(setting: &mut Arc<str>, node: &Node) {
    if let Some(text) = as_text(node) {
        *setting = text.into();
    }
}

fn set_int(setting: &mut i64, node: &Node) {
    *setting = as_int(node).unwrap_or(*setting);
}

fn set_duration(setting: &mut i64, node: &Node) {
    let read = as_text(node).and_then(|text| i64::try_from(parse(text).ok()?.as_nanos()).ok());
    *setting = read.unwrap_or(*setting);
}
