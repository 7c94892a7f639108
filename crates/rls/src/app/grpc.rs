//! The gRPC side: the ext_authz service and the health service that follows the readiness.

use std::net::SocketAddr;

use anyhow::Context;
use proto::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use runtime::{Phase, Readiness};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::calls::Calls;
use crate::envoy::CheckService;

/// Room for everything in a `CheckRequest` that is not the body. Envoy's own limit on a request's headers is 60 KiB.
const ATTRIBUTES_BYTES: usize = 1 << 20;
/// A 16 MiB body crosses in few round trips; a stream alone cannot fill the connection's window.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Room for the headers of a call, which repeat the tenant's: more than any Envoy takes from a client, since what does not fit ends in an error.
const HEADER_LIST_BYTES: u32 = 1 << 20;
/// A client that resets its requests makes Envoy reset its calls. At h2's own bound of 20 not yet accepted ones the connection that all tenants
/// share would be closed; Envoy keeps its calls in flight far below this one.
const PENDING_RESETS: usize = 1 << 16;

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 2] = ["", "envoy.service.auth.v3.Authorization"];

pub(super) struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    authorization: AuthorizationServer<CheckService>,
    calls: Calls,
}

impl GrpcServer {
    /// Binds `address`. A message may be larger than the largest body that is read: a message over the limit ends in a gRPC error, which an
    /// Envoy that fails open takes for "allow".
    pub(super) async fn bind(
        address: SocketAddr,
        service: CheckService,
        max_request_bytes: usize,
        calls: Calls,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen for gRPC on {address}"))?;
        let address = listener.local_addr()?;
        let authorization = AuthorizationServer::new(service)
            .max_decoding_message_size(max_request_bytes.saturating_add(ATTRIBUTES_BYTES));
        Ok(Self { listener, address, authorization, calls })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn serve(self, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
        let (reporter, health) = health_reporter();
        report(&reporter, readiness.phase()).await;
        tokio::spawn(follow_readiness(reporter, readiness));
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
            .layer(self.calls)
            .add_service(health)
            .add_service(self.authorization)
            .serve_with_incoming_shutdown(TcpIncoming::from(self.listener).with_nodelay(Some(true)), stop.cancelled())
            .await
            .context("the gRPC side stopped")
    }
}

async fn follow_readiness(reporter: HealthReporter, readiness: Readiness) {
    let mut changes = readiness.changes();
    loop {
        let phase = *changes.borrow_and_update();
        report(&reporter, phase).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn report(reporter: &HealthReporter, phase: Phase) {
    let status = match phase {
        Phase::Ready => ServingStatus::Serving,
        Phase::Starting | Phase::Draining => ServingStatus::NotServing,
    };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
