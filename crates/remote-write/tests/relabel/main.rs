//! Relabelling as Mimir does it: against what Mimir's own code made of the same rules, against the recorded pushes, and its
//! properties.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use limits::{NameScheme, RelabelAction, RelabelRule, TenantLimits};
use remote_write::relabel::{LabelSet, Relabeler};

mod golden;
mod properties;
mod recorded;

/// Labels of a series, names and values of any bytes.
type Labels = Vec<(Vec<u8>, Vec<u8>)>;

/// Limits with these rules and nothing else of their own.
fn limits(rules: Vec<RelabelRule>, drop_labels: &[&str], scheme: NameScheme) -> TenantLimits {
    TenantLimits {
        metric_relabel_configs: rules.into(),
        drop_labels: drop_labels.iter().map(|name| (*name).into()).collect(),
        name_validation_scheme: scheme,
        ..TenantLimits::default()
    }
}

/// What Mimir goes on with; `None` if it drops the series.
fn relabelled(limits: &TenantLimits, tenant: &str, labels: &Labels) -> Option<Labels> {
    let mut set = LabelSet::new();
    fill(&mut set, labels);
    let keep = match Relabeler::compile(limits).unwrap() {
        Some(relabeler) => relabeler.apply(tenant, &mut set),
        None => unreachable!("there is something to do"),
    };
    keep.then(|| content(&set))
}

fn fill(set: &mut LabelSet, labels: &Labels) {
    set.clear();
    for (name, value) in labels {
        set.push(name, value);
    }
}

fn content(set: &LabelSet) -> Labels {
    set.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn action(name: &str) -> RelabelAction {
    *RelabelAction::ALL.iter().find(|action| action.as_str() == name).unwrap()
}
