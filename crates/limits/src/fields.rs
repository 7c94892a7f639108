//! The table of Mimir's limit fields: those that the edge reads, their other spellings, and those that it does not use.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::model::{FIELDS, TenantLimits};
use crate::schema;
use crate::suggest::nearest;
use crate::value::ValueError;
use crate::yaml::Node;

/// A field that the edge reads.
pub(crate) struct Field {
    /// Mimir's name of it in YAML.
    pub(crate) name: &'static str,
    /// Sets the field of `limits`; leaves it alone on an error.
    pub(crate) read: fn(limits: &mut TenantLimits, node: &Node) -> Result<(), ValueError>,
    /// The value as YAML.
    pub(crate) render: fn(&TenantLimits) -> String,
    /// Whether both have the same value.
    pub(crate) same: fn(&TenantLimits, &TenantLimits) -> bool,
}

/// Spellings from guides and from older or similar systems, with Mimir's name.
const ALIASES: [(&str, &str); 11] = [
    ("burst_size", "ingestion_burst_size"),
    ("ingestion_burst", "ingestion_burst_size"),
    ("ingestion_rate_limit", "ingestion_rate"),
    ("max_label_names", "max_label_names_per_series"),
    ("max_labels_per_series", "max_label_names_per_series"),
    ("max_length_label_name", "max_label_name_length"),
    ("max_length_label_value", "max_label_value_length"),
    ("request_burst", "request_burst_size"),
    ("request_rate_limit", "request_rate"),
    ("requests_per_second", "request_rate"),
    ("samples_per_second", "ingestion_rate"),
];

/// Settings of the edge, which Mimir would reject in its own file.
const EDGE_ONLY: [&str; 4] = ["edge_limits", "max_body_bytes", "max_series_per_request", "mode"];

/// The meaning of a name in a tenant's entry.
#[derive(Clone, Copy)]
pub(crate) enum Known {
    /// Read by the edge; `alias` if Mimir spells it otherwise.
    Used { field: &'static Field, alias: bool },
    /// A field of Mimir that the edge does not use, and silently ignores.
    Unused,
    /// A setting of the edge configuration, which does not belong here.
    EdgeOnly,
}

static BY_NAME: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let mut names: HashMap<_, _> = schema::limit_names().map(|name| (name, Known::Unused)).collect();
    names.extend(EDGE_ONLY.map(|name| (name, Known::EdgeOnly)));
    for field in FIELDS {
        names.insert(field.name, Known::Used { field, alias: false });
        let spellings = ALIASES.iter().filter(|(_, name)| *name == field.name);
        names.extend(spellings.map(|(old, _)| (*old, Known::Used { field, alias: true })));
    }
    names
});

/// Finds a name by its exact spelling.
pub(crate) fn find(name: &str) -> Option<Known> {
    BY_NAME.get(name).copied()
}

/// The message for a name that [`find`] does not know.
pub(crate) fn unknown(name: &str) -> String {
    let shown = crate::value::shortened(name);
    match nearest(name, BY_NAME.keys().copied()) {
        Some(near) => format!("field {shown} is unknown and is ignored; did you mean {near}?"),
        None => {
            format!("field {shown} is unknown and is ignored; remove it, or check its spelling in Mimir's reference")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LabelValueStrategy;
    use crate::schema::validate;
    use std::time::Duration;

    #[test]
    fn every_name_has_one_meaning() {
        let unused = schema::limit_names().filter(|name| FIELDS.iter().all(|field| field.name != *name));
        let names = FIELDS.iter().map(|field| field.name).chain(unused);
        let all: Vec<_> = names.chain(ALIASES.map(|(old, _)| old)).chain(EDGE_ONLY).collect();
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(BY_NAME.len(), all.len());
    }

    #[test]
    fn the_tables_are_in_order() {
        assert!(FIELDS.is_sorted_by_key(|field| field.name));
        assert!(ALIASES.is_sorted());
    }

    #[test]
    fn aliases_lead_to_fields() {
        for (old, name) in ALIASES {
            assert!(matches!(find(old), Some(Known::Used { field, alias: true }) if field.name == name), "{old}");
        }
    }

    #[test]
    fn no_known_name_is_called_unknown() {
        assert!(find("max_global_series_per_user").is_some());
        assert!(unknown("ingestion_rte").contains("did you mean ingestion_rate?"));
        assert!(!unknown("zzz").contains("did you mean"));
    }

    #[test]
    fn the_defaults_hold_mimirs_rules() {
        assert_eq!(validate(&TenantLimits::default()), []);
    }

    #[test]
    fn a_hash_must_fit_into_a_label_value() {
        let mut limits = TenantLimits {
            max_label_value_length: 70,
            label_value_length_over_limit_strategy: LabelValueStrategy::Drop,
            ..TenantLimits::default()
        };
        assert!(matches!(validate(&limits).as_slice(), [("max_label_value_length", _)]));
        limits.max_label_value_length = 71;
        assert_eq!(validate(&limits), []);
        limits.max_label_value_length = 1;
        limits.label_value_length_over_limit_strategy = LabelValueStrategy::Error;
        assert_eq!(validate(&limits), []);
    }

    #[test]
    fn a_failover_must_outlast_update_and_jitter() {
        let mut limits =
            TenantLimits { ha_tracker_failover_timeout: Duration::from_millis(20_999), ..TenantLimits::default() };
        assert!(matches!(validate(&limits).as_slice(), [("ha_tracker_failover_timeout", _)]));
        limits.ha_tracker_failover_timeout = Duration::from_secs(21);
        assert_eq!(validate(&limits), []);
        limits.ha_tracker_failover_timeout = Duration::ZERO;
        limits.ha_tracker_update_timeout = Duration::ZERO;
        assert_eq!(validate(&limits), []);
    }
}
