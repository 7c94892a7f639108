//! What the server runs with: the arguments, checked. A [`Config`] that exists can be run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytesize::ByteSize;
use limits::{Problem, TenantLimits};
use limits_source::SourceSpec;
use remote_write::BodyLimits;
use runtime::LogFilter;

use crate::Args;
use crate::args::UnreadableBody;

/// The largest size that the two body limits may have: lengths on the wire are 32 bits wide.
const LARGEST_BODY: ByteSize = ByteSize::gib(2);

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
    pub(crate) bodies: BodyPolicy,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    /// The filter for log lines.
    pub log_level: LogFilter,
}

/// How bodies are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyPolicy {
    /// The largest body as sent, in bytes.
    pub max_request_bytes: usize,
    pub decode: BodyLimits,
    pub unreadable: UnreadableBody,
}

impl TryFrom<Args> for Config {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        let Args {
            grpc_listen,
            http_listen,
            limits,
            default_limits,
            max_request_bytes,
            max_decoded_bytes,
            unreadable_body,
            allow_empty_overrides,
            drain_delay,
            drain_timeout,
            log_level,
        } = args;
        if grpc_listen == http_listen && grpc_listen.port() != 0 {
            bail!("--grpc-listen and --http-listen are both {grpc_listen}; give each a port of its own");
        }
        let (default_limits, default_problems) = default_limits.map(read_defaults).transpose()?.unwrap_or_default();
        let max_request_bytes = body_size("--max-request-bytes", max_request_bytes)?;
        let max_decoded_bytes = body_size("--max-decoded-bytes", max_decoded_bytes)?;
        Ok(Self {
            grpc_listen,
            http_listen,
            limits: limits.parse().context("--limits")?,
            default_limits,
            default_problems,
            allow_empty_overrides,
            bodies: BodyPolicy {
                max_request_bytes,
                decode: BodyLimits { max_decoded_bytes },
                unreadable: unreadable_body,
            },
            drain_delay: drain_delay.into(),
            drain_timeout: drain_timeout.into(),
            log_level,
        })
    }
}

fn body_size(flag: &str, size: ByteSize) -> anyhow::Result<usize> {
    if size.as_u64() == 0 || size > LARGEST_BODY {
        bail!("{flag} is {size}; it must be between 1 byte and {LARGEST_BODY}, for example 16MiB");
    }
    usize::try_from(size.as_u64()).with_context(|| format!("{flag} is too large for this machine"))
}

fn read_defaults(path: PathBuf) -> anyhow::Result<(TenantLimits, Vec<Problem>)> {
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("--default-limits: cannot read {}", path.display()))?;
    let name = path.file_name().map_or(path.as_path(), Path::new).display().to_string();
    match limits::parse_defaults(&name, &text) {
        Ok(read) => Ok(read),
        Err(problems) => {
            bail!("--default-limits: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}
