//! What the server runs with: the arguments, checked. A [`Config`] that exists can be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use limits::MimirVersion;
use limits_source::{ConfigMapSpec, DefaultLimitsOptions, DefaultLimitsSource, HaTrackerUrl, ServiceName, SourceSpec};
use runtime::{FlagFile, LogSettings, refuse_shared_files};

use crate::args::{Args, Events};
use crate::webhook::TlsFiles;

/// Validated settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) grpc_listen: SocketAddr,
    pub(crate) http_listen: SocketAddr,
    pub(crate) limits: SourceSpec,
    pub(crate) default_limits: DefaultLimitsSource,
    pub(crate) mimir_version: MimirVersion,
    pub(crate) allow_empty_overrides: bool,
    pub(crate) limits_cache: Option<PathBuf>,
    /// The Service whose ready endpoints are counted.
    pub(crate) distributor_service: Option<ServiceName>,
    /// Where Mimir says who is elected.
    pub(crate) ha_tracker_url: Option<HaTrackerUrl>,
    /// Whether the ConfigMap's problems are told as Events on it.
    pub(crate) events: bool,
    pub(crate) webhook: Option<WebhookConfig>,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    /// How log lines are written, and which.
    pub logs: LogSettings,
}

/// Where the webhook is asked, and of what.
#[derive(Clone, Debug)]
pub(crate) struct WebhookConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: TlsFiles,
    pub(crate) configmap: ConfigMapSpec,
}

impl TryFrom<Args> for Config {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        let Args {
            grpc_listen,
            http_listen,
            limits,
            default_limits,
            default_limits_expand_env,
            default_limits_flags,
            default_limits_url,
            mimir_version,
            limits_cache,
            allow_empty_overrides,
            ha_tracker_url,
            distributor_service,
            events,
            webhook_listen,
            webhook_tls_cert,
            webhook_tls_key,
            drain_delay,
            drain_timeout,
            log_format,
            log_level,
        } = args;
        let listeners = [
            ("--grpc-listen", Some(grpc_listen)),
            ("--http-listen", Some(http_listen)),
            ("--webhook-listen", webhook_listen),
        ];
        refuse_shared_addresses(&listeners)?;
        let limits: SourceSpec = limits.parse().context("--limits")?;
        if matches!(limits, SourceSpec::Feed(_)) {
            bail!("--limits is a feed, which an overrides-sync serves; write kube:NAMESPACE/CONFIGMAP or file:PATH");
        }
        let files = [
            limits_cache.as_deref().map(|path| FlagFile::replaced("--limits-cache", path)),
            webhook_tls_cert.as_deref().map(|path| FlagFile::read("--webhook-tls-cert", path)),
            webhook_tls_key.as_deref().map(|path| FlagFile::read("--webhook-tls-key", path)),
        ];
        let default_limits = DefaultLimitsOptions {
            file: default_limits,
            expand_env: default_limits_expand_env,
            flags: default_limits_flags,
            url: default_limits_url,
            version: mimir_version.clone(),
        };
        let sources = limits.files().map(|path| FlagFile::read("--limits", path));
        let defaults = default_limits.files().into_iter().map(|(flag, path)| FlagFile::read(flag, path));
        refuse_shared_files(&sources.chain(files.into_iter().flatten()).chain(defaults).collect::<Vec<_>>())?;
        let configmap = match &limits {
            SourceSpec::Kube(configmap) => Some(configmap.clone()),
            SourceSpec::Files(_) | SourceSpec::Feed(_) => None,
        };
        Ok(Self {
            events: tells_events(events, configmap.is_some())?,
            webhook: webhook(webhook_listen, webhook_tls_cert, webhook_tls_key, configmap)?,
            grpc_listen,
            http_listen,
            limits,
            default_limits: default_limits.read()?,
            mimir_version,
            allow_empty_overrides,
            limits_cache,
            distributor_service: distributor_service
                .map(|service| service.parse())
                .transpose()
                .context("--distributor-service")?,
            ha_tracker_url: ha_tracker_url.map(|url| url.parse()).transpose().context("--ha-tracker-url")?,
            drain_delay: drain_delay.into(),
            drain_timeout: drain_timeout.into(),
            logs: LogSettings { filter: log_level, format: log_format },
        })
    }
}

fn refuse_shared_addresses(listeners: &[(&str, Option<SocketAddr>)]) -> anyhow::Result<()> {
    for (place, (flag, address)) in listeners.iter().enumerate() {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        let same = |(_, other): &&(&str, Option<SocketAddr>)| *other == Some(address);
        if let Some((other, _)) = listeners.iter().take(place).find(same) {
            bail!("{other} and {flag} are both {address}; give each a port of its own");
        }
    }
    Ok(())
}

/// Events are told on a ConfigMap, and where there is one by default.
fn tells_events(events: Option<Events>, has_configmap: bool) -> anyhow::Result<bool> {
    match (events, has_configmap) {
        (Some(Events::On), false) => {
            bail!("--events on needs a ConfigMap to tell them of; write --limits kube:NAMESPACE/CONFIGMAP")
        }
        (Some(Events::Off), _) => Ok(false),
        (_, has_configmap) => Ok(has_configmap),
    }
}

fn webhook(
    listen: Option<SocketAddr>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    configmap: Option<ConfigMapSpec>,
) -> anyhow::Result<Option<WebhookConfig>> {
    let Some(listen) = listen else {
        if cert.is_some() || key.is_some() {
            bail!("--webhook-tls-cert and --webhook-tls-key are for a webhook; give --webhook-listen as well");
        }
        return Ok(None);
    };
    let (Some(cert), Some(key)) = (cert, key) else {
        bail!("--webhook-listen needs --webhook-tls-cert and --webhook-tls-key: an API server asks over TLS alone");
    };
    let Some(configmap) = configmap else {
        bail!("--webhook-listen needs a ConfigMap to judge changes of; write --limits kube:NAMESPACE/CONFIGMAP");
    };
    Ok(Some(WebhookConfig { listen, tls: TlsFiles { cert, key }, configmap }))
}
