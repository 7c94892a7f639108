//! Which server is followed, and for how long.

use std::time::{Duration, Instant};

use limits_source::Freshness;
use proto::edge::limits::v1::Heartbeat;
use tokio::net::TcpListener;

use crate::server::Server;
use crate::support::{Client, everything, state_with};

const A: &str = "a {ingestion_rate: 10}";

#[tokio::test]
async fn a_server_that_never_answers_is_replaced_by_another() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute_url = format!("http://{}", mute.local_addr().unwrap());
    let client = Client::start_from(&mute_url, state_with(&[A]), Freshness::default()).started().await;
    client.until("two connections that were given up", |feed| feed.counts.failed_connects.get() == 2).await;
    assert_eq!((client.feed.counts.connects.get(), client.tenants()), (0, vec![A.to_owned()]));

    let mut server = Server::start().await;
    let client = Client::start(&[mute_url, server.url()]);
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[A])).await;
    assert_eq!(client.started().await.tenants(), [A]);
}

#[tokio::test]
async fn a_server_that_goes_silent_is_left_for_another_one() {
    let (mut first, mut second) = (Server::start().await, Server::start().await);
    let client = Client::start(&[first.url(), second.url()]);
    let (mut watch, other) = tokio::select! {
        watch = first.watch_beating() => (watch, &mut second),
        watch = second.watch_beating() => (watch, &mut first),
    };
    watch.limits(everything(1, &[A])).await;
    let client = client.started().await;
    let silent = Instant::now();
    watch.hush();
    watch.is_left().await;
    // Three seconds of silence, the last heartbeat up to a fifth of a second before it.
    assert!(silent.elapsed() >= Duration::from_millis(2_700), "{:?}", silent.elapsed());
    let _watch = other.watch_beating().await;
    assert_eq!((client.feed.counts.streams_lost.get(), client.tenants()), (1, vec![A.to_owned()]));
}

#[tokio::test]
async fn a_server_without_limits_is_replaced_by_another() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let watch = server.watch_beating().await;
    let client = client.started().await;
    assert!(client.feed.counts.connected() && client.state().limits.is_none());
    watch.is_left().await;
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[A])).await;
    client.until("limits", |feed| feed.counts.snapshots_taken.get() == 1).await;
}

#[tokio::test]
async fn a_stream_ended_in_order_reconnects_elsewhere_at_once() {
    let (mut first, mut second) = (Server::start().await, Server::start().await);
    let client = Client::start(&[first.url(), second.url()]);
    let (mut watch, mut servers) = tokio::select! {
        watch = first.watch_beating() => (watch, [&mut second, &mut first]),
        watch = second.watch_beating() => (watch, [&mut first, &mut second]),
    };
    let mut without_server = Duration::ZERO;
    for sequence in 1..11 {
        watch.limits(everything(sequence, &[A])).await;
        // A stream that ends right after its begin is followed by a pause.
        watch.lives_for(Duration::from_millis(300)).await;
        let drained = Instant::now();
        drop(watch);
        watch = servers[0].watch_beating().await;
        without_server += drained.elapsed();
        servers.reverse();
    }
    // Ten pauses would be two seconds and more.
    assert!(without_server < Duration::from_millis(1_500), "{without_server:?}");
    assert_eq!(client.started().await.feed.counts.streams_lost.get(), 0);
}

#[tokio::test]
async fn streams_that_end_at_once_are_retried_with_backoff() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let began = Instant::now();
    for sequence in 1..8 {
        let watch = server.watch().await;
        watch.heartbeat(Heartbeat::default()).await;
        watch.limits(everything(sequence, &[A])).await;
    }
    // Six pauses of at least 0.2 seconds.
    assert!(began.elapsed() >= Duration::from_millis(1_200), "{:?}", began.elapsed());
    assert_eq!(client.started().await.tenants(), [A]);
}

#[tokio::test]
async fn a_server_that_dies_takes_nothing_away() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url(), "http://no-such-host.invalid:1".to_owned()]);
    server.watch_beating().await.limits(everything(1, &[A])).await;
    let client = client.started().await;
    server.die();
    client.until("failed connects", |feed| !feed.counts.connected() && feed.counts.failed_connects.get() >= 3).await;
    assert_eq!(client.tenants(), [A]);
}
