//! The gRPC server: the services that Envoy calls, health and reflection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use proto::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use runtime::{
    ConnectionCounts, GrpcListener, ListenAddress, Readiness, SocketFile, Tls, health_service, reflection_service,
};
use tasks::Tasks;
use tonic::transport::Server;
use tower::Layer;

use super::calls::Calls;
use super::shared::Shared;
use crate::admission::{Admission, Admitted, DenyCheck, DenyRateLimit, LargestMessage, MAX_CALL_TIMEOUT};
use crate::config::largest_message;
use crate::envoy::{CheckService, RateLimits};

/// Connections at once. Each worker of each Envoy opens one, or a few under load.
const CONNECTIONS: usize = 1000;
/// A large body needs few round trips, and several bodies must stall before other calls of the connection do.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What a connection can buffer before it is reserved. At a round trip of 1 ms that still allows 4 GB/s.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Calls at once on a connection: twice what our Envoy sends on one before it opens another (ops/envoy). A call over this limit
/// ends in an error, which an Envoy that fails open takes for "allow".
const CONCURRENT_CALLS: u32 = 2048;
/// The headers of a call, which repeat the tenant's: four times what Envoy accepts from a client by default, since larger ones end in an
/// error. More would let a peer occupy much memory with few bytes: headers are sent compressed.
const HEADER_LIST_BYTES: u32 = 256 << 10;
/// A client that resets its requests makes Envoy reset its calls, and an Envoy whose calls time out while this process is frozen resets them
/// all. At h2's default of 20 streams not accepted yet, the connection that all tenants share would be closed; Envoy keeps its calls in flight far
/// below this bound.
const PENDING_RESETS: usize = 1 << 16;
/// Resets caused by frames for calls that have ended: each frame of a large push that was answered before it had arrived. h2 counts them over the
/// whole life of a connection and then closes it, which fails the calls of all tenants, so there is no bound on their number. What a peer can do
/// with them is bounded: they only wait in memory while it does not read, and then `runtime::Connection` reads 64 KiB from it and no more.
const LOCAL_ERROR_RESETS: Option<usize> = None;
/// A peer that vanished loses its connection after interval and timeout. Both are longer than a process is usually frozen.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// For calls without a timeout, or that never finish sending; Envoy's own timeout is 5 s.
const CALL_TIMEOUT: Duration = MAX_CALL_TIMEOUT;
/// The largest rate limit request, which repeats the tenant's header once or twice.
const DESCRIPTORS_BYTES: usize = 256 << 10;

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 3] = ["", "envoy.service.auth.v3.Authorization", "envoy.service.ratelimit.v3.RateLimitService"];

pub(super) struct GrpcServer {
    listener: GrpcListener,
    authorization: Admitted<AuthorizationServer<CheckService>, DenyCheck>,
    rate_limits: Admitted<RateLimitServiceServer<RateLimits>, DenyRateLimit>,
    calls: Calls,
}

impl GrpcServer {
    pub(super) async fn bind(
        address: &ListenAddress,
        tls: Option<Tls>,
        closed: ConnectionCounts,
        shared: &Shared,
    ) -> anyhow::Result<Self> {
        let listener = GrpcListener::bind(address, tls, closed).await?;
        let Shared { edge, bodies, budget, metrics, default_tenant, traces, .. } = shared;

        // A message over the service's own limit would end in a gRPC error; admission, with the same limit, answers.
        let largest = LargestMessage { message: largest_message(bodies), body: bodies.max_request_bytes };
        let admission = Admission::new(Arc::clone(budget), largest, DenyCheck(edge.clone()))
            .with_default_tenant(default_tenant.as_ref());
        let service = CheckService::new(edge.clone(), default_tenant.clone(), traces.clone());
        let service = AuthorizationServer::new(service);
        let authorization = admission.layer(service.max_decoding_message_size(largest.message));

        let largest = LargestMessage { message: DESCRIPTORS_BYTES, body: DESCRIPTORS_BYTES };
        let admission = Admission::new(Arc::clone(budget), largest, DenyRateLimit(edge.clone()));
        let service = RateLimits::new(edge.clone(), metrics.clone());
        let service = RateLimitServiceServer::new(service);
        let rate_limits = admission.layer(service.max_decoding_message_size(largest.message));
        let calls = Calls::new(metrics.clone());
        Ok(Self { listener, authorization, rate_limits, calls })
    }

    /// The calls in flight.
    pub(super) fn calls(&self) -> Calls {
        self.calls.clone()
    }

    pub(super) fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// The file of a unix socket, which is removed when it is dropped.
    pub(super) fn take_file(&mut self) -> Option<SocketFile> {
        self.listener.take_file()
    }

    pub(super) async fn serve(self, readiness: Readiness, tasks: Tasks) -> anyhow::Result<()> {
        let connections = self.listener.connections(CONNECTIONS, &tasks);
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
            // Health and reflection reserve nothing: a full budget must not make this server unhealthy.
            .add_service(health_service(readiness, &SERVICES, &tasks).await)
            .add_service(self.authorization)
            .add_service(self.rate_limits)
            .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
            .serve_with_incoming_shutdown(connections, tasks.stop().cancelled())
            .await
            .context("the gRPC server stopped")
    }
}
