//! Limits that pushes are judged by: lax ones, tight ones, and any in between.

use std::time::Duration;

use limits::{LabelValueStrategy, NameScheme, RelabelAction, RelabelRule, TenantLimits};
use proptest::prelude::*;

pub(crate) fn all() -> Vec<TenantLimits> {
    vec![TenantLimits::default(), storing_exemplars(), tight(), treating()]
}

/// Pairs whose series are judged one by one, then relabelled.
fn treating() -> TenantLimits {
    let treated = TenantLimits { ha_tracker_per_sample_dedupe: true, ..storing_exemplars() };
    // Without an expression, which takes longer to compile than most pushes to read.
    let copy = RelabelRule { source_labels: ["a".into()].into(), target_label: "b".into(), ..RelabelRule::default() };
    TenantLimits { metric_relabel_configs: [copy].into(), ..of_pairs(treated) }
}

/// Of labels that are mostly there.
fn of_pairs(limits: TenantLimits) -> TenantLimits {
    TenantLimits {
        accept_ha_samples: true,
        ha_cluster_label: "job".into(),
        ha_replica_label: "pod".into(),
        drop_labels: ["c".into()].into(),
        ..limits
    }
}

fn rules() -> Vec<RelabelRule> {
    let of_a = RelabelRule { source_labels: ["a".into()].into(), ..RelabelRule::default() };
    vec![
        RelabelRule { regex: "[a-c].*".into(), action: RelabelAction::Drop, ..of_a.clone() },
        RelabelRule { target_label: "b".into(), regex: "(.).*".into(), ..of_a },
        RelabelRule { regex: "(Z).*".into(), action: RelabelAction::LabelMap, ..RelabelRule::default() },
    ]
}

pub(crate) fn storing_exemplars() -> TenantLimits {
    TenantLimits { max_global_exemplars_per_user: 100, ..TenantLimits::default() }
}

fn tight() -> TenantLimits {
    TenantLimits {
        max_label_names_per_series: 2,
        max_label_names_per_info_series: 3,
        max_label_name_length: 8,
        max_label_value_length: 16,
        max_metadata_length: 8,
        max_native_histogram_buckets: 2,
        max_exemplars_per_series_per_request: 1,
        creation_grace_period: Duration::ZERO,
        past_grace_period: Duration::from_secs(60),
        ..storing_exemplars()
    }
}

prop_compose! {
    fn label_rules()(
        labels in 0..6_i64,
        of_info in 0..8_i64,
        name in 0..10_i64,
        value in -1..10_i64,
        strategy in prop::sample::select(vec![LabelValueStrategy::Error, LabelValueStrategy::Truncate]),
        scheme in prop::sample::select(vec![NameScheme::Legacy, NameScheme::Utf8]),
        lax in prop::bool::weighted(0.6),
    ) -> TenantLimits {
        let limits = TenantLimits { name_validation_scheme: scheme, ..TenantLimits::default() };
        if lax {
            return limits;
        }
        TenantLimits {
            max_label_names_per_series: labels,
            max_label_names_per_info_series: of_info,
            max_label_name_length: name,
            max_label_value_length: value,
            label_value_length_over_limit_strategy: strategy,
            ..limits
        }
    }
}

prop_compose! {
    fn treatment()(
        limits in label_rules(),
        rules in prop_oneof![6 => Just(vec![]), 2 => prop::sample::subsequence(rules(), 0..=3)],
        pairs in prop::bool::weighted(0.2),
        each_series in prop::bool::ANY,
    ) -> TenantLimits {
        let limits = TenantLimits {
            metric_relabel_configs: rules.into(), ha_tracker_per_sample_dedupe: each_series, ..limits
        };
        if pairs { of_pairs(limits) } else { limits }
    }
}

prop_compose! {
    pub(crate) fn any()(
        limits in treatment(),
        creation in 0..4_u64,
        past in 0..4_u64,
        window in 0..4_u64,
        enforce in prop::bool::ANY,
        buckets in 0..6_i64,
        reduces in prop::bool::ANY,
        stored in 0..2_i64,
        exemplars in 0..3_i64,
        metadata in -1..6_i64,
        named in prop::bool::ANY,
    ) -> TenantLimits {
        TenantLimits {
            creation_grace_period: Duration::from_millis(creation),
            past_grace_period: Duration::from_millis(past),
            out_of_order_time_window: Duration::from_millis(window),
            enforce_out_of_order_window_on_distributor: enforce,
            max_native_histogram_buckets: buckets,
            reduce_native_histogram_over_max_buckets: reduces,
            max_global_exemplars_per_user: stored,
            max_exemplars_per_series_per_request: exemplars,
            max_metadata_length: metadata,
            enforce_metadata_metric_name: named,
            ..limits
        }
    }
}
