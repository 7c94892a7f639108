//! The gRPC side: the ext_authz service and the health service that follows the readiness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use edge::{BodyPolicy, Budget, ControlHandle, Recorder};
use proto::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use runtime::{Readiness, bounded_connections, health_service, listen, reflection_service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower::Layer;

use super::calls::Calls;
use crate::admission::{Admission, Admitted, DenyCheck, DenyRateLimit, LONGEST, LargestMessage};
use crate::config::largest_message;
use crate::envoy::{CheckService, RateLimits};
use crate::metrics::Metrics;

/// Connections at once. Each worker of each Envoy has one, or a few under load.
const CONNECTIONS: usize = 1000;
/// A large body crosses in few round trips, and several must stall before others on the connection do.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What a connection can hold that is not reserved yet. At a round trip of 1 ms it still lets 4 GB/s through.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Calls at once on a connection: twice what our Envoy opens on one before it turns to another (ops/envoy). A call that is refused for this
/// ends in an error, which an Envoy that fails open takes for "allow".
const CONCURRENT_CALLS: u32 = 2048;
/// Room for the headers of a call, which repeat the tenant's: four times what an Envoy takes from a client by default, since what does not fit
/// ends in an error. More would let a peer hold much with few bytes: headers are sent compressed.
const HEADER_LIST_BYTES: u32 = 256 << 10;
/// A client that resets its requests makes Envoy reset its calls, and an Envoy whose calls time out while this process is frozen resets them
/// all. At h2's own bound of 20 not yet accepted ones the connection that all tenants share would be closed; Envoy keeps its calls in flight far
/// below this one.
const PENDING_RESETS: usize = 1 << 16;
/// Resets that frames for calls long over cause. h2 counts them over the whole life of a connection and then closes it, and a frozen and
/// resumed server has many at once: no bound.
const LOCAL_ERROR_RESETS: Option<usize> = None;
/// A peer that is gone without a word loses its connection after interval and timeout. Both are longer than a process is usually frozen.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// For calls that come without a timeout or never finish sending; Envoy's own is 5 s.
const CALL_TIMEOUT: Duration = LONGEST;
/// A rate limit question repeats the tenant's header once or twice.
const DESCRIPTORS_BYTES: usize = 256 << 10;

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 3] = ["", "envoy.service.auth.v3.Authorization", "envoy.service.ratelimit.v3.RateLimitService"];

/// What Envoy asks, and what admits its calls.
pub(super) struct Services {
    pub(super) check: CheckService,
    pub(super) rate_limits: RateLimits,
    pub(super) budget: Arc<Budget>,
    pub(super) bodies: BodyPolicy,
    pub(super) control: ControlHandle,
    pub(super) recorder: Recorder,
}

pub(super) struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    authorization: Admitted<AuthorizationServer<CheckService>, DenyCheck>,
    rate_limits: Admitted<RateLimitServiceServer<RateLimits>, DenyRateLimit>,
    calls: Calls,
    metrics: Metrics,
}

impl GrpcServer {
    /// Binds `address`.
    pub(super) async fn bind(
        address: SocketAddr,
        services: Services,
        calls: Calls,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let (listener, address) = listen("gRPC", address).await?;
        let Services { check, rate_limits, budget, bodies, control, recorder } = services;

        // A message over a service's own limit would end in a gRPC error; over the same limit, admission gives an answer.
        let largest = LargestMessage { message: largest_message(&bodies), body: bodies.max_request_bytes };
        let admission = Admission::new(Arc::clone(&budget), largest, control.clone(), DenyCheck(recorder.clone()));
        let check = AuthorizationServer::new(check).max_decoding_message_size(admission.largest_message());
        let authorization = admission.layer(check);

        let largest = LargestMessage { message: DESCRIPTORS_BYTES, body: DESCRIPTORS_BYTES };
        let admission = Admission::new(budget, largest, control, DenyRateLimit(recorder));
        let rate_limits = RateLimitServiceServer::new(rate_limits).max_decoding_message_size(DESCRIPTORS_BYTES);
        let rate_limits = admission.layer(rate_limits);
        Ok(Self { listener, address, authorization, rate_limits, calls, metrics })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn serve(self, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
        let metrics = self.metrics;
        let connections = bounded_connections(self.listener, CONNECTIONS, move || metrics.connections_refused.inc());
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
            .http2_max_local_error_reset_streams(LOCAL_ERROR_RESETS)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(CONCURRENT_CALLS)
            .timeout(CALL_TIMEOUT)
            .layer(self.calls)
            // The bytes of health and reflection are not reserved: whoever fills the budget must not make this server look ill.
            .add_service(health_service(readiness, &SERVICES).await)
            .add_service(self.authorization)
            .add_service(self.rate_limits)
            .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
            .serve_with_incoming_shutdown(connections, stop.cancelled())
            .await
            .context("the gRPC side stopped")
    }
}
