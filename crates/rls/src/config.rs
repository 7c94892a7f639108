//! What the server runs with: the arguments, checked. A [`Config`] that exists can be run.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytesize::ByteSize;
use edge::{AuditTarget, BodyPolicy, Policy, SHARES};
use limits::MimirVersion;
use limits_source::{DefaultLimitsOptions, DefaultLimitsSource, HaTrackerUrl, SourceSpec};
use remote_write::BodyLimits;
use runtime::{FlagFile, LogSettings, refuse_shared_files};

use crate::Args;
use crate::args::{ChargeSamplesIn, DecodeBodies, HaTracker, UnreadableBody};

/// The largest size that the two body limits may have: lengths on the wire are 32 bits wide.
const LARGEST_BODY: ByteSize = ByteSize::gib(2);

/// Room for everything in a `CheckRequest` that is not the body. Envoy's own limit on a request's headers is 60 KiB.
const ATTRIBUTES_BYTES: usize = 1 << 20;
/// What may be in flight unless told otherwise, where the largest message does not need more.
const IN_FLIGHT: ByteSize = ByteSize::mib(256);

/// Validated settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) grpc_listen: SocketAddr,
    pub(crate) http_listen: SocketAddr,
    pub(crate) limits: SourceSpec,
    pub(crate) default_limits: DefaultLimitsSource,
    pub(crate) mimir_version: MimirVersion,
    /// Whether somebody said what the default limits are.
    pub(crate) default_limits_given: bool,
    pub(crate) allow_empty_overrides: bool,
    pub(crate) edge_config: Option<PathBuf>,
    pub(crate) limits_cache: Option<PathBuf>,
    pub(crate) policy: Policy,
    /// Mimir's distributors, until they are counted.
    pub(crate) distributors: NonZeroU32,
    /// Where Mimir says who is elected.
    pub(crate) ha_tracker_url: Option<HaTrackerUrl>,
    pub(crate) audit_log: Option<AuditTarget>,
    /// The most bytes of messages in memory at once; room for [`SHARES`] of the largest.
    pub(crate) max_in_flight_bytes: usize,
    /// None: as many as there are cores.
    pub(crate) decode_threads: Option<NonZeroUsize>,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    /// How log lines are written, and which.
    pub logs: LogSettings,
}

/// The largest message that carries a body of the largest size, in bytes.
pub(crate) fn largest_message(bodies: &BodyPolicy) -> usize {
    bodies.max_request_bytes.saturating_add(ATTRIBUTES_BYTES)
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
            edge_config,
            limits_cache,
            charge_samples_in,
            distributors,
            ha_tracker,
            ha_tracker_url,
            decode_bodies,
            max_request_bytes,
            max_decoded_bytes,
            max_in_flight_bytes,
            decode_threads,
            unreadable_body,
            allow_empty_overrides,
            drain_delay,
            drain_timeout,
            audit_log,
            log_format,
            log_level,
        } = args;
        if grpc_listen == http_listen && grpc_listen.port() != 0 {
            bail!("--grpc-listen and --http-listen are both {grpc_listen}; give each a port of its own");
        }
        let limits = limits.parse().context("--limits")?;
        let audit_log = audit_log.map(AuditTarget::from);
        let default_limits = DefaultLimitsOptions {
            file: default_limits,
            expand_env: default_limits_expand_env,
            flags: default_limits_flags,
            url: default_limits_url,
            version: mimir_version.clone(),
        };
        refuse_shared_files(&flag_files(&limits, &default_limits, [&edge_config, &limits_cache], audit_log.as_ref()))?;
        let max_request_bytes = body_size("--max-request-bytes", max_request_bytes)?;
        let max_decoded_bytes = body_size("--max-decoded-bytes", max_decoded_bytes)?;
        let bodies = BodyPolicy {
            decode: decode_bodies == DecodeBodies::On,
            max_request_bytes,
            limits: BodyLimits { max_decoded_bytes },
            forward_unreadable: unreadable_body == UnreadableBody::Forward,
        };
        Ok(Self {
            grpc_listen,
            http_listen,
            limits,
            default_limits: default_limits.read()?,
            mimir_version,
            default_limits_given: default_limits.are_given(),
            allow_empty_overrides,
            edge_config,
            limits_cache,
            ha_tracker_url: ha_tracker_address(ha_tracker_url, ha_tracker)?,
            audit_log,
            decode_threads,
            max_in_flight_bytes: in_flight_size(max_in_flight_bytes, &bodies)?,
            policy: Policy {
                bodies,
                charge_items: charge_samples_in == ChargeSamplesIn::Check,
                ha_tracker: ha_tracker == HaTracker::On,
            },
            distributors,
            drain_delay: drain_delay.into(),
            drain_timeout: drain_timeout.into(),
            logs: LogSettings { filter: log_level, format: log_format },
        })
    }
}

/// Those of flags that are given.
fn flag_files<'a>(
    limits: &'a SourceSpec,
    default_limits: &'a DefaultLimitsOptions,
    [edge_config, limits_cache]: [&'a Option<PathBuf>; 2],
    audit_log: Option<&'a AuditTarget>,
) -> Vec<FlagFile<'a>> {
    let audit_log = match audit_log {
        Some(AuditTarget::File(path)) => Some(path.as_path()),
        Some(AuditTarget::StandardOutput) | None => None,
    };
    let files = [
        edge_config.as_deref().map(|path| FlagFile::read("--edge-config", path)),
        limits_cache.as_deref().map(|path| FlagFile::replaced("--limits-cache", path)),
        audit_log.map(|path| FlagFile::appended("--audit-log", path)),
    ];
    let limits = limits.files().map(|path| FlagFile::read("--limits", path));
    let defaults = default_limits.files().into_iter().map(|(flag, path)| FlagFile::read(flag, path));
    limits.chain(files.into_iter().flatten()).chain(defaults).collect()
}

/// The address of the HA tracker that is asked, if there is one.
fn ha_tracker_address(url: Option<String>, state: HaTracker) -> anyhow::Result<Option<HaTrackerUrl>> {
    let Some(url) = url else { return Ok(None) };
    if state == HaTracker::Off {
        bail!(
            "--ha-tracker-url names an HA tracker to ask, and --ha-tracker off says that Mimir runs none; leave out one of them"
        );
    }
    url.parse().map(Some).context("--ha-tracker-url")
}

fn body_size(flag: &str, size: ByteSize) -> anyhow::Result<usize> {
    if size.as_u64() == 0 || size > LARGEST_BODY {
        bail!("{flag} is {size}; it must be between 1 byte and {LARGEST_BODY}, for example 16MiB");
    }
    usize::try_from(size.as_u64()).with_context(|| format!("{flag} is too large for this machine"))
}

/// A tenant's share has to hold the largest message, or no retry would ever get it through.
fn in_flight_size(given: Option<ByteSize>, bodies: &BodyPolicy) -> anyhow::Result<usize> {
    let least = largest_message(bodies).saturating_mul(SHARES);
    let Some(size) = given else { return Ok(least.max(usize::try_from(IN_FLIGHT.as_u64()).unwrap_or(usize::MAX))) };
    let bytes = usize::try_from(size.as_u64()).context("--max-in-flight-bytes is too large for this machine")?;
    if bytes < least {
        bail!(
            "--max-in-flight-bytes is {size}; with --max-request-bytes {} it must be at least {least} bytes: a tenant may have a quarter of it, \
             and that has to hold the largest push",
            bodies.max_request_bytes
        );
    }
    Ok(bytes)
}
