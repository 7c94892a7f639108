//! What is watched beside the limits, as the command line says.

use std::num::NonZeroU32;

use anyhow::Context;
use limits_source::{
    DistributorsSource, HaTrackerFeed, HaTrackerSource, HaTrackerUrl, KubeClient, ServiceName, SourceSpec,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The way to the cluster, where something of it is watched.
pub(super) async fn kube(limits: &SourceSpec, service: Option<&ServiceName>) -> anyhow::Result<Option<KubeClient>> {
    let flag = match (limits, service) {
        (SourceSpec::Kube(_), _) => "--limits",
        (_, Some(_)) => "--distributor-service",
        _ => return Ok(None),
    };
    Ok(Some(KubeClient::infer().await.context(flag)?))
}

/// The count of ready distributors, where they are counted.
pub(super) fn distributors(
    kube: Option<&KubeClient>,
    service: Option<ServiceName>,
    stop: CancellationToken,
) -> watch::Receiver<Option<NonZeroU32>> {
    match (kube, service) {
        (Some(client), Some(service)) => DistributorsSource::new(client.clone(), service).start(stop),
        _ => watch::channel(None).1,
    }
}

/// What Mimir's HA tracker says, where there is one to ask. Nothing waits for its first answer.
pub(super) fn ha_tracker(url: Option<HaTrackerUrl>, stop: CancellationToken) -> anyhow::Result<Option<HaTrackerFeed>> {
    let source = url.map(HaTrackerSource::new).transpose().context("--ha-tracker-url")?;
    Ok(source.map(|source| source.start(stop)))
}
