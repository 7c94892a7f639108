//! What is watched and asked beside the limits, as the command line says.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;
use limits::{Defaults, MimirVersion};
use limits_source::{
    DistributorsSource, HaTrackerFeed, HaTrackerSource, HaTrackerUrl, KubeClient, ServiceName, SourceSpec,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::WebhookConfig;
use crate::webhook::{Webhook, WebhookCounts, WebhookSettings};

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

/// The webhook, where there is one. It judges by the default limits, and whether a document without tenants is meant.
pub(super) async fn webhook(
    config: Option<WebhookConfig>,
    (defaults, version, allow_empty): (&Defaults, MimirVersion, bool),
    counts: Arc<WebhookCounts>,
) -> anyhow::Result<Option<Webhook>> {
    let Some(WebhookConfig { listen, tls, configmap }) = config else { return Ok(None) };
    let settings = WebhookSettings { configmap, defaults: defaults.clone(), version, allow_empty };
    Webhook::bind(listen, tls, settings, counts).await.map(Some)
}
