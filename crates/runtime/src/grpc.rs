//! What the gRPC sides of all servers share: the listener, health that follows the readiness, and reflection.
//!
//! A peer that sends no HTTP/2 preface loses its connection. A connection for which there is no place is closed at once, so that its peer tries another
//! server instead of waiting in a queue.

use std::time::Duration;

use anyhow::Context;
use tasks::Tasks;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::{
    ConnectionBounds, ConnectionCounts, Connections, ListenAddress, Listener, Phase, Readiness, SocketFile, Tls,
};

/// A health request holds the name of a service, a reflection request that of a symbol.
const NAME_MESSAGE_BYTES: usize = 1 << 10;

/// The health service of a server whose services are all as ready as the server is; the empty name stands for the whole server.
pub async fn health_service(
    readiness: Readiness,
    services: &'static [&'static str],
    tasks: &Tasks,
) -> HealthServer<impl Health + use<>> {
    let (reporter, health) = health_reporter();
    report(&reporter, services, readiness.phase()).await;
    tasks.spawn("gRPC health", follow_readiness(reporter, services, readiness));
    health.max_decoding_message_size(NAME_MESSAGE_BYTES)
}

/// Lists the services for tools such as grpcurl, health included.
///
/// # Errors
/// The definitions are no serialized `FileDescriptorSet`.
pub fn reflection_service(definitions: &[u8]) -> anyhow::Result<ServerReflectionServer<impl ServerReflection>> {
    let service = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(definitions)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("gRPC reflection cannot be set up")?;
    Ok(service.max_decoding_message_size(NAME_MESSAGE_BYTES))
}

async fn follow_readiness(reporter: HealthReporter, services: &[&str], readiness: Readiness) {
    let mut changes = readiness.changes();
    loop {
        let phase = *changes.borrow_and_update();
        report(&reporter, services, phase).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn report(reporter: &HealthReporter, services: &[&str], phase: Phase) {
    let status = match phase {
        Phase::Ready => ServingStatus::Serving,
        Phase::Starting | Phase::Draining => ServingStatus::NotServing,
    };
    for service in services {
        reporter.set_service_status(*service, status).await;
    }
}

/// The bytes with which a client opens HTTP/2; from then on keepalive finds a dead peer.
const PREFACE_BYTES: usize = 24;
const PREFACE_WITHIN: Duration = Duration::from_secs(10);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A gRPC listener that is bound but does not serve yet.
#[derive(Debug)]
pub struct GrpcListener {
    listener: Listener,
    tls: Option<Tls>,
    counts: ConnectionCounts,
}

impl GrpcListener {
    /// Binds `address`; with `tls`, every connection begins with a handshake.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: &ListenAddress, tls: Option<Tls>, counts: ConnectionCounts) -> anyhow::Result<Self> {
        Ok(Self { listener: Listener::bind("gRPC", address).await?, tls, counts })
    }

    /// The bound address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// The file of a unix socket, which is removed when it is dropped: after the drain.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.listener.take_file()
    }

    /// The connections that it accepts, at most `count` at once. Reloads the certificate until `tasks` are stopped.
    pub fn connections(self, count: usize, tasks: &Tasks) -> Connections {
        let bounds = ConnectionBounds {
            connections: count,
            handshake_within: HANDSHAKE_WITHIN,
            first_bytes: PREFACE_BYTES,
            first_bytes_within: PREFACE_WITHIN,
            // Keepalive finds a peer that does not read, and flow control bounds what waits for it.
            unread: None,
        };
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        if let Some(tls) = self.tls {
            tasks.spawn("TLS of gRPC", tls.follow());
        }
        Connections::new(self.listener, acceptor, bounds, self.counts)
    }
}
