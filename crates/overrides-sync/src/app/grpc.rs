//! The gRPC side: the feed, and the health service that follows the readiness.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use proto::edge::limits::v1::limits_feed_server::LimitsFeedServer;
use runtime::{Readiness, bounded_connections, health_service, listen, reflection_service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::feed::{FeedService, MOST_CLIENTS};
use crate::metrics::Metrics;

/// Connections at once: a client has one, and tools such as grpcurl are let in beside a full house.
const CONNECTIONS: usize = MOST_CLIENTS + 100;
/// Calls at once on a connection. All clients fit through one, as they come where a proxy is between; one more is told why it is refused.
const CONCURRENT_CALLS: u32 = MOST_CLIENTS as u32 + 100;
/// A client says a version, in five short fields.
const REQUEST_BYTES: usize = 4 << 10;
/// What a peer may send as headers; ours need some hundred bytes.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// A client that is gone without a word keeps its stream for at most both.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// From a call's headers to the first answer: what sends a request's headers and no request is not waited for.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The services whose health is reported; the empty name stands for the whole server.
const SERVICES: [&str; 2] = ["", "edge.limits.v1.LimitsFeed"];

pub(super) struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    feed: FeedService,
    metrics: Metrics,
}

impl GrpcServer {
    /// Binds `address`.
    pub(super) async fn bind(address: SocketAddr, feed: FeedService, metrics: Metrics) -> anyhow::Result<Self> {
        let (listener, address) = listen("gRPC", address).await?;
        Ok(Self { listener, address, feed, metrics })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn serve(self, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
        let metrics = self.metrics;
        let connections = bounded_connections(self.listener, CONNECTIONS, move || metrics.connections_refused.inc());
        Server::builder()
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(CONCURRENT_CALLS)
            .timeout(FIRST_ANSWER_WITHIN)
            .add_service(health_service(readiness, &SERVICES).await)
            .add_service(LimitsFeedServer::new(self.feed).max_decoding_message_size(REQUEST_BYTES))
            .add_service(reflection_service(proto::FILE_DESCRIPTOR_SET)?)
            .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
            .await
            .context("the gRPC side stopped")
    }
}
