//! The command line, as clap reads it. Nothing here is checked beyond its syntax; [`crate::Config`] does that.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use limits::MimirVersion;
use runtime::{LogFilter, LogFormat};

const EXAMPLES: &str = "\
Examples:
  overrides-sync --limits kube:mimir/mimir-runtime
  overrides-sync --limits kube:mimir/mimir-runtime --distributor-service mimir/mimir-distributor-headless --ha-tracker-url http://mimir-distributor.mimir:8080
  overrides-sync --limits kube:mimir/app.kubernetes.io/component=runtime/base.yaml,teams.yaml
  overrides-sync --limits file:runtime.yaml --grpc-listen 127.0.0.1:8083      without Kubernetes
  mimir-rls --limits feed:http://overrides-sync:8083                          what then reads the feed

Every flag can be given as an environment variable too: OVERRIDES_SYNC_ and the flag's name in capitals, for example OVERRIDES_SYNC_LIMITS.

Exit codes: 0 after a drain, 1 when it cannot run, 64 for bad usage.";

/// Watches Mimir's overrides and serves them, and what changes in them, to every mimir-rls.
#[derive(Clone, Debug, Parser)]
#[command(name = "overrides-sync", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where mimir-rls pulls limits from: the gRPC feed, health and reflection
    #[arg(long, env = "OVERRIDES_SYNC_GRPC_LISTEN", value_name = "HOST:PORT", default_value = "0.0.0.0:8083")]
    pub grpc_listen: SocketAddr,

    /// Where /metrics, /live, /ready and /api/v1/problems are served
    #[arg(long, env = "OVERRIDES_SYNC_HTTP_LISTEN", value_name = "HOST:PORT", default_value = "0.0.0.0:9091")]
    pub http_listen: SocketAddr,

    /// Where the tenants' limits come from: a Mimir runtime config or flat TENANT.FIELD keys. kube:NAMESPACE/CONFIGMAP[/KEY,KEY…] is watched with
    /// KUBECONFIG or else the pod's own service account: these keys, merged from left to right as Mimir merges files, or by default the one that
    /// Mimir mounts (runtime.yaml or overrides.yaml) and all flat keys; kube:NAMESPACE/LABEL=VALUE[/KEY,KEY…] is the newest ConfigMap with that
    /// label. file:PATH[,PATH…] are files, read again when one changes; http://HOST/PATH and https:// are asked every 10 seconds, alone or among
    /// the paths of file:
    #[arg(long, env = "OVERRIDES_SYNC_LIMITS", value_name = "SOURCE")]
    pub limits: String,

    /// Mimir's own limits of tenants without an override, by which Mimir judges whether an override is valid: a file with a `limits:` block, or a
    /// whole Mimir config file. Clients have defaults of their own [default: Mimir's built-in limits]
    #[arg(long, env = "OVERRIDES_SYNC_DEFAULT_LIMITS", value_name = "FILE")]
    pub default_limits: Option<PathBuf>,

    /// Replace $NAME, ${NAME} and ${NAME:default} in the file of --default-limits by environment variables, as a Mimir with
    /// -config.expand-env=true does; give this program the variables that Mimir has. Off by default as in Mimir, since it would empty the $1 of relabelling rules
    #[arg(long, env = "OVERRIDES_SYNC_DEFAULT_LIMITS_EXPAND_ENV")]
    pub default_limits_expand_env: bool,

    /// Mimir's command line, where it sets limits by flags such as "-distributor.ingestion-rate-limit=500000"; over --default-limits, as in
    /// Mimir, and flags of anything else are passed over. @FILE: arguments in a file, one or more a line [default: none]
    #[arg(long, env = "OVERRIDES_SYNC_DEFAULT_LIMITS_FLAGS", value_name = "FLAGS", allow_hyphen_values = true)]
    pub default_limits_flags: Option<String>,

    /// A running Mimir that shows its configuration, instead of file and flags: http://MIMIR:8080, asked at the start and for up to 30 seconds;
    /// without a path, /config [default: not asked]
    #[arg(long, env = "OVERRIDES_SYNC_DEFAULT_LIMITS_URL", value_name = "URL")]
    pub default_limits_url: Option<String>,

    /// The version of your Mimir, such as 3.1. Of 3.1 every field is known, and a document with another one is refused as Mimir refuses it; of any
    /// other version such a field is passed over with a problem
    #[arg(long, env = "OVERRIDES_SYNC_MIMIR_VERSION", value_name = "X.Y", default_value_t = MimirVersion::KNOWN)]
    pub mimir_version: MimirVersion,

    /// Where the last good limits are kept, so that a restart without their source serves them
    #[arg(long, env = "OVERRIDES_SYNC_LIMITS_CACHE", value_name = "FILE")]
    pub limits_cache: Option<PathBuf>,

    /// Take a limits document at its word when it suddenly names no tenant at all, instead of keeping the last good limits
    #[arg(long, env = "OVERRIDES_SYNC_ALLOW_EMPTY_OVERRIDES")]
    pub allow_empty_overrides: bool,

    /// A distributor of Mimir that is asked every 5 seconds which replicas its HA tracker has elected, such as http://mimir-distributor:8080;
    /// without a path, /distributor/ha_tracker [default: not asked]
    #[arg(long, env = "OVERRIDES_SYNC_HA_TRACKER_URL", value_name = "URL")]
    pub ha_tracker_url: Option<String>,

    /// The Service whose ready endpoints are Mimir's distributors; clients are told how many there are [default: not counted]
    #[arg(long, env = "OVERRIDES_SYNC_DISTRIBUTOR_SERVICE", value_name = "NAMESPACE/NAME")]
    pub distributor_service: Option<String>,

    /// Whether each problem of the ConfigMap is told as a Kubernetes Event on it, for kubectl describe
    /// [default: on with --limits kube:, off otherwise]
    #[arg(long, env = "OVERRIDES_SYNC_EVENTS", value_name = "STATE")]
    pub events: Option<Events>,

    /// Where the API server asks, over TLS, whether a changed ConfigMap is good; needs --webhook-tls-cert and --webhook-tls-key
    /// [default: nowhere]
    #[arg(long, env = "OVERRIDES_SYNC_WEBHOOK_LISTEN", value_name = "HOST:PORT")]
    pub webhook_listen: Option<SocketAddr>,

    /// The webhook's certificate and those between it and its authority, as PEM; read again when the file changes
    #[arg(long, env = "OVERRIDES_SYNC_WEBHOOK_TLS_CERT", value_name = "FILE")]
    pub webhook_tls_cert: Option<PathBuf>,

    /// The private key of the webhook's certificate, as PEM; read again when the file changes
    #[arg(long, env = "OVERRIDES_SYNC_WEBHOOK_TLS_KEY", value_name = "FILE")]
    pub webhook_tls_key: Option<PathBuf>,

    /// How long to go on serving after SIGTERM, already unhealthy, so that clients find another server first
    #[arg(long, env = "OVERRIDES_SYNC_DRAIN_DELAY", value_name = "DURATION", default_value = "0s")]
    pub drain_delay: humantime::Duration,

    /// How long clients may take after that to read what they are being sent
    #[arg(long, env = "OVERRIDES_SYNC_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s")]
    pub drain_timeout: humantime::Duration,

    /// How log lines are written to standard error: text, or json with one object a line
    #[arg(long, env = "OVERRIDES_SYNC_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// error, warn, info, debug, trace or off, or a filter such as info,overrides_sync=debug
    #[arg(long, env = "OVERRIDES_SYNC_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogFilter,
}

/// Whether problems are told as Kubernetes Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Events {
    /// Each problem becomes an Event.
    On,
    /// Problems are told by metrics, logs and `/api/v1/problems` alone.
    Off,
}
