//! A running source, and what it publishes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::{ADMIN, Cluster, until};
use limits::{LimitsState, LoadedLimits, TenantLimits};
use limits_source::{ConfigMapSpec, Freshness, KubeClient, LimitsFeed, WatchCounts, watch_configmap};
use tasks::Tasks;
use tokio::runtime::Runtime;

/// Older than anything that the source confirms in a test.
const OLD: Duration = Duration::from_secs(3_600);

/// A source with a runtime of its own, gone with it.
#[derive(Debug)]
pub(crate) struct Watched {
    runtime: Runtime,
    pub(crate) feed: LimitsFeed,
    pub(crate) counts: Arc<WatchCounts>,
}

impl Watched {
    /// Watches the ConfigMap as the administrator.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        Self::with(&cluster.server.kubeconfig(ADMIN), LimitsState::new(TenantLimits::default(), false), OLD)
    }

    /// Watches what `--limits kube:` would say, as the administrator.
    pub(crate) fn of(cluster: &Cluster, configmap: &str) -> Self {
        let state = LimitsState::new(TenantLimits::default(), false);
        Self::with_spec(&cluster.server.kubeconfig(ADMIN), configmap, state, OLD)
    }

    /// Watches the ConfigMap as this kubeconfig says, from limits that are so old.
    pub(crate) fn with(kubeconfig: &Path, state: LimitsState, age: Duration) -> Self {
        Self::with_spec(kubeconfig, "mimir/mimir-runtime", state, age)
    }

    fn with_spec(kubeconfig: &Path, configmap: &str, state: LimitsState, age: Duration) -> Self {
        let runtime = runtime();
        let (feed, counts) = runtime.block_on(async {
            let client = KubeClient::new(Some(kubeconfig.to_owned())).await.expect("a kubeconfig");
            let spec: ConfigMapSpec = configmap.parse().expect("a ConfigMap");
            let freshness = Freshness::confirmed_ago(age);
            let source = watch_configmap(client, spec, state, freshness, &Tasks::default()).await;
            (source.limits, source.counts)
        });
        Self { runtime, feed, counts }
    }

    pub(crate) fn state(&self) -> LoadedLimits {
        self.feed.states.borrow().clone()
    }

    /// The rate of a tenant that has an override.
    pub(crate) fn rate(&self, tenant: &str) -> Option<f64> {
        self.state().limits?.entry(tenant).map(|entry| entry.limits.ingestion_rate)
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.state().problems.iter().map(ToString::to_string).collect()
    }

    /// Whether one of the problems says this.
    pub(crate) fn reports(&self, text: &str) -> bool {
        self.problems().iter().any(|problem| problem.contains(text))
    }

    /// Waits until the tenant has this rate, and gives how long after `since` that was.
    #[track_caller]
    pub(crate) fn wait_for_rate(&mut self, tenant: &str, rate: u32, since: Instant) -> Duration {
        let mut states = self.feed.states.clone();
        let wanted = |state: &LoadedLimits| {
            let entry = state.limits.as_ref().and_then(|limits| limits.entry(tenant));
            entry.is_some_and(|entry| entry.limits.ingestion_rate == f64::from(rate))
        };
        let reached = async { tokio::time::timeout(Duration::from_secs(30), states.wait_for(wanted)).await.is_ok() };
        let reached = self.runtime.block_on(reached);
        assert!(reached, "{tenant} never got {rate}: {:?}, {:?}", self.rate(tenant), self.problems());
        since.elapsed()
    }

    /// Waits until the source has confirmed what is in force after `since`.
    #[track_caller]
    pub(crate) fn confirmed_since(&self, since: Instant) {
        until("the limits are confirmed", || self.feed.freshness.age() < since.elapsed());
    }
}

/// A runtime with one worker: whatever keeps it from others is seen.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}
