//! Limits from a ConfigMap, selected by name or label: a watch reports each change at once, and a read every 15 seconds confirms the limits in force.
//!
//! A silent watch may be an unchanged ConfigMap or a dead connection, so silence confirms nothing. If a read finds a change that the watch did not
//! report, the change is applied and the watch restarts. An older revision of an object never replaces a newer one, whichever API server sends it. No
//! outage, deletion or missing permission removes limits.

mod client;
mod errors;
mod follow;
mod keys;
mod names;
mod revision;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use limits::LimitsState;
use tasks::Tasks;
use tokio::sync::watch as channel;
use tokio::time::timeout;

pub use client::{KubeClient, KubeConfigError};
pub use keys::{ConfigMapData, SelectedKeys};
pub use names::{ConfigMapSelector, ConfigMapSpec, NamespacedName, ObjectNameError};
pub use revision::LastReadName;

pub(crate) use errors::{ApiError, Verb};
pub(crate) use watch::{Scope, Watch, WatchEvent};

use crate::retry::Backoff;
use crate::{Count, Freshness, LimitsFeed};
use follow::Follower;
use revision::Revisions;

/// How long a start waits for the first response: probes and signals are to be answered even if the API server is unreachable.
const FIRST_RESPONSE: Duration = Duration::from_secs(5);

/// How long it waits if there are limits already.
const FIRST_RESPONSE_AFTER_RESTORED: Duration = Duration::from_secs(1);

/// The pauses between attempts while the API server fails.
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));

/// Counts of one source since its start.
#[derive(Debug, Default)]
pub struct WatchCounts {
    /// Restarts of the watch after it failed or missed a change, failed attempts included.
    pub restarts: Count,
    /// Deletions of the ConfigMap.
    pub deletions: Count,
    /// Reads that failed.
    pub failed_checks: Count,
    /// Times that the API server rejected the credentials, and they were reloaded.
    pub rejected_credentials: Count,
}

/// The output of a watched ConfigMap.
#[derive(Debug)]
pub struct ConfigMapFeed {
    /// The limits.
    pub limits: LimitsFeed,
    /// Counts of the watch.
    pub counts: Arc<WatchCounts>,
    /// The name of the object that was read last.
    pub last_read: LastReadName,
}

/// Reads a ConfigMap, waiting up to 5 seconds (1 if `state` already has limits), and watches it until `tasks` are stopped. Limits that `state` already has
/// are as old as `freshness`, and stay in force until the ConfigMap has been read.
///
/// An API server that is unreachable or rejects the request, and a missing or bad ConfigMap, are no errors: the feed then has problems, and limits as soon
/// as there are good ones.
pub async fn watch_configmap(
    client: KubeClient,
    spec: ConfigMapSpec,
    state: LimitsState,
    freshness: Freshness,
    tasks: &Tasks,
) -> ConfigMapFeed {
    let patience = if state.current().is_some() { FIRST_RESPONSE_AFTER_RESTORED } else { FIRST_RESPONSE };
    let (counts, last_read, configmap) = (Arc::default(), LastReadName::default(), spec.to_string());
    let revisions = Revisions::new(spec, state, last_read.clone());
    let sender = channel::Sender::new(revisions.state());
    let mut limits = LimitsFeed { states: sender.subscribe(), freshness: freshness.clone() };
    let follower = Follower::new(client, revisions, sender, freshness, Arc::clone(&counts));
    tasks.spawn("ConfigMap", follower.run());
    if timeout(patience, limits.states.changed()).await.is_err() {
        tracing::warn!(configmap, "the ConfigMap could not be read within {patience:?}; still trying");
    }
    ConfigMapFeed { limits, counts, last_read }
}
