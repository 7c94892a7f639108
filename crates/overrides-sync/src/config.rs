//! The settings of the server: the checked arguments. Any [`Config`] can be run.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use limits::MimirVersion;
use limits_source::{ConfigMapSpec, DefaultLimitsSource, LimitsArgs, MimirUrl, NamespacedName, SourceSpec};
use runtime::{FlagFile, ListenAddress, ServerArgs, TlsFiles, reject_shared_addresses, reject_shared_files};

use crate::args::{Args, Events};

/// Validated settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) grpc_listen: ListenAddress,
    pub(crate) http_listen: SocketAddr,
    pub(crate) limits: SourceSpec,
    /// The same as it was written.
    pub(crate) limits_text: String,
    pub(crate) default_limits: DefaultLimitsSource,
    pub(crate) mimir_version: MimirVersion,
    pub(crate) allow_empty_overrides: bool,
    pub(crate) limits_cache: Option<PathBuf>,
    /// The Service whose ready endpoints are counted.
    pub(crate) distributor_service: Option<NamespacedName>,
    /// Where the HA tracker of Mimir is polled.
    pub(crate) ha_tracker_url: Option<MimirUrl>,
    /// Whether the ConfigMap's problems become Events on it.
    pub(crate) events: bool,
    pub(crate) webhook: Option<WebhookConfig>,
    /// Drain and logs.
    pub server: ServerArgs,
}

/// The webhook: its listener, its certificate, and the ConfigMap that it reviews.
#[derive(Clone, Debug)]
pub(crate) struct WebhookConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: TlsFiles,
    pub(crate) configmap: ConfigMapSpec,
}

impl TryFrom<Args> for Config {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        let limits: SourceSpec = args.limits.parse().context("--limits")?;
        if matches!(limits, SourceSpec::Feed(_)) {
            bail!("--limits is a feed, which an overrides-sync serves; write kube:NAMESPACE/CONFIGMAP or file:PATH");
        }
        reject_shared_files(&flag_files(&args, &limits))?;
        let Args {
            grpc_listen,
            http_listen,
            limits: limits_text,
            limits_args:
                LimitsArgs { default_limits, mimir_version, limits_cache, allow_empty_overrides, ha_tracker_url },
            distributor_service,
            events,
            webhook_listen,
            webhook_tls_cert,
            webhook_tls_key,
            server,
        } = args;
        reject_shared_addresses(&[
            ("--grpc-listen", grpc_listen.tcp()),
            ("--http-listen", Some(http_listen)),
            ("--webhook-listen", webhook_listen),
        ])?;
        server.check()?;
        let distributor_service = distributor_service.map(|service| NamespacedName::of_service(&service)).transpose();
        let distributor_service = distributor_service.context("--distributor-service")?;
        let ha_tracker_url = ha_tracker_url.map(|url| MimirUrl::of_ha_tracker(&url)).transpose();
        let ha_tracker_url = ha_tracker_url.context("--ha-tracker-url")?;
        let configmap = match &limits {
            SourceSpec::Kube(configmap) => Some(configmap.clone()),
            SourceSpec::Files(_) | SourceSpec::Feed(_) => None,
        };
        Ok(Self {
            events: events_enabled(events, configmap.is_some())?,
            webhook: webhook(webhook_listen, webhook_tls_cert, webhook_tls_key, configmap)?,
            grpc_listen,
            http_listen,
            limits,
            limits_text,
            default_limits: default_limits.read(&mimir_version)?,
            mimir_version,
            allow_empty_overrides,
            limits_cache,
            distributor_service,
            ha_tracker_url,
            server,
        })
    }
}

/// The files that flags name.
fn flag_files<'a>(args: &'a Args, limits: &'a SourceSpec) -> Vec<FlagFile<'a>> {
    let LimitsArgs { default_limits, limits_cache, .. } = &args.limits_args;
    let files = [
        limits_cache.as_deref().map(|path| FlagFile::replaced("--limits-cache", path)),
        args.webhook_tls_cert.as_deref().map(|path| FlagFile::read("--webhook-tls-cert", path)),
        args.webhook_tls_key.as_deref().map(|path| FlagFile::read("--webhook-tls-key", path)),
        args.grpc_listen.socket_path().map(|path| FlagFile::replaced("--grpc-listen", path)),
    ];
    let limits = limits.files().map(|path| FlagFile::read("--limits", path));
    let defaults = default_limits.files().into_iter().map(|(flag, path)| FlagFile::read(flag, path));
    limits.chain(files.into_iter().flatten()).chain(defaults).chain(args.server.files()).collect()
}

/// Events need a ConfigMap, and are on by default if there is one.
fn events_enabled(events: Option<Events>, has_configmap: bool) -> anyhow::Result<bool> {
    match (events, has_configmap) {
        (Some(Events::On), false) => {
            bail!("--events on needs a ConfigMap to report on; write --limits kube:NAMESPACE/CONFIGMAP")
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
        bail!(
            "--webhook-listen needs --webhook-tls-cert and --webhook-tls-key: an API server calls webhooks over TLS only"
        );
    };
    let Some(configmap) = configmap else {
        bail!("--webhook-listen needs a ConfigMap to review; write --limits kube:NAMESPACE/CONFIGMAP");
    };
    Ok(Some(WebhookConfig { listen, tls: TlsFiles { cert, key, client_ca: None }, configmap }))
}
