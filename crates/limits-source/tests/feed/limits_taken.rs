//! Which limits are in force, as servers say them.

use std::time::Duration;

use limits::Mode;
use limits_source::Freshness;
use proto::edge::limits::v1::{Heartbeat, LimitsPart, Version};

use crate::server::Server;
use crate::support::{Client, delta, entry, everything, in_time, state, state_with, sum, version};

const A: &str = "a {ingestion_rate: 10}";
const B: &str = "b {request_rate: 5}";

#[tokio::test]
async fn a_snapshot_in_parts_is_applied_whole_then_changes_follow() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let watch = server.watch_beating().await;
    assert_eq!(watch.have, None);
    let whole = everything(1, &[A, B]);
    watch.limits(LimitsPart { put: vec![entry(A)], last: false, ..whole.clone() }).await;
    watch.limits(LimitsPart { put: vec![entry(B)], ..whole }).await;
    let mut client = client.started().await;
    client.has(&[A, B]).await;
    let origin = client.state().origin.unwrap();
    assert_eq!((&*origin.uid, &*origin.resource_version), ("u", "1001"));
    let faster = "a {ingestion_rate: 20}";
    watch.limits(delta(2, &[faster], &["b"], &[faster])).await;
    client.has(&[faster]).await;
    assert_eq!(&*client.state().origin.unwrap().resource_version, "1002");
    let counts = &client.feed.counts;
    assert_eq!((counts.connects.get(), counts.snapshots_taken.get(), counts.deltas_taken.get()), (1, 1, 1));
    assert_eq!((counts.rejected_older.get(), counts.rejected_unreadable.get(), counts.connected()), (0, 0, true));
}

#[tokio::test]
async fn a_lost_stream_is_resumed_by_version() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[A])).await;
    let mut client = client.started().await;
    client.has(&[A]).await;
    watch.fail().await;
    let watch = server.watch_beating().await;
    assert_eq!(watch.have, Some(version(1, &[A])));
    watch.limits(delta(2, &[B], &[], &[A, B])).await;
    client.has(&[A, B]).await;
    let counts = &client.feed.counts;
    assert_eq!((counts.streams_lost.get(), counts.snapshots_taken.get(), counts.deltas_taken.get()), (1, 1, 1));
}

#[tokio::test]
async fn a_server_with_equal_limits_resumes_without_sending_them() {
    let (mut first, mut second) = (Server::start().await, Server::start().await);
    let client = Client::start(&[first.url(), second.url()]);
    let (watch, other) = tokio::select! {
        watch = first.watch_beating() => (watch, &mut second),
        watch = second.watch_beating() => (watch, &mut first),
    };
    watch.limits(everything(1, &[A])).await;
    let mut client = client.started().await;
    drop(watch);
    let watch = other.watch_beating().await;
    assert_eq!(watch.have, Some(version(1, &[A])));
    let theirs = Version { epoch: 2, sequence: 70, ..version(2, &[A]) };
    watch.limits(LimitsPart { version: Some(theirs.clone()), ..delta(2, &[], &[], &[A]) }).await;
    client
        .feed
        .limits
        .states
        .wait_for(|state| &*state.origin.as_ref().unwrap().resource_version == "1002")
        .await
        .unwrap();
    assert_eq!(client.tenants(), [A]);
    watch.fail().await;
    let (watch, _) = tokio::select! {
        watch = first.watch() => (watch, 1),
        watch = second.watch() => (watch, 2),
    };
    assert_eq!(watch.have, Some(theirs));
}

#[tokio::test]
async fn restored_limits_hold_until_a_server_gives_others() {
    let mut server = Server::start().await;
    let freshness = Freshness::confirmed_ago(Duration::from_secs(86_400));
    let mut client = Client::start_from(&server.url(), state_with(&[A]), freshness).started().await;
    assert_eq!(client.tenants(), [A]);
    let mut watch = server.watch().await;
    assert_eq!(watch.have, None);
    watch.beat(0);
    watch.limits(LimitsPart { last: false, ..everything(1, &[B]) }).await;
    client.until("a connection", |feed| feed.counts.connected()).await;
    assert!(client.feed.limits.freshness.age() >= Duration::from_secs(86_400));
    watch.limits(everything(1, &[])).await;
    client.until("a rejection of two parts that are none", |feed| feed.counts.rejected_unreadable.get() == 1).await;
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[B])).await;
    client.has(&[B]).await;
    client.until("fresh limits", |feed| feed.limits.freshness.age() < Duration::from_secs(60)).await;
}

#[tokio::test]
async fn an_entry_in_shadow_never_replaces_a_good_one() {
    let mut server = Server::start().await;
    let mut client = Client::start_from(&server.url(), state_with(&[A]), Freshness::default()).started().await;
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &["a! {ingestion_rate: 1}", "b! {request_rate: 5}"])).await;
    client.has(&[A, B]).await;
    let mode = |client: &Client, tenant| client.state().limits.unwrap().entry(tenant).unwrap().mode;
    assert_eq!((mode(&client, "a"), mode(&client, "b")), (Mode::Enforce, Mode::Shadow));
    // The sum of what is here is not the server's, as long as the entry is kept.
    watch.limits(delta(2, &[B], &[], &["a! {ingestion_rate: 1}", B])).await;
    client
        .feed
        .limits
        .states
        .wait_for(|state| state.limits.as_ref().unwrap().entry("b").unwrap().mode == Mode::Enforce)
        .await
        .unwrap();
    let better = "a {ingestion_rate: 30}";
    watch.limits(delta(3, &[better], &[], &[better, B])).await;
    client.has(&[better, B]).await;
    let wrong = LimitsPart { version: Some(version(4, &[])), ..delta(4, &[A], &[], &[]) };
    watch.limits(wrong).await;
    client.until("a rejection", |feed| feed.counts.rejected_unreadable.get() == 1).await;
    assert_eq!(client.tenants(), [better, B]);
}

#[tokio::test]
async fn only_a_server_whose_limits_are_accepted_confirms_them() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let watch = server.watch().await;
    watch.heartbeat(Heartbeat { stale_millis: 40_000, ..Heartbeat::default() }).await;
    watch.limits(everything(1, &[A])).await;
    let mut client = client.started().await;
    let freshness = client.feed.limits.freshness.clone();
    let age = || freshness.age();
    // Forty seconds at the server, and at most the deadline of a test here.
    assert!((Duration::from_secs(40)..Duration::from_secs(60)).contains(&age()), "{:?}", age());
    // A change that has begun is the server's, and not what is in force here.
    watch.limits(LimitsPart { last: false, ..delta(2, &[B], &[], &[A, B]) }).await;
    watch.heartbeat(Heartbeat { distributors: 3, ..Heartbeat::default() }).await;
    // The heartbeat with a number has arrived, and still the limits are not confirmed.
    in_time("the heartbeat", client.feed.distributors.wait_for(|count| count.is_some_and(|count| count.get() == 3)))
        .await
        .unwrap();
    assert!(age() >= Duration::from_secs(40), "{:?}", age());
    watch.limits(delta(2, &[], &[], &[A, B])).await;
    client.has(&[A, B]).await;
    assert!(age() < Duration::from_secs(40), "{:?}", age());
    assert!(client.feed.counts.connected());
}

#[tokio::test]
async fn a_server_without_origin_is_believed() {
    let mut server = Server::start().await;
    let client = Client::start_from(&server.url(), state(), Freshness::default());
    let watch = server.watch_beating().await;
    watch.limits(everything(9, &[A])).await;
    let mut client = client.started().await;
    let version = Version { epoch: 1, sequence: 10, content_sum: sum(&[B]), ..Version::default() };
    watch.limits(LimitsPart { version: Some(version), ..everything(1, &[B]) }).await;
    client.has(&[B]).await;
    assert_eq!(client.state().origin, None);
}
