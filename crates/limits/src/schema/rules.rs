//! Mimir's rules over all limits of a tenant (`Validate` in Mimir's `pkg/util/validation/limits.go`), in its order.

use std::sync::Arc;
use std::time::Duration;

use go_yaml::{Content, Node, Position};

use super::go::quote;
use super::lists::{self, ListViolation};
use super::{Issue, MimirError};
use crate::code::Code;
use crate::duration::render;
use crate::model::{LabelValueStrategy, NameScheme, TenantLimits};
use crate::value::{FieldValue, quote as quoted, shortened};

/// Defines the settings that rules look at, each under Mimir's name of its field: `values`, which are read as the limits are,
/// and what is `derived` from a field.
macro_rules! rule_settings {
    (values { $($value:ident: $kind:ty = $default:expr,)* } derived { $($derived:ident: $type:ty = $set:expr,)* }) => {
        /// The settings that Mimir's rules look at, as one entry has them or Mimir's own limits.
        ///
        /// They are more than [`crate::TenantLimits`] holds: a tenant's entry is laid over them, and rejected if the outcome
        /// breaks a rule.
        #[derive(Debug, Clone, PartialEq)]
        pub struct RuleSettings {
            $($value: $kind,)*
            $($derived: $type,)*
        }

        impl Default for RuleSettings {
            /// Mimir's built-in defaults.
            fn default() -> Self {
                RuleSettings { $($value: $default,)* $($derived: <$type>::default(),)* }
            }
        }

        impl RuleSettings {
            /// Takes over a value that its field can hold; ignores other values and fields.
            pub(super) fn set(&mut self, field: &str, node: &Node) {
                match field {
                    $(stringify!($value) => drop(self.$value.read(node)),)*
                    $(stringify!($derived) => {
                        let set: fn(&mut $type, &Node) = $set;
                        set(&mut self.$derived, node);
                    })*
                    _ => {}
                }
            }
        }
    };
}

rule_settings! {
    values {
        early_head_compaction_min_estimated_series_reduction_percentage: i64 = 15,
        ha_tracker_failover_timeout: Duration = Duration::from_secs(30),
        ha_tracker_update_timeout: Duration = Duration::from_secs(15),
        ha_tracker_update_timeout_jitter_max: Duration = Duration::from_secs(5),
        ingest_storage_read_consistency: Arc<str> = "eventual".into(),
        label_value_length_over_limit_strategy: LabelValueStrategy = LabelValueStrategy::Error,
        max_active_series_additional_custom_trackers: i64 = 0,
        max_estimated_fetched_chunks_per_query_multiplier: f64 = 0.0,
        max_label_value_length: i64 = 2048,
        name_validation_scheme: NameScheme = NameScheme::Legacy,
        otel_metric_suffixes_enabled: bool = false,
        otel_translation_strategy: Arc<str> = "".into(),
        query_ingesters_within: Duration = Duration::from_secs(13 * 3600),
    }
    derived {
        active_series_additional_custom_trackers: usize = |count, node| {
            if let Content::Mapping(entries) = &node.content {
                *count = entries.iter().filter(|entry| !entry.is_null).count();
            }
        },
        blocked_queries: Option<ListViolation> = |found, node| *found = lists::blocked_queries(node),
        cost_attribution_labels_structured: Option<ListViolation> = |found, node| *found = lists::cost_attribution(node),
        metric_relabel_configs: Option<ListViolation> = |found, node| *found = lists::relabel(node),
    }
}

/// A broken rule.
#[derive(Debug)]
pub(super) struct Violation {
    /// The field to change.
    pub(super) field: &'static str,
    pub(super) issue: Issue,
    /// The list item to change.
    pub(super) position: Option<Position>,
}

/// The broken rules over the fields that the edge reads, each as the field to change and what is wrong with it.
pub(crate) fn validate(limits: &TenantLimits) -> Vec<(&'static str, String)> {
    let settings = RuleSettings {
        label_value_length_over_limit_strategy: limits.label_value_length_over_limit_strategy,
        max_label_value_length: limits.max_label_value_length,
        ha_tracker_update_timeout: limits.ha_tracker_update_timeout,
        ha_tracker_update_timeout_jitter_max: limits.ha_tracker_update_timeout_jitter_max,
        ha_tracker_failover_timeout: limits.ha_tracker_failover_timeout,
        ..RuleSettings::default()
    };
    let violations = settings.length().into_iter().chain(settings.ha_tracker());
    violations.map(|violation| (violation.field, violation.issue.predicate)).collect()
}

impl RuleSettings {
    /// What an entry starts from: Mimir's own limits, except for two settings.
    pub(super) fn of_entry(&self) -> Self {
        RuleSettings { name_validation_scheme: NameScheme::Legacy, otel_metric_suffixes_enabled: false, ..self.clone() }
    }

    /// The broken rules, in Mimir's order. Mimir checks the last two after decoding the whole document.
    pub(super) fn violations(&self, query_store_after: Duration) -> Vec<Violation> {
        let now = [
            self.otel(),
            list("metric_relabel_configs", &self.metric_relabel_configs, MimirError::Fatal),
            self.multiplier(),
            self.consistency(),
            self.ha_tracker(),
            self.length(),
            list("cost_attribution_labels_structured", &self.cost_attribution_labels_structured, MimirError::Fatal),
            self.compaction(),
            self.custom_trackers(),
        ];
        let afterwards =
            [list("blocked_queries", &self.blocked_queries, MimirError::Validation), self.ingesters(query_store_after)];
        now.into_iter().chain(afterwards).flatten().collect()
    }

    fn otel(&self) -> Option<Violation> {
        let (scheme, suffixes) = match &*self.otel_translation_strategy {
            "UnderscoreEscapingWithoutSuffixes" => (NameScheme::Legacy, false),
            "UnderscoreEscapingWithSuffixes" => (NameScheme::Legacy, true),
            "NoUTF8EscapingWithSuffixes" => (NameScheme::Utf8, true),
            "NoTranslation" => (NameScheme::Utf8, false),
            _ => return None,
        };
        let (needed, rule) = if self.name_validation_scheme != scheme {
            let scheme = scheme.as_str();
            (format!("name_validation_scheme {scheme}"), format!("validation scheme is {scheme}"))
        } else if self.otel_metric_suffixes_enabled != suffixes {
            let state = if suffixes { "enabled" } else { "disabled" };
            (format!("otel_metric_suffixes_enabled {suffixes}"), format!("metric suffixes are {state}"))
        } else {
            return None;
        };
        let strategy = &self.otel_translation_strategy;
        broken(
            "otel_translation_strategy",
            format!("is {strategy}, which needs {needed}: write that into the same entry, which does not inherit it"),
            format!("OTLP translation strategy {strategy} is not allowed unless {rule}"),
        )
    }

    fn multiplier(&self) -> Option<Violation> {
        let value = self.max_estimated_fetched_chunks_per_query_multiplier;
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
        let value = &*self.ingest_storage_read_consistency;
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
        let [update, jitter, failover] = [
            self.ha_tracker_update_timeout,
            self.ha_tracker_update_timeout_jitter_max,
            self.ha_tracker_failover_timeout,
        ]
        .map(|duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
        if update == 0 && failover == 0 {
            return None;
        }
        // Go's sum of three huge durations is negative, and then every failover is long enough.
        let least = update.wrapping_add(jitter).wrapping_add(1_000_000_000);
        if failover >= least {
            return None;
        }
        let [update, jitter, failover, least] = [update, jitter, failover, least]
            .map(|nanoseconds| render(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())));
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
        let (strategy, length) = (self.label_value_length_over_limit_strategy, self.max_label_value_length);
        if strategy == LabelValueStrategy::Error || length >= HASH_BYTES {
            return None;
        }
        let strategy = strategy.as_str();
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
        let value = self.early_head_compaction_min_estimated_series_reduction_percentage;
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
        let (count, limit) =
            (self.active_series_additional_custom_trackers, self.max_active_series_additional_custom_trackers);
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
        let within = self.query_ingesters_within;
        if within.is_zero() || query_store_after.is_zero() || within > query_store_after {
            return None;
        }
        let issue = Issue {
            code: Code::BrokenRule,
            predicate: format!(
                "is {}, not longer than -querier.query-store-after {}: write a longer one, or 0",
                render(within),
                render(query_store_after)
            ),
            mimir: Some(MimirError::Validation(
                "invalid limits config for querier: the -querier.query-ingesters-within setting must be greater than \
                 -querier.query-store-after otherwise queries might return partial results"
                    .to_owned(),
            )),
        };
        Some(Violation { field: "query_ingesters_within", issue, position: None })
    }
}

fn broken(field: &'static str, predicate: String, go: String) -> Option<Violation> {
    let issue = Issue { code: Code::BrokenRule, predicate, mimir: Some(MimirError::Fatal(go)) };
    Some(Violation { field, issue, position: None })
}

fn list(field: &'static str, broken: &Option<ListViolation>, error: fn(String) -> MimirError) -> Option<Violation> {
    let ListViolation { code, predicate, go, position } = broken.clone()?;
    let issue = Issue { code, predicate, mimir: Some(error(go)) };
    Some(Violation { field, issue, position: Some(position) })
}
