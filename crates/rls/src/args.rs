//! The command line, as clap reads it. Nothing here is checked beyond its syntax; [`crate::Config`] does that.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Parser, ValueEnum};
use limits::MimirVersion;
use runtime::{LogFilter, LogFormat};

const EXAMPLES: &str = "\
Examples:
  mimir-rls --limits file:/etc/mimir/runtime.yaml
  mimir-rls --limits file:base.yaml,teams.yaml,https://config.example.com/runtime.yaml
  mimir-rls --limits feed:http://overrides-sync:8083
  mimir-rls --limits file:runtime.yaml --default-limits mimir.yaml --grpc-listen 127.0.0.1:8081
  mimir-rls --limits file:runtime.yaml --edge-config edge.yaml      with `mode: shadow` in edge.yaml: decide and count, refuse nothing

Every flag can be given as an environment variable too: MIMIR_RLS_ and the flag's name in capitals, for example MIMIR_RLS_LIMITS.

Exit codes: 0 after a drain, 1 when it cannot run, 64 for bad usage.";

/// Decides for Envoy which Prometheus remote-write pushes Mimir would refuse, with Mimir's own limits and Mimir's own answers.
#[derive(Clone, Debug, Parser)]
#[command(name = "mimir-rls", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where Envoy asks: gRPC ext_authz, the rate limit service, health and reflection
    #[arg(long, env = "MIMIR_RLS_GRPC_LISTEN", value_name = "HOST:PORT", default_value = "0.0.0.0:8081")]
    pub grpc_listen: SocketAddr,

    /// Where /metrics, /live, /ready and the admin API under /api/v1 are served
    #[arg(long, env = "MIMIR_RLS_HTTP_LISTEN", value_name = "HOST:PORT", default_value = "0.0.0.0:9090")]
    pub http_listen: SocketAddr,

    /// Where the tenants' limits come from: a Mimir runtime config or flat TENANT.FIELD keys. file:PATH[,PATH…] are files, read again when one
    /// changes, merged from left to right as Mimir merges those of -runtime-config.file; http://HOST/PATH and https:// are asked every 10 seconds, alone
    /// or among the paths of file:. kube:NAMESPACE/CONFIGMAP[/KEY,KEY…] is a ConfigMap that is watched, by default the key that Mimir mounts
    /// (runtime.yaml or overrides.yaml) and all flat keys; kube:NAMESPACE/LABEL=VALUE[/KEY,KEY…] is the newest ConfigMap with that label.
    /// feed:URL[,URL…] is an overrides-sync
    #[arg(long, env = "MIMIR_RLS_LIMITS", value_name = "SOURCE")]
    pub limits: String,

    /// The limits of tenants without an override: a file with a `limits:` block, or a whole Mimir config file [default: Mimir's built-in limits]
    #[arg(long, env = "MIMIR_RLS_DEFAULT_LIMITS", value_name = "FILE")]
    pub default_limits: Option<PathBuf>,

    /// Replace $NAME, ${NAME} and ${NAME:default} in the file of --default-limits by environment variables, as a Mimir with
    /// -config.expand-env=true does; give this program the variables that Mimir has. Off by default as in Mimir, since it would empty the $1 of relabelling rules
    #[arg(long, env = "MIMIR_RLS_DEFAULT_LIMITS_EXPAND_ENV")]
    pub default_limits_expand_env: bool,

    /// Mimir's command line, where it sets limits by flags such as "-distributor.ingestion-rate-limit=500000"; over --default-limits, as in
    /// Mimir, and flags of anything else are passed over. @FILE: arguments in a file, one or more a line [default: none]
    #[arg(long, env = "MIMIR_RLS_DEFAULT_LIMITS_FLAGS", value_name = "FLAGS", allow_hyphen_values = true)]
    pub default_limits_flags: Option<String>,

    /// A running Mimir that shows its configuration, instead of file and flags: http://MIMIR:8080, asked at the start and for up to 30 seconds;
    /// without a path, /config [default: not asked]
    #[arg(long, env = "MIMIR_RLS_DEFAULT_LIMITS_URL", value_name = "URL")]
    pub default_limits_url: Option<String>,

    /// The version of your Mimir, such as 3.1. Of 3.1 every field is known, and a document with another one is refused as Mimir refuses it; of any
    /// other version such a field is passed over with a problem
    #[arg(long, env = "MIMIR_RLS_MIMIR_VERSION", value_name = "X.Y", default_value_t = MimirVersion::KNOWN)]
    pub mimir_version: MimirVersion,

    /// Modes (enforce, shadow, off) and edge-only limits of tenants: a YAML file, read again when it changes [default: enforce for everybody]
    #[arg(long, env = "MIMIR_RLS_EDGE_CONFIG", value_name = "FILE")]
    pub edge_config: Option<PathBuf>,

    /// Where the last good limits are kept, so that a restart without their source decides by them
    #[arg(long, env = "MIMIR_RLS_LIMITS_CACHE", value_name = "FILE")]
    pub limits_cache: Option<PathBuf>,

    /// Which call charges samples: Check, or the rate limit call of an Envoy that has a ratelimit filter too
    #[arg(long, env = "MIMIR_RLS_CHARGE_SAMPLES_IN", value_name = "CALL", default_value = "check")]
    pub charge_samples_in: ChargeSamplesIn,

    /// How many distributors Mimir has: each takes the tenant's burst, so the edge lets so many bursts through. A single push may have one
    /// burst. With --limits feed: it holds until overrides-sync has counted them, if it is told to
    #[arg(long, env = "MIMIR_RLS_DISTRIBUTORS", value_name = "COUNT", default_value = "1")]
    pub distributors: NonZeroU32,

    /// Whether Mimir runs its HA tracker (-distributor.ha-tracker.enable): if not, accept_ha_samples has no effect there, and has none here
    #[arg(long, env = "MIMIR_RLS_HA_TRACKER", value_name = "STATE", default_value = "on")]
    pub ha_tracker: HaTracker,

    /// A distributor of Mimir that is asked every 5 seconds which replicas its HA tracker has elected, such as http://mimir-distributor:8080;
    /// without a path, /distributor/ha_tracker [default: not asked]
    #[arg(long, env = "MIMIR_RLS_HA_TRACKER_URL", value_name = "URL")]
    pub ha_tracker_url: Option<String>,

    /// Whether bodies of pushes are decoded. With off, only the request rate and the size as sent are limited, as where Envoy does not send bodies
    #[arg(long, env = "MIMIR_RLS_DECODE_BODIES", value_name = "STATE", default_value = "on")]
    pub decode_bodies: DecodeBodies,

    /// The largest push that is read, as sent (compressed); a larger one gets 413. At least Envoy's max_request_bytes
    #[arg(long, env = "MIMIR_RLS_MAX_REQUEST_BYTES", value_name = "SIZE", default_value = "16MiB")]
    pub max_request_bytes: ByteSize,

    /// The largest push that is read, decompressed: Mimir's -distributor.max-recv-msg-size
    #[arg(long, env = "MIMIR_RLS_MAX_DECODED_BYTES", value_name = "SIZE", default_value = "100MiB")]
    pub max_decoded_bytes: ByteSize,

    /// The most bytes of pushes that are read at once, a quarter of them for one tenant; what comes beyond gets 503 with Retry-After
    /// [default: 256MiB, or 4 times the largest message if that is more]
    #[arg(long, env = "MIMIR_RLS_MAX_IN_FLIGHT_BYTES", value_name = "SIZE")]
    pub max_in_flight_bytes: Option<ByteSize>,

    /// How many bodies of one tenant are decoded at once where one takes long; one more thread decodes for the others [default: the number of cores]
    #[arg(long, env = "MIMIR_RLS_DECODE_THREADS", value_name = "COUNT")]
    pub decode_threads: Option<NonZeroUsize>,

    /// What to do with a push that is not readable remote write: refuse it with 400 as Mimir does, or forward it uncharged
    #[arg(long, env = "MIMIR_RLS_UNREADABLE_BODY", value_name = "POLICY", default_value = "refuse")]
    pub unreadable_body: UnreadableBody,

    /// Take a limits document at its word when it suddenly names no tenant at all, instead of keeping the last good limits
    #[arg(long, env = "MIMIR_RLS_ALLOW_EMPTY_OVERRIDES")]
    pub allow_empty_overrides: bool,

    /// How long to go on accepting after SIGTERM, already unhealthy, so that Envoy stops sending first
    #[arg(long, env = "MIMIR_RLS_DRAIN_DELAY", value_name = "DURATION", default_value = "0s")]
    pub drain_delay: humantime::Duration,

    /// How long calls in flight may take to finish after that
    #[arg(long, env = "MIMIR_RLS_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s")]
    pub drain_timeout: humantime::Duration,

    /// Where refusals are written as JSON lines: a file, which may be rotated by renaming it, or - for standard output [default: nowhere]
    #[arg(long, env = "MIMIR_RLS_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// How log lines are written to standard error: text, or json with one object a line
    #[arg(long, env = "MIMIR_RLS_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// error, warn, info, debug, trace or off, or a filter such as info,rls=debug; PUT /api/v1/log-level changes it at run time
    #[arg(long, env = "MIMIR_RLS_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogFilter,
}

/// The call that charges samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChargeSamplesIn {
    /// Check charges requests and samples; Envoy has no ratelimit filter.
    Check,
    /// Check charges requests and tells Envoy's ratelimit filter what to charge.
    RateLimit,
}

/// Mimir's HA tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HaTracker {
    /// Pushes of a tenant with `accept_ha_samples` are deduplicated, so what they cost is Mimir's to say.
    On,
    /// `accept_ha_samples` has no effect.
    Off,
}

/// Whether bodies are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DecodeBodies {
    /// Pushes are charged for what they hold.
    On,
    /// Only their size is limited, and pushes are charged as requests alone.
    Off,
}

/// What happens to a body that is not readable remote write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnreadableBody {
    /// 400 with Mimir's text.
    Refuse,
    /// To Mimir, uncharged and counted: whoever sends such bodies passes the ingestion limit.
    Forward,
}
