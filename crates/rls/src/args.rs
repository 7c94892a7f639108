//! The command line, as clap parses it. [`crate::Config`] checks it further.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Parser, ValueEnum};
use limits_source::{FeedTlsFiles, LimitsArgs};
use runtime::{ListenAddress, ServerArgs, with_variable};

const EXAMPLES: &str = "\
Examples:
  mimir-rls --limits file:/etc/mimir/runtime.yaml
  mimir-rls --limits file:base.yaml,teams.yaml,https://config.example.com/runtime.yaml
  mimir-rls --limits feed:http://overrides-sync:8083
  mimir-rls --limits feed:https://overrides-sync:8083 --feed-tls-ca ca.crt --feed-tls-cert tls.crt --feed-tls-key tls.key
  mimir-rls --limits file:runtime.yaml --default-limits mimir.yaml --grpc-listen 127.0.0.1:8081
  mimir-rls --limits file:runtime.yaml --edge-config edge.yaml      with `mode: shadow` in edge.yaml: decide and count, deny nothing

Every flag has an environment variable: MIMIR_RLS_ and the flag's name in capitals, for example MIMIR_RLS_LIMITS.

Exit codes: 0 after a drain, 1 if it cannot run, 64 for bad usage.";

/// Decides for Envoy which Prometheus remote-write pushes Mimir would deny, with Mimir's own limits and responses.
#[derive(Clone, Debug, Parser)]
#[command(name = "mimir-rls", version, after_help = EXAMPLES)]
#[command(mut_args(|argument| with_variable("MIMIR_RLS", argument)))]
pub struct Args {
    /// Where Envoy connects: gRPC ext_authz, the rate limit service, health and reflection; HOST:PORT, or unix:PATH for a socket with mode 0660
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub grpc_listen: ListenAddress,

    /// Where the page, /metrics, /live, /ready and the admin API under /api/v1 are served
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:9090")]
    pub http_listen: SocketAddr,

    /// Where the tenants' limits come from: a Mimir runtime config or flat TENANT.FIELD keys. file:PATH[,PATH…] are files, reloaded when one
    /// changes, merged from left to right as Mimir merges those of -runtime-config.file; http://HOST/PATH and https:// are polled every 10 seconds, alone
    /// or among the paths of file:. kube:NAMESPACE/CONFIGMAP[/KEY,KEY…] is a ConfigMap that is watched, by default the key that Mimir mounts
    /// (runtime.yaml or overrides.yaml) and all flat keys; kube:NAMESPACE/LABEL=VALUE[/KEY,KEY…] is the newest ConfigMap with that label.
    /// feed:URL[,URL…] is an overrides-sync, with http:// or https://
    #[arg(long, value_name = "SOURCE")]
    pub limits: String,

    /// Default limits, limits cache and HA tracker.
    #[command(flatten)]
    pub limits_args: LimitsArgs,

    /// TLS of the feed.
    #[command(flatten)]
    pub feed_tls: FeedTlsFiles,

    /// Modes (enforce, shadow, off) and edge-only limits of tenants: a YAML file, reloaded when it changes [default: enforce for all tenants]
    #[arg(long, value_name = "FILE")]
    pub edge_config: Option<PathBuf>,

    /// The tenant of pushes without X-Scope-OrgID, or with an empty one: for a Mimir whose gateway adds this header. The push is decided as this tenant's
    /// and goes on as it came. Not for a Mimir without multi-tenancy: there, replace the header in Envoy [default: none, such a push gets Mimir's 401]
    #[arg(long, value_name = "NAME")]
    pub default_tenant: Option<String>,

    /// Which call charges samples: Check, or the rate limit call of an Envoy that has a ratelimit filter too
    #[arg(long, value_name = "CALL", default_value = "check")]
    pub charge_samples_in: ChargeSamplesIn,

    /// How many distributors Mimir has: each takes the tenant's burst, so the edge lets so many bursts through. A single push may have one
    /// burst. With --limits feed: it applies until overrides-sync has counted them, if it counts them
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub distributors: NonZeroU32,

    /// Whether Mimir runs its HA tracker (-distributor.ha-tracker.enable): if not, accept_ha_samples has no effect there, and has none here
    #[arg(long, value_name = "STATE", default_value = "on")]
    pub ha_tracker: HaTracker,

    /// Bodies of pushes.
    #[command(flatten)]
    pub bodies: BodyArgs,

    /// The most bytes of pushes that are read at once, a quarter of them for one tenant; what comes beyond gets 503 with Retry-After
    /// [default: 256MiB, or 4 times the largest message if that is more]
    #[arg(long, value_name = "SIZE")]
    pub max_in_flight_bytes: Option<ByteSize>,

    /// How many bodies of one tenant are decoded at once where one takes long; one more thread decodes for the others [default: the number of cores]
    #[arg(long, value_name = "COUNT")]
    pub decode_threads: Option<NonZeroUsize>,

    /// Where denials are written as JSON lines: a file, which may be rotated by renaming it, or - for standard output [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,

    /// The HTTP sides of all mimir-rls, which the page asks: URLs, all addresses of whose names are asked, such as http://mimir-rls:9090
    /// [default: the page shows this process alone]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub peers: Vec<String>,

    /// Drain and logs.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Bodies of pushes: whether they are decoded, and what becomes of those that are too large or not readable.
#[derive(Clone, Debug, clap::Args)]
pub struct BodyArgs {
    /// Whether bodies of pushes are decoded. With off, only the request rate and the size as sent are limited, as where Envoy does not send bodies
    #[arg(long, value_name = "STATE", default_value = "on")]
    pub decode_bodies: DecodeBodies,

    /// The largest push that is decoded, as sent (compressed); a larger one gets 413. At least Envoy's max_request_bytes
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub max_request_bytes: ByteSize,

    /// The largest push that is decoded, decompressed: Mimir's -distributor.max-recv-msg-size
    #[arg(long, value_name = "SIZE", default_value = "100MiB")]
    pub max_decoded_bytes: ByteSize,

    /// What to do with a push that is not readable remote write: deny it with 400 as Mimir does, or forward it uncharged
    #[arg(long, value_name = "POLICY", default_value = "refuse")]
    pub unreadable_body: UnreadableBody,
}

/// The call that charges samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChargeSamplesIn {
    /// Check charges requests and samples; Envoy has no ratelimit filter.
    Check,
    /// Check charges requests, and its response has the charge for Envoy's ratelimit filter.
    RateLimit,
}

/// Mimir's HA tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HaTracker {
    /// Pushes of a tenant with `accept_ha_samples` are deduplicated, and charged as Mimir elects.
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
    /// To Mimir, uncharged and counted: such bodies bypass the ingestion limit.
    Forward,
}
