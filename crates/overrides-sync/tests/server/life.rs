//! The life of the server: readiness, health and the drain.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Client, Server, document, until};

async fn health(server: &Server, service: &str) -> anyhow::Result<ServingStatus> {
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(server.channel.clone()).check(request).await?.into_inner().status())
}

#[tokio::test]
async fn it_is_ready_from_the_first_good_limits_on() -> anyhow::Result<()> {
    let server = Server::start("overrides: [this, is, no, map]", &[]).await?;
    assert_eq!(server.page("/live").await?.0, 200);
    assert_eq!(server.page("/ready").await?.0, 503);
    assert_eq!(health(&server, "").await?, ServingStatus::NotServing);

    server.write(&document(1, 1))?;
    until("readiness", || async { Ok(server.page("/ready").await?.0 == 200) }).await?;
    for service in ["", "edge.limits.v1.LimitsFeed"] {
        until("health", || async { Ok(health(&server, service).await? == ServingStatus::Serving) }).await?;
    }
    std::fs::remove_file(&server.limits)?;
    until("a problem", || async {
        Ok(server.metric("overrides_sync_problems{severity=\"kept\"}").await? == Some(1.0))
    })
    .await?;
    assert_eq!(server.page("/ready").await?.0, 200, "stale limits are limits");
    Ok(())
}

#[tokio::test]
async fn while_it_drains_it_is_unhealthy_and_still_sends_changes() -> anyhow::Result<()> {
    let server = Server::start(&document(2, 1), &["--drain-delay=60s"]).await?;
    let mut client = server.watch(None).await?;
    client.update().await?;
    server.shutdown.drain.cancel();
    until("unhealthy", || async { Ok(health(&server, "").await? == ServingStatus::NotServing) }).await?;
    assert_eq!(server.page("/ready").await?.0, 503);
    server.write(&document(2, 2))?;
    assert_eq!(client.update().await?, (false, 1));
    assert_eq!(server.watch(None).await?.update().await?, (true, 2));
    server.shutdown.abort.cancel();
    assert!(server.running.await?.is_err(), "a second signal ends the drain at once");
    Ok(())
}

#[tokio::test]
async fn a_drain_ends_streams_in_order() -> anyhow::Result<()> {
    let server = Server::start(&document(2, 1), &[]).await?;
    let mut clients = vec![server.watch(None).await?, server.watch(None).await?];
    for client in &mut clients {
        client.update().await?;
    }
    server.shutdown.drain.cancel();
    for client in &mut clients {
        while client.next().await?.is_some() {}
    }
    server.running.await?
}

#[tokio::test]
async fn a_slow_reader_holds_a_drain_only_until_its_timeout() -> anyhow::Result<()> {
    let server = Server::start(&document(20_000, 1), &["--drain-timeout=300ms"]).await?;
    let endpoint = tonic::transport::Endpoint::from_shared(server.grpc.clone())?;
    let small = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let mut silent = Client::watch(small.connect().await?, None).await?;
    silent.next().await?;
    server.shutdown.drain.cancel();
    server.running.await??;
    drop(silent);
    Ok(())
}
