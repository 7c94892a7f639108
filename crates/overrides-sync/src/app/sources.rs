//! The sources of what the feed carries: the limits, the number of distributors, and the elections of Mimir's HA tracker.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;
use limits::{Defaults, LimitsState};
use limits_source::{
    Count, DistributorService, HaTrackerFeed, KubeClient, LastReadName, LimitsFeed, NamespacedName, Source,
    SourceExtras, SourceSpec, WatchCounts, poll_ha_tracker,
};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::{Config, events};

/// The running sources.
pub(super) struct Sources {
    pub(super) limits: LimitsFeed,
    /// `None` while they are not counted.
    pub(super) distributors: watch::Receiver<Option<NonZeroU32>>,
    pub(super) ha_tracker: Option<HaTrackerFeed>,
    /// Counts of the watch, if the limits are in a ConfigMap.
    pub(super) watch: Option<Arc<WatchCounts>>,
    /// The name of that ConfigMap.
    pub(super) last_read: Option<LastReadName>,
    pub(super) cache_faults: Arc<Count>,
    /// Ends after the last write of the limits cache.
    pub(super) cache: Option<JoinHandle<()>>,
}

impl Sources {
    /// Starts the sources, which run until `tasks` are stopped, and waits some seconds for the first limits. Problems of a ConfigMap are reported
    /// as Events, if these are on.
    pub(super) async fn start(
        config: &Config,
        defaults: Defaults,
        metrics: &Metrics,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let ha_tracker = config.ha_tracker_url.clone().map(|url| poll_ha_tracker(url, tasks)).transpose();
        let ha_tracker = ha_tracker.context("--ha-tracker-url")?;
        let kube = kube_client(&config.limits, config.distributor_service.as_ref()).await?;
        let service = kube.clone().zip(config.distributor_service.clone());
        let service = service.map(|(client, name)| DistributorService { client, name });
        let state = LimitsState::new(defaults, config.allow_empty_overrides).of_version(config.mimir_version.clone());
        let cache = config.limits_cache.clone();
        let source = config.limits.clone().start(state, cache, kube.clone(), service, tasks).await;
        let Source { limits, distributors, extras, cache_faults, cache } = source.context("--limits")?;
        let (watch, last_read) = match extras {
            SourceExtras::ConfigMap { counts, last_read } => {
                if let Some(client) = kube.filter(|_| config.events) {
                    events::start(client, last_read.clone(), limits.states.clone(), metrics.clone(), tasks);
                }
                (Some(counts), Some(last_read))
            }
            SourceExtras::None | SourceExtras::Feed(_) => (None, None),
        };
        Ok(Self { limits, distributors, ha_tracker, watch, last_read, cache_faults, cache })
    }
}

/// The client of the Kubernetes API, if anything in a cluster is watched.
async fn kube_client(limits: &SourceSpec, service: Option<&NamespacedName>) -> anyhow::Result<Option<KubeClient>> {
    let flag = match (limits, service) {
        (SourceSpec::Kube(_), _) => "--limits",
        (_, Some(_)) => "--distributor-service",
        _ => return Ok(None),
    };
    Ok(Some(KubeClient::new(None).await.context(flag)?))
}
