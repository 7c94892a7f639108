//! The settings of the server: the checked arguments. Any [`Config`] can be run.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use bytesize::ByteSize;
use edge::{AuditTarget, BodyPolicy, Policy, SHARES};
use limits::{MimirVersion, Tenant};
use limits_source::{DefaultLimitsSource, LimitsArgs, MimirUrl, SourceSpec, parse_http_url};
use remote_write::BodyLimits;
use runtime::{FlagFile, ListenAddress, ServerArgs, reject_shared_addresses, reject_shared_files};

use crate::Args;
use crate::admin::Peers;
use crate::args::{BodyArgs, ChargeSamplesIn, DecodeBodies, HaTracker, UnreadableBody};
use crate::traces::TraceSettings;

/// The most that the two body limits may be: lengths on the wire have 32 bits.
const LARGEST_BODY: ByteSize = ByteSize::gib(2);

/// Room for everything in a `CheckRequest` that is not the body. Envoy's own limit on a request's headers is 60 KiB.
const ATTRIBUTES_BYTES: usize = 1 << 20;
/// The default of `--max-in-flight-bytes`, unless the largest message needs more.
const IN_FLIGHT: ByteSize = ByteSize::mib(256);

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
    /// Whether flags give the default limits.
    pub(crate) default_limits_given: bool,
    pub(crate) allow_empty_overrides: bool,
    pub(crate) edge_config: Option<PathBuf>,
    /// The tenant of pushes without one.
    pub(crate) default_tenant: Option<Bytes>,
    pub(crate) limits_cache: Option<PathBuf>,
    pub(crate) policy: Policy,
    /// The number of Mimir's distributors, until they are counted.
    pub(crate) distributors: NonZeroU32,
    /// Where the HA tracker of Mimir is polled.
    pub(crate) ha_tracker_url: Option<MimirUrl>,
    pub(crate) audit_log: Option<AuditTarget>,
    /// The most bytes of messages in memory at once; room for [`SHARES`] of the largest.
    pub(crate) max_in_flight_bytes: usize,
    /// None: as many as there are cores.
    pub(crate) decode_threads: Option<NonZeroUsize>,
    /// None: no spans are made.
    pub(crate) traces: Option<TraceSettings>,
    pub(crate) peers: Peers,
    /// Drain and logs.
    pub server: ServerArgs,
}

/// The largest message that carries a body of the largest size, in bytes.
pub(crate) fn largest_message(bodies: &BodyPolicy) -> usize {
    bodies.max_request_bytes.saturating_add(ATTRIBUTES_BYTES)
}

impl TryFrom<Args> for Config {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        let mut limits: SourceSpec = args.limits.parse().context("--limits")?;
        let audit_log = args.audit_log.clone().map(AuditTarget::from);
        reject_shared_files(&flag_files(&args, &limits, audit_log.as_ref()))?;
        let Args {
            grpc_listen,
            http_listen,
            limits: limits_text,
            limits_args:
                LimitsArgs { default_limits, mimir_version, limits_cache, allow_empty_overrides, ha_tracker_url },
            feed_tls,
            edge_config,
            default_tenant,
            charge_samples_in,
            distributors,
            ha_tracker,
            bodies,
            max_in_flight_bytes,
            decode_threads,
            audit_log: _,
            peers,
            server,
        } = args;
        reject_shared_addresses(&[("--grpc-listen", grpc_listen.tcp()), ("--http-listen", Some(http_listen))])?;
        limits.use_feed_tls(feed_tls)?;
        server.check()?;
        let bodies = body_policy(bodies)?;
        Ok(Self {
            grpc_listen,
            http_listen,
            limits,
            limits_text,
            default_limits: default_limits.read(&mimir_version)?,
            default_limits_given: default_limits.are_given(),
            mimir_version,
            allow_empty_overrides,
            edge_config,
            default_tenant: default_tenant_of(default_tenant, charge_samples_in)?,
            limits_cache,
            ha_tracker_url: ha_tracker_address(ha_tracker_url, ha_tracker)?,
            audit_log,
            decode_threads,
            peers: peers_at(&peers)?,
            max_in_flight_bytes: in_flight_size(max_in_flight_bytes, &bodies)?,
            policy: policy(bodies, charge_samples_in, ha_tracker),
            distributors,
            traces: TraceSettings::from_environment()?,
            server,
        })
    }
}

fn policy(bodies: BodyPolicy, charge_samples_in: ChargeSamplesIn, ha_tracker: HaTracker) -> Policy {
    let charge_items = charge_samples_in == ChargeSamplesIn::Check;
    Policy { bodies, charge_items, ha_tracker: ha_tracker == HaTracker::On }
}

/// The default tenant, if any.
fn default_tenant_of(tenant: Option<String>, charge: ChargeSamplesIn) -> anyhow::Result<Option<Bytes>> {
    let Some(tenant) = tenant else { return Ok(None) };
    if charge == ChargeSamplesIn::RateLimit {
        bail!(
            "--default-tenant needs --charge-samples-in check: Envoy makes no rate limit call for a push without a tenant"
        );
    }
    match Tenant::parse(Some(tenant.as_bytes())) {
        Ok(parsed) if parsed.limits_key() == tenant => Ok(Some(tenant.into())),
        Ok(_) => bail!("--default-tenant is {tenant:?}; give one tenant"),
        Err(error) => bail!("--default-tenant is {tenant:?}: {error}"),
    }
}

/// The files that flags name.
fn flag_files<'a>(args: &'a Args, limits: &'a SourceSpec, audit_log: Option<&'a AuditTarget>) -> Vec<FlagFile<'a>> {
    let LimitsArgs { default_limits, limits_cache, .. } = &args.limits_args;
    let audit_log = match audit_log {
        Some(AuditTarget::File(path)) => Some(path.as_path()),
        Some(AuditTarget::StandardOutput) | None => None,
    };
    let files = [
        args.edge_config.as_deref().map(|path| FlagFile::read("--edge-config", path)),
        limits_cache.as_deref().map(|path| FlagFile::replaced("--limits-cache", path)),
        audit_log.map(|path| FlagFile::appended("--audit-log", path)),
        args.grpc_listen.socket_path().map(|path| FlagFile::replaced("--grpc-listen", path)),
    ];
    let limits = limits.files().map(|path| FlagFile::read("--limits", path));
    let defaults = default_limits.files().into_iter().map(|(flag, path)| FlagFile::read(flag, path));
    let feed_tls = args.feed_tls.files().map(|(flag, path)| FlagFile::read(flag, path));
    let files = limits.chain(files.into_iter().flatten()).chain(defaults);
    files.chain(args.server.files()).chain(feed_tls).collect()
}

/// The address of the HA tracker that is polled, if any.
fn ha_tracker_address(url: Option<String>, state: HaTracker) -> anyhow::Result<Option<MimirUrl>> {
    let Some(url) = url else { return Ok(None) };
    if state == HaTracker::Off {
        bail!(
            "--ha-tracker-url names an HA tracker to poll, and --ha-tracker off says that Mimir runs none; leave out one of them"
        );
    }
    MimirUrl::of_ha_tracker(&url).map(Some).context("--ha-tracker-url")
}

/// The replicas at these URLs.
fn peers_at(urls: &[String]) -> anyhow::Result<Peers> {
    let parse = |text: &String| {
        let url = parse_http_url(text);
        url.map_err(|_| anyhow!("--peers is {text:?}; write http://HOST:PORT, for example http://mimir-rls:9090"))
    };
    let urls: Vec<_> = urls.iter().map(parse).collect::<anyhow::Result<_>>()?;
    Peers::new(&urls).context("--peers")
}

fn body_policy(args: BodyArgs) -> anyhow::Result<BodyPolicy> {
    let BodyArgs { decode_bodies, max_request_bytes, max_decoded_bytes, unreadable_body } = args;
    Ok(BodyPolicy {
        decode: decode_bodies == DecodeBodies::On,
        max_request_bytes: body_size("--max-request-bytes", max_request_bytes)?,
        limits: BodyLimits { max_decoded_bytes: body_size("--max-decoded-bytes", max_decoded_bytes)? },
        forward_unreadable: unreadable_body == UnreadableBody::Forward,
    })
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
