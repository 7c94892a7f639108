//! How the source of the limits goes. These metrics are there only with a source of their kind.

use std::sync::Arc;

use limits_source::{Beside, FeedCounts, WatchCounts};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::{Metrics, counter, counters, gauge};

/// The metrics of one source; cheap to clone.
#[derive(Clone)]
pub(crate) enum SourceMetrics {
    /// Nothing happens to a file that its problems do not say.
    File,
    Watch {
        counts: Arc<WatchCounts>,
        metrics: Metrics,
        restarts: IntCounter,
        deletions: IntCounter,
    },
    Feed {
        counts: Arc<FeedCounts>,
        metrics: Metrics,
        connected: IntGauge,
        connects: IntCounterVec,
        lost: IntCounter,
        updates: IntCounterVec,
    },
}

impl SourceMetrics {
    pub(crate) fn new(registry: &Registry, metrics: Metrics, beside: &Beside) -> prometheus::Result<Self> {
        match beside {
            Beside::Nothing => Ok(Self::File),
            Beside::Watch { counts, .. } => Self::of_watch(registry, metrics, Arc::clone(counts)),
            Beside::Feed(feed) => Self::of_feed(registry, metrics, Arc::clone(&feed.counts)),
        }
    }

    fn of_watch(registry: &Registry, metrics: Metrics, counts: Arc<WatchCounts>) -> prometheus::Result<Self> {
        Ok(Self::Watch {
            counts,
            metrics,
            restarts: counter(
                registry,
                "rls_limits_watch_restarts_total",
                "Times that the watch of the ConfigMap failed or had missed a change, and was made anew",
            )?,
            deletions: counter(
                registry,
                "rls_limits_configmap_deletions_total",
                "Times that the ConfigMap was deleted; its last good limits stay in force",
            )?,
        })
    }

    fn of_feed(registry: &Registry, metrics: Metrics, counts: Arc<FeedCounts>) -> prometheus::Result<Self> {
        Ok(Self::Feed {
            counts,
            metrics,
            connected: gauge(registry, "rls_limits_feed_connected", "Whether an overrides-sync is heard now: 1, or 0")?,
            connects: counters(
                registry,
                "rls_limits_feed_connects_total",
                "Attempts to hear an overrides-sync; error: it could not be reached, or said nothing in time",
                &["result"],
            )?,
            lost: counter(
                registry,
                "rls_limits_feed_lost_total",
                "Streams of an overrides-sync that broke or went silent",
            )?,
            updates: counters(
                registry,
                "rls_limits_feed_updates_total",
                "Updates of the limits that an overrides-sync sent: taken whole or as what changed, or not taken",
                &["kind"],
            )?,
        })
    }

    /// Brings them up to date, for when Prometheus asks.
    pub(crate) fn refresh(&self) {
        match self {
            Self::File => {}
            Self::Watch { counts, metrics, restarts, deletions } => {
                metrics.catch_up(restarts, counts.restarts());
                metrics.catch_up(deletions, counts.deletions());
            }
            Self::Feed { counts, metrics, connected, connects, lost, updates } => {
                connected.set(i64::from(counts.connected()));
                metrics.catch_up(&connects.with_label_values(&["ok"]), counts.connects());
                metrics.catch_up(&connects.with_label_values(&["error"]), counts.failed_connects());
                metrics.catch_up(lost, counts.streams_lost());
                for (kind, count) in [
                    ("snapshot", counts.snapshots_taken()),
                    ("delta", counts.deltas_taken()),
                    ("refused_older", counts.refused_older()),
                    ("refused_unreadable", counts.refused_unreadable()),
                ] {
                    metrics.catch_up(&updates.with_label_values(&[kind]), count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_name_the_metrics_of_each_source() {
        let page = include_str!("../../../../docs/metrics.md");
        let registry = Registry::new();
        let metrics = Metrics::new(&Registry::new()).unwrap_or_else(|error| unreachable!("{error}"));
        for shown in [
            SourceMetrics::of_watch(&registry, metrics.clone(), Arc::default()),
            SourceMetrics::of_feed(&registry, metrics.clone(), Arc::default()),
        ] {
            shown.unwrap_or_else(|error| unreachable!("{error}")).refresh();
        }
        let families = registry.gather();
        assert_eq!(families.len(), 6);
        for family in families {
            assert!(page.contains(&format!("`{}", family.name())), "{} is not in docs/metrics.md", family.name());
        }
    }
}
