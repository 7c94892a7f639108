//! Tenants with every kind of limit on the write path.

use std::time::Duration;

use limits::{LabelValueStrategy, NameScheme, TenantLimits};

use super::relabelling;
use crate::random::Random;

/// The labels that a tenant of pairs may have for its pairs.
const PAIR_LABELS: [(&str, &str); 3] = [("cluster", "__replica__"), ("dc", "rep"), ("cluster", "pod")];

/// In what a tenant's pushes differ from others', where the edge is known to answer otherwise than Mimir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The edge answers as Mimir does.
    Usual,
    /// Each push has the tenant's header twice: the edge denies it, Mimir takes the first.
    TwoHeaders,
    /// Each push is larger than the edge takes.
    TooLarge,
}

/// A tenant, its limits, and what its pushes are drawn from.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) limits: TenantLimits,
    /// Limits that are looked at behind the edge alone.
    others: Vec<String>,
    /// The limits of the spelling with [`METADATA`], where it has its own.
    of_spelling: Option<TenantLimits>,
    /// Draws the tenant's pushes, in their order.
    pub(crate) random: Random,
}

/// A metadata suffix of a tenant.
pub(crate) const METADATA: &str = ":k=w";

impl Tenant {
    /// Draws the tenant of this number.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::of(seed, number);
        let random = &mut random;
        let kind = match number % 50 {
            17 => Kind::TwoHeaders,
            34 => Kind::TooLarge,
            _ => Kind::Usual,
        };
        let id = if random.percent(5) { format!("t!*'().-_{number}") } else { format!("tenant-{number}") };
        let limits = if kind == Kind::Usual { any_limits(random) } else { TenantLimits::default() };
        let of_spelling = random.percent(5).then(|| {
            let mut own = limits.clone();
            ingestion(random, &mut own);
            own
        });
        let others = others(random);
        Self { id, kind, limits, others, of_spelling, random: Random::of(seed ^ 0x5eed, number) }
    }

    /// The tenant's entries of Mimir's runtime config.
    pub(crate) fn entries(&self) -> String {
        let defaults = TenantLimits::default();
        let render = |id: &str, limits: &TenantLimits| {
            let used = limits.differences(&defaults).map(|(name, value)| format!("{name}: {value}"));
            let fields: Vec<String> = used.chain(self.others.iter().cloned()).collect();
            format!("  {id:?}: {{ {} }}\n", fields.join(", "))
        };
        let mut entries = render(&self.id, &self.limits);
        if let Some(own) = &self.of_spelling {
            entries.push_str(&render(&format!("{}{METADATA}", self.id), own));
        }
        entries
    }
}

fn any_limits(random: &mut Random) -> TenantLimits {
    let mut limits = TenantLimits::default();
    let parts =
        [requests, ingestion, names, lengths, label_counts, times, histograms, exemplars, metadata, pairs, rewriting];
    let chances = [25, 60, 40, 30, 30, 30, 30, 35, 30, 20, 25];
    for (part, chance) in parts.into_iter().zip(chances) {
        if random.percent(chance) {
            part(random, &mut limits);
        }
    }
    limits
}

/// Rates at which nothing comes back within a run, or everything between two pushes, so that the clock decides nothing.
fn requests(random: &mut Random, limits: &mut TenantLimits) {
    (limits.request_rate, limits.request_burst_size) = match random.number(0, 9) {
        0 => (random.of_values(&[1e9, 1e21, f64::MAX]), random.number(1, 3)),
        1 => (random.of_values(&[0.0, -1.0]), random.number(-1, 3)),
        2 => (0.0001, random.number(-1, 0)),
        _ => (random.of_values(&[0.0001, 0.000_123, 1e-5]), random.number(1, 40)),
    };
}

fn ingestion(random: &mut Random, limits: &mut TenantLimits) {
    let slow = random.of_values(&[0.0001, 0.000_123, 1e-5]);
    limits.ingestion_burst_factor = 0.0;
    (limits.ingestion_rate, limits.ingestion_burst_size) = match random.number(0, 19) {
        0 | 1 => (random.of_values(&[1e9, 1e20, 12_345_678_901.5]), random.number(1, 20)),
        2 => (random.of_values(&[0.0, -0.5]), random.number(5, 60)),
        3 => (slow, random.number(-1, 0)),
        4 => (f64::MAX, random.number(0, 3)),
        5 | 6 => {
            limits.ingestion_burst_factor = random.of_values(&[1.0, 150_000.0, 1_000_000.0, 0.5]);
            (slow, random.number(3, 30))
        }
        7..=12 => (slow, random.number(60, 400)),
        _ => (slow, random.number(1, 60)),
    };
}

fn names(_: &mut Random, limits: &mut TenantLimits) {
    limits.name_validation_scheme = NameScheme::Utf8;
}

fn lengths(random: &mut Random, limits: &mut TenantLimits) {
    limits.max_label_name_length = random.number(8, 24);
    let strategies = [LabelValueStrategy::Error, LabelValueStrategy::Truncate, LabelValueStrategy::Drop];
    limits.label_value_length_over_limit_strategy = random.of_values(&strategies);
    limits.max_label_value_length = match limits.label_value_length_over_limit_strategy {
        LabelValueStrategy::Error => random.number(12, 40),
        LabelValueStrategy::Truncate | LabelValueStrategy::Drop => random.number(71, 90),
    };
}

fn label_counts(random: &mut Random, limits: &mut TenantLimits) {
    limits.max_label_names_per_series = random.number(2, 7);
    limits.max_label_names_per_info_series = random.number(2, 9);
}

fn times(random: &mut Random, limits: &mut TenantLimits) {
    limits.creation_grace_period = Duration::from_secs(random.of_values(&[0, 120, 3600]));
    limits.past_grace_period = Duration::from_secs(random.of_values(&[0, 3600, 7200]));
    limits.out_of_order_time_window = Duration::from_secs(random.of_values(&[0, 0, 1800]));
    limits.enforce_out_of_order_window_on_distributor = random.percent(50);
}

fn histograms(random: &mut Random, limits: &mut TenantLimits) {
    limits.max_native_histogram_buckets = random.number(0, 8);
    limits.reduce_native_histogram_over_max_buckets = random.percent(50);
}

fn exemplars(random: &mut Random, limits: &mut TenantLimits) {
    limits.max_global_exemplars_per_user = random.of_values(&[1, 5, 100, -1]);
    limits.max_exemplars_per_series_per_request = random.number(0, 2);
}

fn metadata(random: &mut Random, limits: &mut TenantLimits) {
    limits.max_metadata_length = random.number(4, 24);
    limits.enforce_metadata_metric_name = random.percent(50);
}

/// No replica is silent for so long that another would be elected: it is the order of the pushes that decides.
fn pairs(random: &mut Random, limits: &mut TenantLimits) {
    limits.ha_tracker_per_sample_dedupe = random.percent(40);
    // Mimir looks at the pairs of one push in no order then: of several replicas, and of clusters that are one too many, chance elects.
    let decided = if limits.ha_tracker_per_sample_dedupe { 2 } else { 3 };
    let (cluster, replica) = random.of_values(&PAIR_LABELS[..decided]);
    limits.accept_ha_samples = true;
    limits.ha_cluster_label = cluster.into();
    limits.ha_replica_label = replica.into();
    limits.ha_max_clusters = random.of_values(if decided == 2 { &[0, 100] } else { &[0, 1, 2, 100] });
    limits.ha_tracker_update_timeout = Duration::from_secs(3600);
    limits.ha_tracker_failover_timeout = Duration::from_secs(4 * 3600);
}

fn rewriting(random: &mut Random, limits: &mut TenantLimits) {
    if random.percent(40) {
        let count = random.count(1, 2);
        limits.drop_labels =
            (0..count).map(|_| random.one(&["pod", "job", "le", "__replica__", "é", "__name__"]).into()).collect();
    }
    if random.percent(80) {
        let count = random.count(1, 3);
        limits.metric_relabel_configs = (0..count).map(|_| relabelling::rule(random)).collect();
    }
}

/// Limits of the ingester, and such that are no concern of the write path's answers.
fn others(random: &mut Random) -> Vec<String> {
    let mut others = Vec::new();
    for (chance, name, low, high) in [
        (10, "max_global_series_per_user", 1, 12),
        (10, "max_global_series_per_metric", 1, 4),
        (10, "max_global_metadata_per_user", 1, 4),
        (5, "max_global_metadata_per_metric", 1, 2),
    ] {
        if random.percent(chance) {
            others.push(format!("{name}: {}", random.number(low, high)));
        }
    }
    if random.percent(60) {
        others.push(format!("native_histograms_ingestion_enabled: {}", random.percent(80)));
    }
    others
}
