//! What the gRPC sides of all servers share: bounded connections, health that follows the readiness, and reflection.

mod connections;

use anyhow::Context;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::{Phase, Readiness};
pub use connections::{Connection, bounded_connections};

/// A health question holds the name of a service, a reflection question that of a symbol.
const NAME_MESSAGE_BYTES: usize = 1 << 10;

/// The health service of a server whose services are all as ready as the server is; the empty name stands for the whole server.
pub async fn health_service(readiness: Readiness, services: &'static [&'static str]) -> HealthServer<impl Health> {
    let (reporter, health) = health_reporter();
    report(&reporter, services, readiness.phase()).await;
    tokio::spawn(follow_readiness(reporter, services, readiness));
    health.max_decoding_message_size(NAME_MESSAGE_BYTES)
}

/// Tells tools such as grpcurl what is served; health is always in it.
///
/// # Errors
/// When the definitions are no serialized `FileDescriptorSet`.
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
