//! Many clients, and what they read at their own pace.

use std::time::{Duration, Instant};

use tonic::transport::Endpoint;

use crate::support::{Client, Server, document};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_clients_hear_of_a_change_at_once() -> anyhow::Result<()> {
    let server = Server::start(&document(10_000, 1), &[]).await?;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let channel = Endpoint::from_shared(server.grpc.clone())?.connect().await?;
        clients.push(Client::watch(channel, None).await?);
    }
    for client in &mut clients {
        assert_eq!(client.update().await?, (true, 10_000));
    }
    assert_eq!(server.metric("overrides_sync_feed_clients").await?, Some(20.0));

    server.write(&document(10_000, 2))?;
    assert_eq!(clients[0].update().await?, (false, 1));
    let first = Instant::now();
    for client in &mut clients[1..] {
        assert_eq!(client.update().await?, (false, 1));
        assert_eq!(client.entries["tenant-0"], "{ingestion_rate: 2}");
    }
    assert!(first.elapsed() < Duration::from_secs(2), "{:?} after the first", first.elapsed());
    drop(clients);
    crate::support::until("their places are free", || async {
        Ok(server.metric("overrides_sync_feed_clients").await? == Some(0.0))
    })
    .await
}

#[tokio::test]
async fn a_client_reading_everything_does_not_delay_others() -> anyhow::Result<()> {
    let server = Server::start(&document(20_000, 1), &[]).await?;
    let endpoint = Endpoint::from_shared(server.grpc.clone())?;
    let small = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let mut slow = Client::watch(small.connect().await?, None).await?;
    slow.next().await?;
    let mut quick = server.watch(None).await?;
    assert_eq!(quick.update().await?, (true, 20_000));
    server.write(&document(20_000, 2))?;
    assert_eq!(quick.update().await?, (false, 1));

    slow.until("the newest", |client| client.sequence() == 2).await?;
    assert_eq!(slow.entries, quick.entries);
    Ok(())
}
