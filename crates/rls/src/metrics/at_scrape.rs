//! What others count or know, read when Prometheus scrapes. The metrics of a source of limits are there only with a source of their kind, and those
//! of the HA tracker only where one is asked: an age of nothing would set off alerts.

use std::sync::Arc;

use edge::{Budget, ControlHandle, Pipeline};
use limits_source::{Count, FeedCounts, Freshness, HaTrackerFeed, SourceExtras, WatchCounts};
use prometheus::Registry;
use runtime::{LogHandle, counter_of, counters_of, gauge_of, register_read};

pub(crate) struct ReadAtScrape {
    pub(crate) pipeline: Arc<Pipeline>,
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
        let Self { pipeline, control, budget, freshness, extras, ha_tracker, cache_faults, logs } = self;
        buckets(registry, &pipeline)?;
        elections(registry, &control)?;
        in_flight(registry, &budget)?;
        match extras {
            SourceExtras::None => {}
            SourceExtras::ConfigMap { counts, .. } => watch(registry, &counts)?,
            SourceExtras::Feed(extras) => feed(registry, &extras.counts)?,
        }
        if let Some(tracker) = ha_tracker {
            self::ha_tracker(registry, &tracker, control)?;
        }
        gauge(
            registry,
            "rls_limits_stale_seconds",
            "Time since the source last confirmed the limits in force, in seconds",
            move || freshness.age().as_secs_f64(),
        )?;
        counter(
            registry,
            "rls_limits_cache_errors_total",
            "Times that the limits cache could not be read or written",
            move || cache_faults.get(),
        )?;
        counter(
            registry,
            "rls_log_lines_dropped_total",
            "Log lines thrown away because standard error took no more",
            move || logs.dropped_lines(),
        )
    }
}

fn buckets(registry: &Registry, pipeline: &Arc<Pipeline>) -> prometheus::Result<()> {
    let of = Arc::clone(pipeline);
    gauge(registry, "rls_tenants", "Tenants whose buckets are held in memory", move || of.enforcer().tenants() as f64)?;
    let of = Arc::clone(pipeline);
    counter(
        registry,
        "rls_tenant_spelling_overflows_total",
        "Pushes with tenant metadata charged to the bare tenant, which has too many spellings",
        move || of.enforcer().spelling_overflows(),
    )?;
    let of = Arc::clone(pipeline);
    counter(
        registry,
        "rls_tenant_overflows_total",
        "Charges to buckets that tenants without an override share, because there are too many tenants",
        move || of.enforcer().tenant_overflows(),
    )
}

fn elections(registry: &Registry, control: &ControlHandle) -> prometheus::Result<()> {
    let of = control.clone();
    gauge(registry, "rls_ha_pairs", "Prometheus pairs whose election is held in memory", move || {
        of.load().elections.len() as f64
    })?;
    let of = control.clone();
    counter(
        registry,
        "rls_ha_untracked_total",
        "Pushes of pairs that find no room beside their tenant's others; they are charged nothing",
        move || of.load().elections.untracked(),
    )?;
    let of = control.clone();
    gauge(
        registry,
        "rls_distributors",
        "Mimir's distributors, each of which takes a tenant's burst, as told by a flag or counted by overrides-sync",
        move || of.load().distributors.get().into(),
    )
}

fn in_flight(registry: &Registry, budget: &Arc<Budget>) -> prometheus::Result<()> {
    let limit = budget.limit() as f64;
    let of = Arc::clone(budget);
    gauge(registry, "rls_in_flight_bytes", "Bytes reserved for pushes that are being read, in bytes", move || {
        of.reserved() as f64
    })?;
    gauge(
        registry,
        "rls_in_flight_bytes_limit",
        "The most that may be reserved at once, in bytes; a tenant may have a quarter of it",
        move || limit,
    )
}

fn watch(registry: &Registry, counts: &Arc<WatchCounts>) -> prometheus::Result<()> {
    let of = Arc::clone(counts);
    counter(
        registry,
        "rls_limits_watch_restarts_total",
        "Times that the watch of the ConfigMap failed or had missed a change, and was made anew",
        move || of.restarts.get(),
    )?;
    let of = Arc::clone(counts);
    counter(
        registry,
        "rls_limits_configmap_deletions_total",
        "Times that the ConfigMap was deleted; its last good limits stay in force",
        move || of.deletions.get(),
    )
}

fn feed(registry: &Registry, counts: &Arc<FeedCounts>) -> prometheus::Result<()> {
    let of = Arc::clone(counts);
    gauge(registry, "rls_limits_feed_connected", "Whether an overrides-sync is heard now: 1, or 0", move || {
        f64::from(of.connected())
    })?;
    let of = Arc::clone(counts);
    counters(
        registry,
        "rls_limits_feed_connects_total",
        "Attempts to hear an overrides-sync; error: it could not be reached, or said nothing in time",
        "result",
        move || [("ok", of.connects.get()), ("error", of.failed_connects.get())],
    )?;
    let of = Arc::clone(counts);
    counter(
        registry,
        "rls_limits_feed_lost_total",
        "Streams of an overrides-sync that broke or went silent",
        move || of.streams_lost.get(),
    )?;
    let of = Arc::clone(counts);
    counters(
        registry,
        "rls_limits_feed_updates_total",
        "Updates of the limits that an overrides-sync sent: taken whole or as what changed, or not taken",
        "kind",
        move || {
            [
                ("snapshot", of.snapshots_taken.get()),
                ("delta", of.deltas_taken.get()),
                ("refused_older", of.refused_older.get()),
                ("refused_unreadable", of.refused_unreadable.get()),
            ]
        },
    )
}

fn ha_tracker(registry: &Registry, tracker: &HaTrackerFeed, control: ControlHandle) -> prometheus::Result<()> {
    let polls = Arc::clone(&tracker.polls);
    counters(
        registry,
        "rls_ha_tracker_polls_total",
        "Times that Mimir's HA tracker was asked who is elected; error: it gave no list",
        "result",
        move || [("ok", polls.answered.get()), ("error", polls.failed.get())],
    )?;
    let freshness = tracker.freshness.clone();
    gauge(
        registry,
        "rls_ha_tracker_stale_seconds",
        "Time since Mimir's HA tracker last gave a list, or since the start if it never did, in seconds",
        move || if control.load().ha_tracker.is_polled { freshness.age().as_secs_f64() } else { 0.0 },
    )?;
    let states = tracker.states.clone();
    gauge(
        registry,
        "rls_ha_tracker_elected",
        "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list",
        move || states.borrow().elected.as_ref().map_or(0, |elected| elected.len()) as f64,
    )
}

type Registered = prometheus::Result<()>;
type Text = &'static str;

fn gauge(registry: &Registry, name: Text, help: Text, read: impl Fn() -> f64 + Send + Sync + 'static) -> Registered {
    register_read(registry, move || gauge_of(name, help, read()))
}

fn counter(registry: &Registry, name: Text, help: Text, read: impl Fn() -> u64 + Send + Sync + 'static) -> Registered {
    register_read(registry, move || counter_of(name, help, read()))
}

fn counters<const N: usize>(
    registry: &Registry,
    name: Text,
    help: Text,
    label: Text,
    read: impl Fn() -> [(Text, u64); N] + Send + Sync + 'static,
) -> Registered {
    register_read(registry, move || counters_of(name, help, label, &read()))
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
