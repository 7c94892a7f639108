//! Metrics whose values are kept elsewhere, read at each scrape. The metrics of a source of limits exist only with a source of that kind, and those of
//! the HA tracker only if one is polled: the age of a list that is never requested would set off alerts.

use std::sync::Arc;

use edge::{Budget, ControlHandle, Pipeline, Recorder};
use limits_source::{Count, FeedCounts, Freshness, HaTrackerFeed, SourceExtras, WatchCounts};
use prometheus::Registry;
use runtime::LogHandle;
use scrape::{counter_at_scrape, counters_at_scrape, gauge_at_scrape};

pub(crate) struct ReadAtScrape {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) recorder: Recorder,
    pub(crate) control: ControlHandle,
    pub(crate) budget: Arc<Budget>,
    pub(crate) freshness: Freshness,
    pub(crate) extras: SourceExtras,
    pub(crate) ha_tracker: Option<HaTrackerFeed>,
    pub(crate) cache_faults: Arc<Count>,
    pub(crate) logs: LogHandle,
}

impl ReadAtScrape {
    pub(crate) fn register(self, registry: &Registry) -> prometheus::Result<()> {
        let Self { pipeline, recorder, control, budget, freshness, extras, ha_tracker, cache_faults, logs } = self;
        pipeline.register(registry)?;
        recorder.register_usage(&pipeline, registry)?;
        budget.register(registry)?;
        match extras {
            SourceExtras::None => {}
            SourceExtras::ConfigMap { counts, .. } => watch(registry, &counts)?,
            SourceExtras::Feed(extras) => feed(registry, &extras.counts)?,
        }
        if let Some(tracker) = ha_tracker {
            self::ha_tracker(registry, &tracker, control)?;
        }
        let help = "Time since the source last confirmed the limits in force, in seconds";
        gauge_at_scrape(registry, "rls_limits_stale_seconds", help, move || freshness.age().as_secs_f64())?;
        let help = "Times that the limits cache could not be read or written";
        counter_at_scrape(registry, "rls_limits_cache_errors_total", help, move || cache_faults.get())?;
        let help = "Log lines dropped because standard error was not read fast enough";
        counter_at_scrape(registry, "rls_log_lines_dropped_total", help, move || logs.dropped_lines())
    }
}

fn watch(registry: &Registry, counts: &Arc<WatchCounts>) -> prometheus::Result<()> {
    let of = Arc::clone(counts);
    let help = "Times that the watch of the ConfigMap failed or missed a change, and restarted";
    counter_at_scrape(registry, "rls_limits_watch_restarts_total", help, move || of.restarts.get())?;
    let of = Arc::clone(counts);
    let help = "Times that the ConfigMap was deleted; its last good limits stay in force";
    counter_at_scrape(registry, "rls_limits_configmap_deletions_total", help, move || of.deletions.get())
}

fn feed(registry: &Registry, counts: &Arc<FeedCounts>) -> prometheus::Result<()> {
    let of = Arc::clone(counts);
    let help = "Whether there is a stream from an overrides-sync: 1 or 0";
    gauge_at_scrape(registry, "rls_limits_feed_connected", help, move || f64::from(of.connected()))?;
    let of = Arc::clone(counts);
    let help = "Connection attempts to an overrides-sync; error: it could not be reached, or sent nothing in time";
    counters_at_scrape(registry, "rls_limits_feed_connects_total", help, "result", move || {
        [("ok", of.connects.get()), ("error", of.failed_connects.get())]
    })?;
    let of = Arc::clone(counts);
    let help = "Streams of an overrides-sync that broke or went silent";
    counter_at_scrape(registry, "rls_limits_feed_lost_total", help, move || of.streams_lost.get())?;
    let of = Arc::clone(counts);
    let help = "Updates of the limits from an overrides-sync: applied snapshots and deltas, and rejected updates";
    counters_at_scrape(registry, "rls_limits_feed_updates_total", help, "kind", move || {
        [
            ("snapshot", of.snapshots_taken.get()),
            ("delta", of.deltas_taken.get()),
            ("rejected_older", of.rejected_older.get()),
            ("rejected_unreadable", of.rejected_unreadable.get()),
        ]
    })
}

fn ha_tracker(registry: &Registry, tracker: &HaTrackerFeed, control: ControlHandle) -> prometheus::Result<()> {
    let polls = Arc::clone(&tracker.polls);
    let help = "Polls of Mimir's HA tracker; error: it gave no list";
    counters_at_scrape(registry, "rls_ha_tracker_polls_total", help, "result", move || {
        [("ok", polls.answered.get()), ("error", polls.failed.get())]
    })?;
    let freshness = tracker.freshness.clone();
    let help = "Time since Mimir's HA tracker last gave a list, or since the start if it never did, in seconds";
    gauge_at_scrape(registry, "rls_ha_tracker_stale_seconds", help, move || {
        if control.load().ha_tracker.is_polled { freshness.age().as_secs_f64() } else { 0.0 }
    })?;
    let states = tracker.states.clone();
    let help = "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list";
    gauge_at_scrape(registry, "rls_ha_tracker_elected", help, move || {
        states.borrow().elected.as_ref().map_or(0, |elected| elected.len()) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_name_the_metrics_of_each_source() {
        let page = include_str!("../../../../docs/metrics.md");
        let registry = Registry::new();
        watch(&registry, &Arc::default()).unwrap();
        feed(&registry, &Arc::default()).unwrap();
        let families = registry.gather();
        assert_eq!(families.len(), 6);
        for family in families {
            assert!(page.contains(&format!("`{}", family.name())), "{} is not in docs/metrics.md", family.name());
        }
    }
}
