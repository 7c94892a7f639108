//! The harness of the end-to-end tests: the real mimir-rls, Envoy, NGINX, HAProxy, Mimir, Prometheus and Kubernetes API on
//! loopback, and an upstream that keeps the requests that reach it.
//!
//! Everything a test starts belongs to a value that it holds, and is gone when that value is dropped; if the test failed, the drop shows the
//! program's log first. A harness that cannot do its part panics: a missing program is a failure, not a test that is skipped. Nothing here
//! sleeps: what takes time is polled with a deadline ([`until`]), and time alone passes only where it is what is tested ([`let_time_pass`]).

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test's harness fails by panicking, so that drops show the logs of the programs"
)]

mod alertmanager;
mod authority;
mod cluster;
mod dns;
mod edge;
mod envoy;
mod etcd;
mod faulty_upstream;
mod front_proxy;
mod haproxy;
mod helm;
mod http1;
mod http2;
mod http_side;
mod kube_apiserver;
mod kubectl;
mod load;
mod metrics;
mod mimir;
mod mimir_rls;
mod mounted_folder;
mod nginx;
mod open_loop;
mod output;
mod overrides_sync;
mod ports;
mod process;
mod programs;
mod prometheus;
mod promql;
mod push;
mod rate_limit;
mod recorded;
mod relabelling;
mod relay;
mod report;
mod run_bodies;
mod secrets;
mod secured_edge;
mod server;
mod tls_client;
mod trace_receiver;
mod upstream;
mod wait;
mod watched_file;

pub use alertmanager::Alertmanager;
pub use authority::{Authority, Identity};
pub use cluster::{CONFIG_MAP, Cluster};
pub use dns::{DnsAnswer, DnsServer};
pub use edge::{Edge, EdgeBuilder};
pub use envoy::{Envoy, EnvoySettings, MIMIR_NAME, RLS_NAME};
pub use faulty_upstream::{Behaviour, FaultyUpstream};
pub use front_proxy::{
    AnsweredPush, ENVOY_NAME, ENVOY_PODS_NAME, PUSH_ID, ProxyBackends, ProxyClient, ProxyLoad, ProxySplit, ProxyTally,
    check_without_rls, pushes_to_compare, response_through,
};
pub use haproxy::Haproxy;
pub use helm::{envoy_bootstrap, helm, helm_at, helm_template};
pub use http_side::Https;
pub use http1::{Connection, Headers, Request, Response, TlsConnection, connect_from, send};
pub use http2::{Http2Bytes, StreamEnd, read_stream_end, read_to_end_of_streams};
pub use kube_apiserver::{ADMIN, Api, KubeApiServer, Token};
pub use kubectl::Kubectl;
pub use load::{Load, Pace, Tally, abandon, exchange, push_paced};
pub use metrics::metric;
pub use mimir::Mimir;
pub use mimir_rls::{Disk, MimirRls};
pub use mounted_folder::MountedFolder;
pub use nginx::Nginx;
pub use open_loop::{OpenLoop, PushOutcome, Sender, compare_with};
pub use output::Output;
pub use overrides_sync::OverridesSync;
pub use ports::free_port;
pub use process::{Process, Signal};
pub use programs::{built, repository, tool};
pub use prometheus::{Prometheus, RemoteWrite, Target};
pub use promql::{SampleTimes, query};
pub use push::{Body, noisy, push_request, samples, series};
pub use rate_limit::RateLimitCaller;
pub use recorded::{recorded_limits, recorded_limits_file, replay_recorded, replay_recorded_quickly};
pub use relabelling::{default_batch, relabelling_limits};
pub use relay::Relay;
pub use report::report;
pub use run_bodies::{RunBody, push_of_1970, run_bodies};
pub use secrets::{Program, Secrets};
pub use secured_edge::SecuredEdge;
pub use tls_client::TlsClient;
pub use trace_receiver::TraceReceiver;
pub use upstream::{Upstream, UpstreamRequest};
pub use wait::{let_time_pass, throughout, until, until_some, until_within, wait_until};
pub use watched_file::WatchedFile;
