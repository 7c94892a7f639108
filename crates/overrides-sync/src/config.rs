//! What the server runs with: the arguments, checked. A [`Config`] that exists can be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use limits::{Problem, TenantLimits};
use limits_source::{HaTrackerUrl, ServiceName, SourceSpec, read_default_limits};
use runtime::{FlagFile, LogSettings, refuse_shared_files};

use crate::Args;

/// Validated settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) grpc_listen: SocketAddr,
    pub(crate) http_listen: SocketAddr,
    pub(crate) limits: SourceSpec,
    pub(crate) default_limits: TenantLimits,
    /// What is wrong with the default limits' file and was ignored.
    pub(crate) default_problems: Vec<Problem>,
    pub(crate) allow_empty_overrides: bool,
    pub(crate) limits_cache: Option<PathBuf>,
    /// The Service whose ready endpoints are counted.
    pub(crate) distributor_service: Option<ServiceName>,
    /// Where Mimir says who is elected.
    pub(crate) ha_tracker_url: Option<HaTrackerUrl>,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    /// How log lines are written, and which.
    pub logs: LogSettings,
}

impl TryFrom<Args> for Config {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        let Args {
            grpc_listen,
            http_listen,
            limits,
            default_limits,
            limits_cache,
            allow_empty_overrides,
            ha_tracker_url,
            distributor_service,
            events: _,
            webhook_listen: _,
            webhook_tls_cert: _,
            webhook_tls_key: _,
            drain_delay,
            drain_timeout,
            log_format,
            log_level,
        } = args;
        if grpc_listen == http_listen && grpc_listen.port() != 0 {
            bail!("--grpc-listen and --http-listen are both {grpc_listen}; give each a port of its own");
        }
        let limits: SourceSpec = limits.parse().context("--limits")?;
        if matches!(limits, SourceSpec::Feed(_)) {
            bail!("--limits is a feed, which an overrides-sync serves; write kube:NAMESPACE/CONFIGMAP or file:PATH");
        }
        let files = [
            limits.file().map(|path| FlagFile::read("--limits", path)),
            default_limits.as_deref().map(|path| FlagFile::read("--default-limits", path)),
            limits_cache.as_deref().map(|path| FlagFile::replaced("--limits-cache", path)),
        ];
        refuse_shared_files(&files.into_iter().flatten().collect::<Vec<_>>())?;
        let (default_limits, default_problems) = default_limits
            .as_deref()
            .map(read_default_limits)
            .transpose()
            .context("--default-limits")?
            .unwrap_or_default();
        Ok(Self {
            grpc_listen,
            http_listen,
            limits,
            default_limits,
            default_problems,
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
