//! Every metric of the server. Labels come from enums, and every series exists from the start, so that a rate over it never misses its first event.

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
use runtime::{LogHandle, counter_of, counters_of, gauge_of, register_read};
use tokio::sync::watch;

use crate::publication::Published;

const SEVERITIES: [Severity; 4] = [Severity::Rejected, Severity::Shadowed, Severity::Kept, Severity::Ignored];
/// From one client on the same machine to a reader that is far behind, in seconds.
const PROPAGATION_BUCKETS: [f64; 14] =
    [1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What the server counts itself; clones are the same metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    version: IntGauge,
    tenants: IntGauge,
    problems: IntGaugeVec,
    pub(crate) clients: IntGauge,
    pub(crate) clients_refused: IntCounter,
    updates: IntCounterVec,
    propagation: Histogram,
    pub(crate) events: IntCounterVec,
    pub(crate) reviews: IntCounterVec,
    pub(crate) bad_certificates: IntCounter,
    pub(crate) connections_refused: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let counter = |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let counters = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counters = register_int_counter_vec_with_registry!(name, help, &[label], registry)?;
            for value in values {
                counters.with_label_values(&[*value]);
            }
            prometheus::Result::Ok(counters)
        };
        let metrics = Self {
            version: gauge(
                "overrides_sync_limits_version",
                "Sequence of the limits that are served: changes of limits or of the object they come from since the start",
            )?,
            tenants: gauge("overrides_sync_tenants", "Tenants with an override in the limits that are served")?,
            problems: register_int_gauge_vec_with_registry!(
                "overrides_sync_problems",
                "Problems in the limits documents as they are now",
                &["severity"],
                registry
            )?,
            clients: gauge("overrides_sync_feed_clients", "Clients that watch the feed")?,
            clients_refused: counter(
                "overrides_sync_feed_clients_refused_total",
                "Clients refused because the feed had too many",
            )?,
            updates: counters(
                "overrides_sync_feed_updates_total",
                "Updates of limits handed to clients: everything, or what changed",
                "kind",
                &["snapshot", "delta"],
            )?,
            propagation: register_histogram_with_registry!(
                histogram_opts!(
                    "overrides_sync_propagation_seconds",
                    "Time from when changed limits were read to when they were handed to a client's connection, in seconds",
                    PROPAGATION_BUCKETS.to_vec()
                ),
                registry
            )?,
            events: counters(
                "overrides_sync_events_total",
                "Events about problems of the ConfigMap, by what became of them; repeated: it was there already, and counts once more",
                "result",
                &["created", "repeated", "invalid", "forbidden", "not_answered"],
            )?,
            reviews: counters(
                "overrides_sync_webhook_reviews_total",
                "Changes that the webhook was asked about, by its answer; passed: of another object, unjudged: allowed without judgement, \
                 refused: a request that is no question",
                "answer",
                &["allowed", "warned", "denied", "passed", "unjudged", "refused"],
            )?,
            bad_certificates: counter(
                "overrides_sync_webhook_bad_certificates_total",
                "Times that the webhook's certificate or key changed to what cannot be used; the last good one stays",
            )?,
            connections_refused: counter(
                "overrides_sync_grpc_connections_refused_total",
                "gRPC connections closed at once because there were too many",
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

    /// An update of limits was handed to a client, `late` after the limits were read, where the client was connected by then.
    pub(crate) fn update_sent(&self, complete: bool, late: Option<Duration>) {
        self.updates.with_label_values(&[if complete { "snapshot" } else { "delta" }]).inc();
        if let Some(late) = late {
            self.propagation.observe(late.as_secs_f64());
        }
    }
}

/// What others count or know, read when Prometheus scrapes.
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
        register_read(registry, move || {
            let help = "Time since the source last confirmed the limits that are served, in seconds";
            gauge_of("overrides_sync_limits_stale_seconds", help, freshness.age().as_secs_f64())
        })?;
        let watch = watch.unwrap_or_default();
        let deletions = Arc::clone(&watch);
        register_read(registry, move || {
            let help = "Times that the watch of the ConfigMap began anew after an error";
            counter_of("overrides_sync_watch_restarts_total", help, watch.restarts.get())
        })?;
        register_read(registry, move || {
            let help = "Times that the ConfigMap was deleted; the last good limits stay";
            counter_of("overrides_sync_configmap_deletions_total", help, deletions.deletions.get())
        })?;
        let polls = ha_tracker.as_ref().map(|feed| Arc::clone(&feed.polls)).unwrap_or_default();
        register_read(registry, move || {
            let help = "Times that Mimir's HA tracker was asked who is elected; error: it gave no list";
            let values = [("ok", polls.answered.get()), ("error", polls.failed.get())];
            counters_of("overrides_sync_ha_tracker_polls_total", help, "result", &values)
        })?;
        register_read(registry, move || {
            let help = "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list";
            let state = ha_tracker.as_ref().map(|feed| feed.states.borrow());
            let pairs = state.and_then(|state| state.elected.as_ref().map(|list| list.len())).unwrap_or_default();
            gauge_of("overrides_sync_ha_pairs", help, pairs as f64)
        })?;
        register_read(registry, move || {
            let help = "Ready distributors of Mimir that clients are told; 0: nobody counts them, or none was seen yet";
            gauge_of("overrides_sync_distributors", help, distributors.borrow().map_or(0, NonZeroU32::get).into())
        })?;
        register_read(registry, move || {
            let help = "Times that the limits cache could not be read or written";
            counter_of("overrides_sync_limits_cache_errors_total", help, cache_faults.get())
        })?;
        register_read(registry, move || {
            let help = "Log lines thrown away because standard error took no more";
            counter_of("overrides_sync_log_lines_dropped_total", help, logs.dropped_lines())
        })
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
