//! The rules of an election: a tenant's limits, as Mimir's tracker reads them.

use std::time::Duration;

use limits::TenantLimits;

use crate::time::millis;

/// Mimir's default `ha_tracker_update_timeout`, for a default of 0, with which Mimir does not start.
const TICK: Duration = Duration::from_secs(15);

/// The rules of one election; cheap enough to build for each push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionRules {
    /// A replica seen less than this many milliseconds ago counts as alive; jitter included, so it may be negative.
    pub(crate) update: i64,
    /// Milliseconds after the stored time of the elected replica after which another may take over.
    pub(crate) failover: i64,
    /// The same for the earliest sample of the other replica; 0: ignored.
    pub(crate) sample_failover: i64,
    /// Milliseconds between two ticks.
    pub(crate) tick: i64,
    /// Clusters of the tenant; 0 or negative: any number.
    pub(crate) max_clusters: i64,
    /// Bytes of a replica's name.
    pub(crate) max_replica_bytes: i64,
}

impl ElectionRules {
    /// The rules of a tenant (Mimir `pkg/util/validation/limits.go`, `HATrackerTimeouts`).
    ///
    /// `limits` are those of the bare tenant. A timeout of 0 is that of `defaults`, and the time between two ticks always is. At each tick, Mimir
    /// moves the update timeout by up to `ha_tracker_update_timeout_jitter_max` either way: `random` is uniform in `[0, 1)`, where 0.5
    /// moves nothing; a number outside counts as the nearest end, NaN as 0.5.
    #[must_use]
    pub fn new(limits: &TenantLimits, defaults: &TenantLimits, random: f64) -> Self {
        let own_or = |own: Duration, default: Duration| millis(if own.is_zero() { default } else { own });
        let jitter = own_or(limits.ha_tracker_update_timeout_jitter_max, defaults.ha_tracker_update_timeout_jitter_max);
        let update = own_or(limits.ha_tracker_update_timeout, defaults.ha_tracker_update_timeout);
        ElectionRules {
            update: update.saturating_add(jittered(jitter, random)),
            failover: own_or(limits.ha_tracker_failover_timeout, defaults.ha_tracker_failover_timeout),
            sample_failover: millis(limits.ha_tracker_sample_failover_timeout),
            tick: own_or(defaults.ha_tracker_update_timeout, TICK).max(1),
            max_clusters: limits.ha_max_clusters,
            max_replica_bytes: limits.max_label_value_length,
        }
    }

    /// Whether the earliest sample of a push matters.
    #[must_use]
    pub fn uses_sample_time(&self) -> bool {
        self.sample_failover > 0
    }
}

/// A whole number of milliseconds in `[-max, max)`.
fn jittered(max: i64, random: f64) -> i64 {
    let random = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0 - f64::EPSILON) };
    // The cast saturates.
    ((2.0 * random - 1.0) * max as f64).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limits: &TenantLimits, random: f64, update: i64, failover: i64) {
        let rules = ElectionRules::new(limits, &TenantLimits::default(), random);
        assert_eq!((rules.update, rules.failover, rules.tick), (update, failover, 15_000));
    }

    #[test]
    fn zero_timeouts_and_the_tick_take_their_defaults() {
        let own = TenantLimits {
            ha_tracker_update_timeout: Duration::from_secs(60),
            ha_tracker_failover_timeout: Duration::from_secs(90),
            ..TenantLimits::default()
        };
        check(&own, 0.5, 60_000, 90_000);
        let none = TenantLimits {
            ha_tracker_update_timeout: Duration::ZERO,
            ha_tracker_failover_timeout: Duration::ZERO,
            ..TenantLimits::default()
        };
        check(&none, 0.5, 15_000, 30_000);
    }

    #[test]
    fn jitter_moves_the_update_timeout_by_at_most_its_maximum() {
        let limits = TenantLimits::default();
        check(&limits, 0.0, 10_000, 30_000);
        check(&limits, 0.75, 17_500, 30_000);
        check(&limits, 0.999_999_999, 19_999, 30_000);
        check(&limits, 7.0, 19_999, 30_000);
        check(&limits, f64::NEG_INFINITY, 10_000, 30_000);
        check(&limits, f64::NAN, 15_000, 30_000);
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        let limits = TenantLimits {
            ha_tracker_update_timeout: Duration::MAX,
            ha_tracker_update_timeout_jitter_max: Duration::MAX,
            ..TenantLimits::default()
        };
        for random in [0.0, 0.5, 1.0] {
            let rules = ElectionRules::new(&limits, &limits, random);
            assert!(rules.update >= -1 && rules.tick == i64::MAX);
        }
    }

    #[test]
    fn sample_times_matter_only_where_they_have_a_timeout() {
        let with =
            TenantLimits { ha_tracker_sample_failover_timeout: Duration::from_secs(1), ..TenantLimits::default() };
        for (limits, expected) in [(TenantLimits::default(), false), (with, true)] {
            assert_eq!(ElectionRules::new(&limits, &limits, 0.5).uses_sample_time(), expected);
        }
    }
}
