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
use tokio::sync::watch as channel;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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

/// Watches one ConfigMap.
#[derive(Debug)]
pub struct ConfigMapSource {
    client: KubeClient,
    spec: ConfigMapSpec,
    names: LastReadName,
    state: LimitsState,
    freshness: Freshness,
    counts: Arc<WatchCounts>,
}

impl ConfigMapSource {
    /// A source that has read nothing yet. Limits that `state` already has are as old as `freshness`, are published at once, and stay in force until the
    /// ConfigMap has been read.
    #[must_use]
    pub fn new(client: KubeClient, spec: ConfigMapSpec, state: LimitsState, freshness: Freshness) -> Self {
        Self { client, spec, names: LastReadName::default(), state, freshness, counts: Arc::default() }
    }

    /// Counts of the watch.
    #[must_use]
    pub fn counts(&self) -> Arc<WatchCounts> {
        Arc::clone(&self.counts)
    }

    /// The name of the object that was last read.
    #[must_use]
    pub fn names(&self) -> LastReadName {
        self.names.clone()
    }

    /// Reads the ConfigMap, waiting up to 5 seconds (1 if there are limits already), and watches it until `stop` is cancelled.
    ///
    /// An API server that is unreachable or rejects the request, and a missing or bad ConfigMap, are no errors: the feed then has problems, and limits as soon
    /// as there are good ones.
    pub async fn start(self, stop: CancellationToken) -> LimitsFeed {
        let patience = if self.state.current().is_some() { FIRST_RESPONSE_AFTER_RESTORED } else { FIRST_RESPONSE };
        let spec = self.spec.clone();
        let revisions = Revisions::new(self.spec, self.state, self.names);
        let sender = channel::Sender::new(revisions.state());
        let mut feed = LimitsFeed { states: sender.subscribe(), freshness: self.freshness.clone() };
        let follower = Follower::new(self.client, revisions, sender, self.freshness, self.counts);
        tokio::spawn(stop.run_until_cancelled_owned(follower.run()));
        if timeout(patience, feed.states.changed()).await.is_err() {
            tracing::warn!(configmap = %spec, "the ConfigMap could not be read within {patience:?}; still trying");
        }
        feed
    }
}
