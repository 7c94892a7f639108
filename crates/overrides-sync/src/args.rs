//! The command line, as clap parses it. [`crate::Config`] checks it further.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use limits_source::LimitsArgs;
use runtime::{ListenAddress, ServerArgs, with_variable};

const EXAMPLES: &str = "\
Examples:
  overrides-sync --limits kube:mimir/mimir-runtime
  overrides-sync --limits kube:mimir/mimir-runtime --distributor-service mimir/mimir-distributor-headless --ha-tracker-url http://mimir-distributor.mimir:8080
  overrides-sync --limits kube:mimir/app.kubernetes.io/component=runtime/base.yaml,teams.yaml
  overrides-sync --limits file:runtime.yaml --grpc-listen 127.0.0.1:8083      without Kubernetes
  mimir-rls --limits feed:http://overrides-sync:8083                          a client of the feed

Every flag has an environment variable: OVERRIDES_SYNC_ and the flag's name in capitals, for example OVERRIDES_SYNC_LIMITS.

Exit codes: 0 after a drain, 1 if it cannot run, 64 for bad usage.";

/// Watches Mimir's overrides and serves them, and each change, to every mimir-rls.
#[derive(Clone, Debug, Parser)]
#[command(name = "overrides-sync", version, after_help = EXAMPLES)]
#[command(mut_args(|argument| with_variable("OVERRIDES_SYNC", argument)))]
pub struct Args {
    /// Where mimir-rls gets limits from: the gRPC feed, health and reflection; HOST:PORT, or unix:PATH for a socket with mode 0660
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8083")]
    pub grpc_listen: ListenAddress,

    /// Where the page, /metrics, /live, /ready and the API under /api/v1 are served
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:9091")]
    pub http_listen: SocketAddr,

    /// Where the tenants' limits come from: a Mimir runtime config or flat TENANT.FIELD keys. kube:NAMESPACE/CONFIGMAP[/KEY,KEY…] is a ConfigMap that is
    /// watched with KUBECONFIG or else the pod's service account: these keys, merged from left to right as Mimir merges files, or by default the key that
    /// Mimir mounts (runtime.yaml or overrides.yaml) and all flat keys; kube:NAMESPACE/LABEL=VALUE[/KEY,KEY…] is the newest ConfigMap with that
    /// label. file:PATH[,PATH…] are files, reloaded when one changes; http://HOST/PATH and https:// are polled every 10 seconds, alone or among
    /// the paths of file:
    #[arg(long, value_name = "SOURCE")]
    pub limits: String,

    /// Default limits, limits cache and HA tracker.
    #[command(flatten)]
    pub limits_args: LimitsArgs,

    /// The Service whose ready endpoints are Mimir's distributors; the feed carries their number [default: not counted]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub distributor_service: Option<String>,

    /// Whether each problem of the ConfigMap becomes a Kubernetes Event on it, for kubectl describe
    /// [default: on with --limits kube:, off otherwise]
    #[arg(long, value_name = "STATE")]
    pub events: Option<Events>,

    /// Where the validating webhook for the ConfigMap is served over TLS; needs --webhook-tls-cert and --webhook-tls-key [default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    pub webhook_listen: Option<SocketAddr>,

    /// The webhook's certificate and the intermediate certificates, as PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE")]
    pub webhook_tls_cert: Option<PathBuf>,

    /// The private key of the webhook's certificate, as PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE")]
    pub webhook_tls_key: Option<PathBuf>,

    /// Drain and logs.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Whether problems become Kubernetes Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Events {
    /// Each problem becomes an Event.
    On,
    /// Problems are only in metrics, logs and `/api/v1/problems`.
    Off,
}
