//! The per-tenant limits of Mimir's write path, under Mimir's own names and with Mimir's own defaults.
//!
//! [`TenantLimits`] has the configured values. Their meaning (0 as "off", the largest float as "unlimited") differs from field to
//! field, and is in its methods.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::fields::Field;
use crate::relabel::RelabelRule;
use crate::value::FieldValue;

/// Defines the limits and the table of their fields: each field's member has the name that Mimir gives it.
macro_rules! tenant_limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr),* $(,)?) => {
        /// The limits of one tenant on the write path (Mimir `pkg/util/validation/limits.go`).
        ///
        /// Whole numbers are Go's `int`: 64 bits, and a negative one is kept as it is. Durations come from Prometheus
        /// duration strings and are at most about 292 years. Fields of Mimir that no part of the edge reads are not held.
        #[derive(Debug, Clone)]
        pub struct TenantLimits {
            $($(#[$doc])* pub $name: $kind),*
        }

        impl Default for TenantLimits {
            /// Mimir's built-in defaults (3.x).
            fn default() -> Self {
                TenantLimits { $($name: $default),* }
            }
        }

        /// Every field that the edge reads, in order of name.
        pub(crate) static FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            read: |limits, node| limits.$name.read(node),
            render: |limits| limits.$name.render(),
            same: |left, right| left.$name.same(&right.$name),
        }),*];
    };
}

tenant_limits! {
    /// Whether pushes of Prometheus pairs are deduplicated.
    accept_ha_samples: bool = false,
    /// How far in the future a sample may be.
    creation_grace_period: Duration = Duration::from_secs(600),
    /// Labels that are removed from every series.
    drop_labels: Arc<[Arc<str>]> = Arc::default(),
    /// Whether metadata without a metric name is rejected.
    enforce_metadata_metric_name: bool = true,
    /// Whether samples older than `out_of_order_time_window` are rejected without a `past_grace_period` (Mimir 3.1).
    enforce_out_of_order_window_on_distributor: bool = false,
    /// The label that names a Prometheus pair.
    ha_cluster_label: Arc<str> = "cluster".into(),
    /// Pairs that are tracked; 0: no limit.
    ha_max_clusters: i64 = 100,
    /// The label that names one of a pair.
    ha_replica_label: Arc<str> = "__replica__".into(),
    /// How long an elected replica may be silent before another is elected.
    ha_tracker_failover_timeout: Duration = Duration::from_secs(30),
    /// Whether the election is made for each series of a push (Mimir 3.1) instead of by its first one.
    ha_tracker_per_sample_dedupe: bool = false,
    /// How much older than the newest sample the stored time must be for a failover; 0: not looked at.
    ha_tracker_sample_failover_timeout: Duration = Duration::ZERO,
    /// How often the elected replica's last push is stored.
    ha_tracker_update_timeout: Duration = Duration::from_secs(15),
    /// The most that `ha_tracker_update_timeout` is varied by.
    ha_tracker_update_timeout_jitter_max: Duration = Duration::from_secs(5),
    /// From 1 on, the burst is this many seconds of the rate and `ingestion_burst_size` is not used.
    ingestion_burst_factor: f64 = 0.0,
    /// Items at once; 0 or negative denies everything.
    ingestion_burst_size: i64 = 200_000,
    /// Items (samples, histograms, exemplars, metadata) a second; 0 is a limit, not "off".
    ingestion_rate: f64 = 10_000.0,
    /// What is done with a label value that is too long.
    label_value_length_over_limit_strategy: LabelValueStrategy = LabelValueStrategy::Error,
    /// Exemplars of one series in one push; 0: no limit.
    max_exemplars_per_series_per_request: i64 = 0,
    /// Exemplars that are stored; 0: none are, and none are charged. Below 0 they are charged and not stored.
    max_global_exemplars_per_user: i64 = 0,
    /// Bytes of a label name.
    max_label_name_length: i64 = 1024,
    /// Labels of a series whose name ends in `_info`.
    max_label_names_per_info_series: i64 = 80,
    /// Labels of a series, the metric name included.
    max_label_names_per_series: i64 = 30,
    /// Bytes of a label value, of the metric name too.
    max_label_value_length: i64 = 2048,
    /// Bytes of a metric name or a unit in metadata.
    max_metadata_length: i64 = 1024,
    /// Buckets of a native histogram; 0: no limit.
    max_native_histogram_buckets: i64 = 0,
    /// Relabelling that is applied to every series.
    metric_relabel_configs: Arc<[RelabelRule]> = Arc::default(),
    /// Whether `metric_relabel_configs` is applied at all (gone in Mimir 3.1, where it always is).
    metric_relabeling_enabled: bool = true,
    /// Which metric and label names are valid.
    name_validation_scheme: NameScheme = NameScheme::Legacy,
    /// How old an out-of-order sample may be.
    out_of_order_time_window: Duration = Duration::ZERO,
    /// How far in the past a sample may be, beyond `out_of_order_time_window`; 0: any.
    past_grace_period: Duration = Duration::ZERO,
    /// Whether a histogram with too many buckets is reduced instead of rejected.
    reduce_native_histogram_over_max_buckets: bool = true,
    /// Pushes at once; 0 or negative: no bound.
    request_burst_size: i64 = 0,
    /// Pushes a second; 0, negative or NaN: no limit.
    request_rate: f64 = 0.0,
}

impl PartialEq for TenantLimits {
    /// Field by field; two NaN are equal, or a snapshot with one would always look changed.
    fn eq(&self, other: &Self) -> bool {
        FIELDS.iter().all(|field| (field.same)(self, other))
    }
}

impl TenantLimits {
    /// The request limit of `distributors` distributors as Mimir's limiters get it (Mimir `pkg/distributor`, request rate
    /// strategy).
    ///
    /// A rate of 0, below 0 or NaN is no limit, and so is the largest float, Go's `rate.Inf`. With a rate, a burst
    /// of 0 or below is no bound; without one the bucket holds nothing, which shows when a rate comes.
    #[must_use]
    pub fn request_limit(&self, distributors: NonZeroU32) -> RateLimit {
        let rate = if self.request_rate > 0.0 { rate(self.request_rate) } else { Rate::Unlimited };
        let burst = match self.request_burst_size {
            _ if self.request_rate <= 0.0 => Burst::Items(0),
            ..=0 => Burst::Unlimited,
            size => Burst::Items(size),
        };
        RateLimit::of_several(rate, burst, distributors)
    }

    /// The ingestion limit of `distributors` distributors as Mimir's limiters get it (Mimir
    /// `ingestion_rate_strategy.go`).
    ///
    /// Only the largest float is unlimited; 0 and below is a rate at which nothing is regained. A factor of 1 or more
    /// makes the burst of one distributor `ceil(factor * rate / distributors)`, capped at the largest `i64`.
    #[must_use]
    pub fn ingestion_limit(&self, distributors: NonZeroU32) -> RateLimit {
        let rate = rate(self.ingestion_rate);
        let burst = match rate {
            Rate::Unlimited if self.ingestion_burst_factor >= 1.0 => Burst::Unlimited,
            Rate::PerSecond(per_second) if self.ingestion_burst_factor >= 1.0 => {
                let of_one = per_second / f64::from(distributors.get());
                Burst::Items((self.ingestion_burst_factor * of_one).ceil() as i64)
            }
            _ => Burst::Items(self.ingestion_burst_size),
        };
        RateLimit::of_several(rate, burst, distributors)
    }

    /// Whether Mimir's distributor accepts and charges exemplars. If not, it does not decode them. It only checks for a limit of 0;
    /// the ingester drops them for a limit below 0.
    #[must_use]
    pub fn stores_exemplars(&self) -> bool {
        self.max_global_exemplars_per_user != 0
    }

    /// Whether relabelling or dropped labels may remove series before Mimir counts, so that a count made on the wire alone
    /// can be too high.
    #[must_use]
    pub fn relabels_series(&self) -> bool {
        !self.drop_labels.is_empty() || !self.metric_relabel_configs.is_empty()
    }

    /// Every field in order of its name, with its value in YAML.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        FIELDS.iter().map(|field| (field.name, (field.render)(self)))
    }

    /// The fields that differ from `base`, as [`TenantLimits::fields`] gives them.
    pub fn differences(&self, base: &TenantLimits) -> impl Iterator<Item = (&'static str, String)> {
        FIELDS.iter().filter(|field| !(field.same)(self, base)).map(|field| (field.name, (field.render)(self)))
    }
}

/// A token bucket's settings.
///
/// Each of D distributors has a bucket of its own with the rate divided by D and the whole burst, so together they take
/// D bursts at once, while no single charge may be more than one burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// How fast tokens come back.
    pub rate: Rate,
    /// The largest single charge, and what one distributor's bucket holds. Without a bound on the rate no charge is too
    /// large: the burst is then what the bucket holds when a rate comes.
    pub burst: Burst,
    /// How many tokens there are at most: the burst of every distributor.
    pub capacity: Burst,
}

impl RateLimit {
    /// The limit where there is one distributor.
    #[must_use]
    pub const fn of_one(rate: Rate, burst: Burst) -> Self {
        RateLimit { rate, burst, capacity: burst }
    }

    /// The limit of several distributors with this burst each; the capacity saturates.
    #[must_use]
    pub fn of_several(rate: Rate, burst: Burst, distributors: NonZeroU32) -> Self {
        let capacity = match burst {
            // It denies everything, however often it is there.
            Burst::Items(..=0) => burst,
            Burst::Items(items) => Burst::Items(items.saturating_mul(i64::from(distributors.get()))),
            Burst::Unlimited => Burst::Unlimited,
        };
        RateLimit { rate, burst, capacity }
    }
}

/// How fast a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Tokens a second. May be 0, negative, NaN or infinite: the bucket behaves as Go's does with such a number.
    PerSecond(f64),
    /// Every charge is allowed, whatever the burst.
    Unlimited,
}

/// How much a bucket holds, or a single charge may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burst {
    /// Tokens; 0 or less denies every charge.
    Items(i64),
    /// No charge is too large.
    Unlimited,
}

/// Go's `rate.Inf` is the largest float, not infinity (x/time/rate).
fn rate(per_second: f64) -> Rate {
    if per_second == f64::MAX { Rate::Unlimited } else { Rate::PerSecond(per_second) }
}

crate::named_enum! {
    /// What Mimir does with a label value over `max_label_value_length` (3.0).
    LabelValueStrategy {
        /// Rejects the series.
        Error = "error",
        /// Cuts the value and appends a hash of it.
        Truncate = "truncate",
        /// Replaces the value with a hash of it.
        Drop = "drop",
    }
}

crate::named_enum! {
    /// Which metric and label names are valid.
    NameScheme {
        /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; label names without `:`.
        Legacy = "legacy",
        /// Any UTF-8.
        Utf8 = "utf8",
    }
}

crate::named_enum! {
    /// What a decision does to a push.
    Mode {
        /// Pushes over a limit are denied.
        Enforce = "enforce",
        /// Pushes are decided, charged and counted, never denied.
        Shadow = "shadow",
        /// Pushes are forwarded without a decision; nothing is charged.
        Off = "off",
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rate, self.burst) {
            (Rate::Unlimited, _) => formatter.write_str("unlimited"),
            (Rate::PerSecond(rate), Burst::Items(items)) => write!(formatter, "{rate}/s, burst {items}"),
            (Rate::PerSecond(rate), Burst::Unlimited) => write!(formatter, "{rate}/s, burst unlimited"),
        }
    }
}

#[cfg(test)]
mod tests;
