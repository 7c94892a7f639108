//! What the polling of Mimir's HA tracker comes to. These metrics are there only where one is asked: an age of nothing would set off alerts.

use edge::ControlHandle;
use limits_source::HaTrackerFeed;
use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use super::{Metrics, as_gauge, counters, gauge, seconds};

/// The metrics of one feed; cheap to clone.
#[derive(Clone)]
pub(crate) struct HaTrackerMetrics {
    feed: HaTrackerFeed,
    /// Which knows whether there is a tracker to ask at all.
    control: ControlHandle,
    metrics: Metrics,
    answered: IntCounter,
    failed: IntCounter,
    stale: Gauge,
    elected: IntGauge,
}

impl HaTrackerMetrics {
    pub(crate) fn new(
        registry: &Registry,
        metrics: Metrics,
        feed: HaTrackerFeed,
        control: ControlHandle,
    ) -> prometheus::Result<Self> {
        let polls = counters(
            registry,
            "rls_ha_tracker_polls_total",
            "Times that Mimir's HA tracker was asked who is elected; error: it gave no list",
            &["result"],
        )?;
        Ok(Self {
            feed,
            control,
            metrics,
            answered: polls.with_label_values(&["ok"]),
            failed: polls.with_label_values(&["error"]),
            stale: seconds(
                registry,
                "rls_ha_tracker_stale_seconds",
                "Time since Mimir's HA tracker last gave a list, or since the start if it never did, in seconds",
            )?,
            elected: gauge(
                registry,
                "rls_ha_tracker_elected",
                "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list",
            )?,
        })
    }

    /// Brings them up to date, for when Prometheus asks.
    pub(crate) fn refresh(&self) {
        self.metrics.catch_up(&self.answered, self.feed.polls.answered.get());
        self.metrics.catch_up(&self.failed, self.feed.polls.failed.get());
        let stale = if self.control.load().ha_tracker.is_asked { self.feed.freshness.age().as_secs_f64() } else { 0.0 };
        self.stale.set(stale);
        let elected = self.feed.states.borrow().elected.as_ref().map_or(0, |elected| elected.len());
        self.elected.set(as_gauge(elected));
    }
}
