//! The metrics of the server. Labels come from enums, and every series exists from the start, so that a rate over it never misses its first event.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use limits::{Problem, Severity};
use limits_source::{Count, Freshness, HaTrackerFeed, WatchCounts};
use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, histogram_opts,
    register_histogram_with_registry, register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use runtime::LogHandle;
use scrape::{counter_at_scrape, counters_at_scrape, gauge_at_scrape};
use serde::Serialize;
use tokio::sync::watch;

use crate::publication::Published;

const SEVERITIES: [Severity; 4] = [Severity::Rejected, Severity::Shadowed, Severity::Kept, Severity::Ignored];
/// From a client on the same machine to a reader that is far behind, in seconds.
const PROPAGATION_BUCKETS: [f64; 14] =
    [1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Metrics that the server updates. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    version: IntGauge,
    tenants: IntGauge,
    problems: IntGaugeVec,
    pub(crate) clients: IntGauge,
    pub(crate) clients_rejected: IntCounter,
    updates: IntCounterVec,
    propagation: Histogram,
    pub(crate) events: IntCounterVec,
    pub(crate) reviews: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let counter = |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let counters =
            |name: &str, help: &str, label: &str, values: &[&str]| counters_of(registry, name, help, label, values);
        let metrics = Self {
            version: gauge(
                "overrides_sync_limits_version",
                "Sequence of the limits that are served: changes of limits or of the object they come from since the start",
            )?,
            tenants: gauge("overrides_sync_tenants", "Tenants with an override in the limits that are served")?,
            problems: register_int_gauge_vec_with_registry!(
                "overrides_sync_problems",
                "Problems in the current limits documents",
                &["severity"],
                registry
            )?,
            clients: gauge("overrides_sync_feed_clients", "Clients that watch the feed")?,
            clients_rejected: counter(
                "overrides_sync_feed_clients_rejected_total",
                "Clients rejected because the feed had too many",
            )?,
            updates: counters(
                "overrides_sync_feed_updates_total",
                "Updates of limits sent to clients: everything, or what changed",
                "kind",
                &["snapshot", "delta"],
            )?,
            propagation: propagation_of(registry)?,
            events: counters(
                "overrides_sync_events_total",
                "Events about problems of the ConfigMap, by result; repeated: the Event existed already, and its count was increased",
                "result",
                &["created", "repeated", "invalid", "forbidden", "not_answered"],
            )?,
            reviews: counters(
                "overrides_sync_webhook_reviews_total",
                "Changes that the webhook reviewed, by outcome; passed: of another object, not_reviewed: allowed without review, \
                 rejected: an invalid request",
                "outcome",
                &["allowed", "warned", "denied", "passed", "not_reviewed", "rejected"],
            )?,
        };
        metrics.set_problems(&[]);
        Ok(metrics)
    }

    pub(crate) fn set_limits(&self, published: &Published) {
        self.version.set(i64::try_from(published.version().sequence).unwrap_or(i64::MAX));
        self.tenants.set(as_gauge(published.tenants()));
    }

    pub(crate) fn set_problems(&self, problems: &[Problem]) {
        for severity in SEVERITIES {
            let count = problems.iter().filter(|problem| problem.severity == severity).count();
            self.problems.with_label_values(&[severity.as_str()]).set(as_gauge(count));
        }
    }

    /// Who reads the feed.
    pub(crate) fn feed_clients(&self) -> FeedClients {
        FeedClients {
            connected: self.clients.get(),
            snapshots: self.updates.with_label_values(&["snapshot"]).get(),
            deltas: self.updates.with_label_values(&["delta"]).get(),
            rejected: self.clients_rejected.get(),
        }
    }

    /// Records an update that was sent to a client. `late` is how long after the limits were read, if the client was connected by then.
    pub(crate) fn update_sent(&self, complete: bool, late: Option<Duration>) {
        self.updates.with_label_values(&[if complete { "snapshot" } else { "delta" }]).inc();
        if let Some(late) = late {
            self.propagation.observe(late.as_secs_f64());
        }
    }
}

/// The clients of the feed.
#[derive(Debug, Serialize)]
pub(crate) struct FeedClients {
    connected: i64,
    /// Updates with everything.
    snapshots: u64,
    /// Updates with what changed.
    deltas: u64,
    /// Clients that were rejected because there were too many.
    rejected: u64,
}

/// Counters with a label, one for each of its values.
fn counters_of(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let counters = register_int_counter_vec_with_registry!(name, help, &[label], registry)?;
    for value in values {
        counters.with_label_values(&[*value]);
    }
    Ok(counters)
}

fn propagation_of(registry: &Registry) -> prometheus::Result<Histogram> {
    let help = "Time from when changed limits were read to when they were handed to a client's connection, in seconds";
    let options = histogram_opts!("overrides_sync_propagation_seconds", help, PROPAGATION_BUCKETS.to_vec());
    register_histogram_with_registry!(options, registry)
}

/// Metrics whose values are kept elsewhere, read at each scrape.
pub(crate) struct ReadAtScrape {
    pub(crate) freshness: Freshness,
    pub(crate) ha_tracker: Option<HaTrackerFeed>,
    pub(crate) distributors: watch::Receiver<Option<NonZeroU32>>,
    pub(crate) watch: Option<Arc<WatchCounts>>,
    pub(crate) cache_faults: Arc<Count>,
    pub(crate) logs: LogHandle,
}

impl ReadAtScrape {
    pub(crate) fn register(self, registry: &Registry) -> prometheus::Result<()> {
        let Self { freshness, ha_tracker, distributors, watch, cache_faults, logs } = self;
        let help = "Time since the source last confirmed the limits that are served, in seconds";
        gauge_at_scrape(registry, "overrides_sync_limits_stale_seconds", help, move || freshness.age().as_secs_f64())?;
        let watch = watch.unwrap_or_default();
        let deletions = Arc::clone(&watch);
        let help = "Times that the watch of the ConfigMap was restarted after an error";
        counter_at_scrape(registry, "overrides_sync_watch_restarts_total", help, move || watch.restarts.get())?;
        let help = "Times that the ConfigMap was deleted; the last good limits stay";
        counter_at_scrape(registry, "overrides_sync_configmap_deletions_total", help, move || {
            deletions.deletions.get()
        })?;
        let polls = ha_tracker.as_ref().map(|feed| Arc::clone(&feed.polls)).unwrap_or_default();
        let help = "Polls of Mimir's HA tracker; error: it gave no list";
        counters_at_scrape(registry, "overrides_sync_ha_tracker_polls_total", help, "result", move || {
            [("ok", polls.answered.get()), ("error", polls.failed.get())]
        })?;
        let help = "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list";
        gauge_at_scrape(registry, "overrides_sync_ha_pairs", help, move || {
            let state = ha_tracker.as_ref().map(|feed| feed.states.borrow());
            state.and_then(|state| state.elected.as_ref().map(|list| list.len())).unwrap_or_default() as f64
        })?;
        let help = "Ready distributors that the feed carries: the last count, also a cached one; 0: never counted";
        gauge_at_scrape(registry, "overrides_sync_distributors", help, move || {
            distributors.borrow().map_or(0, NonZeroU32::get).into()
        })?;
        let help = "Times that the limits cache could not be read or written";
        counter_at_scrape(registry, "overrides_sync_limits_cache_errors_total", help, move || cache_faults.get())?;
        let help = "Log lines dropped because standard error was not read fast enough";
        counter_at_scrape(registry, "overrides_sync_log_lines_dropped_total", help, move || logs.dropped_lines())
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
