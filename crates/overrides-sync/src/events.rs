//! Events on the ConfigMap, one for each problem of its newest revision, so that `kubectl describe` shows them.
//!
//! Nothing waits for them, and failures are counted and logged. Only the newest state is reported, so there is no queue. Create and patch are the only
//! requests: an Event that another overrides-sync has created has the same name, and becomes a series. kube's `Recorder` names each Event by time and
//! process, so several overrides-sync would create one each.

mod note;
mod schedule;

use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use limits::{LoadedLimits, ObjectRevision};
use limits_source::{KubeClient, LastReadName, NamespacedName};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::metrics::Metrics;
use note::{Note, notes};
use schedule::{Next, Schedule};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest `reportingInstance`, in bytes.
const MAX_INSTANCE_BYTES: usize = 128;

/// Reports the problems in `states` on the object that was read, until `tasks` are stopped. Nothing is reported before an object was read.
pub(crate) fn start(
    client: KubeClient,
    names: LastReadName,
    states: watch::Receiver<LoadedLimits>,
    metrics: Metrics,
    tasks: &Tasks,
) {
    let reporter = EventReporter { client, names, instance: instance(), metrics, last: Health::Good };
    // What is not reported when they stop, the next process reports.
    tasks.spawn("Events", reporter.run(states));
}

/// The host name: in a pod, the pod's name.
fn instance() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    match name.get(..name.floor_char_boundary(MAX_INSTANCE_BYTES)) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "overrides-sync".to_owned(),
    }
}

struct EventReporter {
    client: KubeClient,
    names: LastReadName,
    instance: String,
    metrics: Metrics,
    last: Health,
}

/// The last result of the API server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    Good,
    Forbidden,
    NotAnswered,
}

/// The result of reporting an Event.
enum Outcome {
    Created,
    Repeated {
        times: i32,
    },
    /// Kubernetes rejects this Event; it may accept others.
    Invalid(kube::Error),
    Forbidden(kube::Error),
    NotAnswered(String),
}

impl Outcome {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Repeated { .. } => "repeated",
            Self::Invalid(_) => "invalid",
            Self::Forbidden(_) => "forbidden",
            Self::NotAnswered(_) => "not_answered",
        }
    }
}

impl EventReporter {
    async fn run(mut self, mut states: watch::Receiver<LoadedLimits>) {
        let mut schedule = Schedule::new(Instant::now());
        loop {
            let state = states.borrow_and_update().clone();
            let read = state.read.filter(|_| !state.problems.is_empty());
            // If another object was read meanwhile, its own state comes next.
            let object = read.and_then(|origin| self.names.of(&origin).map(|configmap| (configmap, origin)));
            let due = object
                .as_ref()
                .map(|(configmap, origin)| notes(configmap, origin, &state.problems))
                .unwrap_or_default();
            while !states.has_changed().unwrap_or(true) {
                let wait = match (schedule.next(Instant::now(), &due), &object) {
                    (Next::Report(batch), Some((configmap, origin))) => {
                        self.report(configmap, origin, &batch, &mut schedule).await;
                        continue;
                    }
                    (Next::Wait(until), _) => until,
                    (Next::Report(_), None) => break,
                };
                tokio::select! {
                    _ = states.changed() => break,
                    () = sleep_until(wait) => {}
                }
            }
            if states.has_changed().is_err() {
                return;
            }
        }
    }

    async fn report(
        &mut self,
        configmap: &NamespacedName,
        origin: &ObjectRevision,
        batch: &[&Note],
        schedule: &mut Schedule,
    ) {
        let api = Api::namespaced(self.client.current(), &configmap.namespace);
        let reports = batch.iter().map(|note| {
            let event = note.event(configmap, origin, &self.instance, MicroTime(Timestamp::now()));
            report_one(&api, event, &note.name, schedule.times(&note.name))
        });
        let outcomes = join_all(reports).await;
        let (now, mut health) = (Instant::now(), Health::Good);
        for (note, outcome) in batch.iter().zip(outcomes) {
            self.metrics.events.with_label_values(&[outcome.as_str()]).inc();
            match outcome {
                Outcome::Created => schedule.reported(now, &note.name, 1),
                Outcome::Repeated { times } => schedule.reported(now, &note.name, times),
                Outcome::Invalid(error) => {
                    tracing::warn!(event = note.name, "Kubernetes rejects an Event: {error}");
                    schedule.reported(now, &note.name, schedule.times(&note.name));
                }
                Outcome::Forbidden(error) => health = self.log_failure(Health::Forbidden, &configmap.namespace, &error),
                Outcome::NotAnswered(error) => {
                    health = self.log_failure(Health::NotAnswered, &configmap.namespace, &error);
                }
            }
        }
        match health {
            Health::Good if self.last == Health::Good => {}
            Health::Good => tracing::info!("Events are reported again"),
            Health::Forbidden => schedule.forbidden(now),
            Health::NotAnswered => schedule.not_answered(now, rand::random()),
        }
        self.last = health;
    }

    /// Logs a failure once, however long it lasts.
    fn log_failure(&mut self, health: Health, namespace: &str, error: &dyn std::fmt::Display) -> Health {
        if self.last != health {
            match health {
                Health::Forbidden => tracing::warn!(
                    "Events are not reported: the Role in {namespace} must allow create and patch on events of events.k8s.io: {error}"
                ),
                _ => tracing::warn!("Events are not reported while the Kubernetes API does not answer: {error}"),
            }
            self.last = health;
        }
        health
    }
}

async fn report_one(api: &Api<Event>, event: Event, name: &str, times: i32) -> Outcome {
    let created = timeout(REQUEST_TIMEOUT, api.create(&PostParams::default(), &event)).await;
    match created {
        Ok(Ok(_)) => Outcome::Created,
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => repeat(api, name, times).await,
        Ok(Err(error)) => failure(error),
        Err(_) => timed_out(),
    }
}

/// Increases the count of an existing Event. Nothing but its series can be changed (`ValidateEventUpdate` of Kubernetes).
async fn repeat(api: &Api<Event>, name: &str, times: i32) -> Outcome {
    // Kubernetes accepts a series from a count of 2 on.
    let times = times.saturating_add(1).max(2);
    let series = serde_json::json!({ "series": { "count": times, "lastObservedTime": MicroTime(Timestamp::now()) } });
    match timeout(REQUEST_TIMEOUT, api.patch(name, &PatchParams::default(), &Patch::Merge(series))).await {
        Ok(Ok(_)) => Outcome::Repeated { times },
        Ok(Err(error)) => failure(error),
        Err(_) => timed_out(),
    }
}

fn failure(error: kube::Error) -> Outcome {
    match &error {
        kube::Error::Api(status) if status.is_forbidden() => Outcome::Forbidden(error),
        kube::Error::Api(status) if status.is_invalid() || status.code == 400 => Outcome::Invalid(error),
        _ => Outcome::NotAnswered(error.to_string()),
    }
}

fn timed_out() -> Outcome {
    Outcome::NotAnswered(format!("no response within {REQUEST_TIMEOUT:?}"))
}
