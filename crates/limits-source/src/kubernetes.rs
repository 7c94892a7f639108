//! Limits from one ConfigMap, which a name or a label selects: a watch reports each change at once, and a read every 15 seconds confirms the limits in force.
//!
//! A silent watch may be a quiet ConfigMap or a dead connection, so silence confirms nothing. Where a read finds a change that the watch did not
//! report, the change is applied and the watch restarts. Of one object an older revision never replaces a newer one, whichever server sends it. No
//! outage, deletion or missing permission takes limits away.

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
pub use names::{ConfigMapName, ConfigMapSelector, ConfigMapSpec, ObjectNameError, ServiceName};
pub use revision::ObjectNames;

pub(crate) use errors::{ApiError, Verb};
pub(crate) use watch::{Scope, Watch, WatchEvent};

use crate::retry::Backoff;
use crate::{Count, Freshness, LimitsFeed};
use follow::Follower;
use revision::Revisions;

/// How long a start waits for the first answer: an API server that is away must not keep probes and signals unanswered.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// How long it waits where there are limits already.
const FIRST_ANSWER_AFTER_RESTORED: Duration = Duration::from_secs(1);

/// The pauses between attempts while the API server fails.
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));

/// Counts of one source since its start.
#[derive(Debug, Default)]
pub struct WatchCounts {
    /// Times that the watch failed, or missed a change, and restarted. Failed attempts count too.
    pub restarts: Count,
    /// Deletions of the ConfigMap.
    pub deletions: Count,
    /// Reads that failed.
    pub failed_checks: Count,
    /// Times that the API server refused the credentials, and they were read again.
    pub refused_credentials: Count,
}

/// Watches one ConfigMap.
#[derive(Debug)]
pub struct ConfigMapSource {
    client: KubeClient,
    spec: ConfigMapSpec,
    names: ObjectNames,
    state: LimitsState,
    freshness: Freshness,
    counts: Arc<WatchCounts>,
}

impl ConfigMapSource {
    /// A source that has read nothing yet. Limits that `state` has already are published at once, and hold until the ConfigMap was read.
    #[must_use]
    pub fn new(client: KubeClient, configmap: impl Into<ConfigMapSpec>, state: LimitsState) -> Self {
        let (freshness, counts) = (Freshness::default(), Arc::default());
        Self { client, spec: configmap.into(), names: ObjectNames::default(), state, freshness, counts }
    }

    /// Says how old the limits are that the state was made with: [`crate::LimitsCache::load`] tells.
    #[must_use]
    pub fn restored(self, age: Duration) -> Self {
        Self { freshness: Freshness::confirmed_ago(age), ..self }
    }

    /// What happens to the watch, counted from now on.
    #[must_use]
    pub fn counts(&self) -> Arc<WatchCounts> {
        Arc::clone(&self.counts)
    }

    /// The name of the object that was last read.
    #[must_use]
    pub fn names(&self) -> ObjectNames {
        self.names.clone()
    }

    /// Reads the ConfigMap, which this waits for up to 5 seconds (1 where there are limits already), and keeps watching it until `stop` is cancelled.
    ///
    /// An API server that is away or refuses, and a ConfigMap that is missing or bad, are no errors: the feed then shows problems, and limits as soon
    /// as there are good ones.
    pub async fn start(self, stop: CancellationToken) -> LimitsFeed {
        let patience = if self.state.current().is_some() { FIRST_ANSWER_AFTER_RESTORED } else { FIRST_ANSWER };
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
