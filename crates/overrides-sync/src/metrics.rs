//! Every metric of the server. Labels come from enums, and every series exists from the start, so that a rate over it never misses its first event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limits::{Problem, Severity};
use prometheus::{
    Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, histogram_opts,
    register_gauge_with_registry, register_histogram_with_registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry, register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};

use crate::events::EventCounts;
use crate::publication::Published;
use crate::webhook::WebhookCounts;

const SEVERITIES: [Severity; 4] = [Severity::Rejected, Severity::Shadowed, Severity::Kept, Severity::Ignored];
/// From one client on the same machine to a reader that is far behind, in seconds.
const PROPAGATION_BUCKETS: [f64; 14] =
    [1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What an update of limits tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateKind {
    /// Everything.
    Snapshot,
    /// What changed.
    Delta,
}

impl UpdateKind {
    const ALL: [Self; 2] = [Self::Snapshot, Self::Delta];

    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
        }
    }
}

/// Handles on the metrics; cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    version: IntGauge,
    tenants: IntGauge,
    problems: IntGaugeVec,
    stale: Gauge,
    watch_restarts: IntCounter,
    configmap_deletions: IntCounter,
    clients: IntGauge,
    clients_refused: IntCounter,
    updates: IntCounterVec,
    propagation: Histogram,
    polls: IntCounterVec,
    pairs: IntGauge,
    distributors: IntGauge,
    events: IntCounterVec,
    reviews: IntCounterVec,
    bad_certificates: IntCounter,
    cache_errors: IntCounter,
    connections_refused: IntCounter,
    log_lines_dropped: IntCounter,
    catching_up: Mutex<()>,
}

/// What is counted elsewhere, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) stale: Duration,
    pub(crate) watch_restarts: u64,
    pub(crate) configmap_deletions: u64,
    /// Of Mimir's HA tracker: polls that gave a list, polls that gave none, and elected replicas in the last list.
    pub(crate) polls_answered: u64,
    pub(crate) polls_failed: u64,
    pub(crate) pairs: usize,
    pub(crate) distributors: u32,
    /// Events by what became of them, and answers of the webhook.
    pub(crate) events: [(&'static str, u64); 5],
    pub(crate) reviews: [(&'static str, u64); 6],
    pub(crate) bad_certificates: u64,
    pub(crate) cache_errors: u64,
    pub(crate) log_lines_dropped: u64,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| register_int_gauge_with_registry!(name, help, registry);
        let counter = |name: &str, help: &str| register_int_counter_with_registry!(name, help, registry);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register_int_counter_vec_with_registry!(name, help, labels, registry)
        };
        let inner = Inner {
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
            stale: register_gauge_with_registry!(
                "overrides_sync_limits_stale_seconds",
                "Time since the source last confirmed the limits that are served, in seconds",
                registry
            )?,
            watch_restarts: counter(
                "overrides_sync_watch_restarts_total",
                "Times that the watch of the ConfigMap began anew after an error",
            )?,
            configmap_deletions: counter(
                "overrides_sync_configmap_deletions_total",
                "Times that the ConfigMap was deleted; the last good limits stay",
            )?,
            clients: gauge("overrides_sync_feed_clients", "Clients that watch the feed")?,
            clients_refused: counter(
                "overrides_sync_feed_clients_refused_total",
                "Clients refused because the feed had too many",
            )?,
            updates: counters(
                "overrides_sync_feed_updates_total",
                "Updates of limits handed to clients: everything, or what changed",
                &["kind"],
            )?,
            propagation: register_histogram_with_registry!(
                histogram_opts!(
                    "overrides_sync_propagation_seconds",
                    "Time from when changed limits were read to when they were handed to a client's connection, in seconds",
                    PROPAGATION_BUCKETS.to_vec()
                ),
                registry
            )?,
            polls: counters(
                "overrides_sync_ha_tracker_polls_total",
                "Times that Mimir's HA tracker was asked who is elected; error: it gave no list",
                &["result"],
            )?,
            pairs: gauge(
                "overrides_sync_ha_pairs",
                "Clusters for which Mimir's HA tracker named an elected replica when it last gave a list",
            )?,
            distributors: gauge(
                "overrides_sync_distributors",
                "Ready distributors of Mimir that clients are told; 0: nobody counts them, or none was seen yet",
            )?,
            events: counters(
                "overrides_sync_events_total",
                "Events about problems of the ConfigMap, by what became of them; repeated: it was there already, and counts once more",
                &["result"],
            )?,
            reviews: counters(
                "overrides_sync_webhook_reviews_total",
                "Changes that the webhook was asked about, by its answer; passed: of another object, unjudged: allowed without judgement, \
                 refused: a request that is no question",
                &["answer"],
            )?,
            bad_certificates: counter(
                "overrides_sync_webhook_bad_certificates_total",
                "Times that the webhook's certificate or key changed to what cannot be used; the last good one stays",
            )?,
            cache_errors: counter(
                "overrides_sync_limits_cache_errors_total",
                "Times that the limits cache could not be read or written",
            )?,
            connections_refused: counter(
                "overrides_sync_grpc_connections_refused_total",
                "gRPC connections closed at once because there were too many",
            )?,
            log_lines_dropped: counter(
                "overrides_sync_log_lines_dropped_total",
                "Log lines thrown away because standard error took no more",
            )?,
            catching_up: Mutex::default(),
        };
        let metrics = Self { inner: Arc::new(inner) };
        metrics.show_problems(&[]);
        for kind in UpdateKind::ALL {
            metrics.inner.updates.with_label_values(&[kind.as_str()]);
        }
        for (result, _) in EventCounts::default().by_result() {
            metrics.inner.events.with_label_values(&[result]);
        }
        for (answer, _) in WebhookCounts::default().by_answer() {
            metrics.inner.reviews.with_label_values(&[answer]);
        }
        for result in ["ok", "error"] {
            metrics.inner.polls.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    pub(crate) fn show_limits(&self, published: &Published) {
        self.inner.version.set(i64::try_from(published.version().sequence).unwrap_or(i64::MAX));
        self.inner.tenants.set(as_gauge(published.tenants()));
    }

    pub(crate) fn show_problems(&self, problems: &[Problem]) {
        for severity in SEVERITIES {
            let count = problems.iter().filter(|problem| problem.severity == severity).count();
            self.inner.problems.with_label_values(&[severity.as_str()]).set(as_gauge(count));
        }
    }

    /// The gauge of clients that are there.
    pub(crate) fn clients(&self) -> IntGauge {
        self.inner.clients.clone()
    }

    pub(crate) fn client_refused(&self) {
        self.inner.clients_refused.inc();
    }

    pub(crate) fn connection_refused(&self) {
        self.inner.connections_refused.inc();
    }

    /// An update was handed over whole; `late` says how long after its limits were read, where the client was there by then.
    pub(crate) fn update_told(&self, kind: UpdateKind, late: Option<Duration>) {
        self.inner.updates.with_label_values(&[kind.as_str()]).inc();
        if let Some(late) = late {
            self.inner.propagation.observe(late.as_secs_f64());
        }
    }

    /// Brings up to date what is counted elsewhere.
    pub(crate) fn refresh(&self, counted: Counted) {
        let inner = &self.inner;
        inner.stale.set(counted.stale.as_secs_f64());
        inner.pairs.set(as_gauge(counted.pairs));
        inner.distributors.set(counted.distributors.into());
        // Two scrapes at once must not both add what is missing.
        let _alone = inner.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        catch_up(&inner.watch_restarts, counted.watch_restarts);
        catch_up(&inner.configmap_deletions, counted.configmap_deletions);
        catch_up(&inner.polls.with_label_values(&["ok"]), counted.polls_answered);
        catch_up(&inner.polls.with_label_values(&["error"]), counted.polls_failed);
        for (result, count) in counted.events {
            catch_up(&inner.events.with_label_values(&[result]), count);
        }
        for (answer, count) in counted.reviews {
            catch_up(&inner.reviews.with_label_values(&[answer]), count);
        }
        catch_up(&inner.bad_certificates, counted.bad_certificates);
        catch_up(&inner.cache_errors, counted.cache_errors);
        catch_up(&inner.log_lines_dropped, counted.log_lines_dropped);
    }
}

/// Brings a counter to what is counted elsewhere.
fn catch_up(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
