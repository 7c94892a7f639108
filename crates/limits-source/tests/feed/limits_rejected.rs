//! Rejected updates, and the requests after them.

use std::time::{Duration, Instant};

use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{LimitsPart, Problem, ProblemList, Version};

use crate::server::Server;
use crate::support::{Client, delta, entry, everything, version};

const A: &str = "a {ingestion_rate: 10}";
const B: &str = "b {request_rate: 5}";
/// The longest pause between two rounds, less what two clocks may disagree on.
const NEARLY_LONGEST_PAUSE: Duration = Duration::from_millis(1_900);

#[tokio::test]
async fn an_older_revision_is_rejected_and_another_server_is_asked() {
    let (mut first, mut second) = (Server::start().await, Server::start().await);
    let client = Client::start(&[first.url(), second.url()]);
    let (watch, newer, older) = tokio::select! {
        watch = first.watch_beating() => (watch, &mut first, &mut second),
        watch = second.watch_beating() => (watch, &mut second, &mut first),
    };
    watch.limits(everything(10, &[A])).await;
    let mut client = client.started().await;
    drop(watch);
    let watch = older.watch_beating().await;
    watch.limits(LimitsPart { version: Some(Version { epoch: 2, ..version(9, &[B]) }), ..everything(9, &[B]) }).await;
    watch.is_left().await;
    assert_eq!((client.feed.counts.rejected_older.get(), client.tenants()), (1, vec![A.to_owned()]));
    let watch = newer.watch_beating().await;
    assert_eq!(watch.have, Some(version(10, &[A])));
    // Another object's revisions are no older and no newer.
    let version = Version { uid: "v".to_owned(), ..version(3, &[B]) };
    watch.limits(LimitsPart { version: Some(version), ..everything(3, &[B]) }).await;
    client.has(&[B]).await;
    assert_eq!(client.feed.counts.rejected_older.get(), 1);
}

#[tokio::test]
async fn a_change_whose_server_dies_in_between_changes_nothing() {
    let (mut first, mut second) = (Server::start().await, Server::start().await);
    let client = Client::start(&[first.url(), second.url()]);
    let (watch, dying, other) = tokio::select! {
        watch = first.watch_beating() => (watch, &mut first, &mut second),
        watch = second.watch_beating() => (watch, &mut second, &mut first),
    };
    watch.limits(everything(1, &[A])).await;
    let mut client = client.started().await;
    let half = delta(2, &[B], &[], &[A, B]);
    watch.limits(LimitsPart { last: false, ..half }).await;
    // A later message has arrived, so this part has as well.
    watch.say(Update::Problems(ProblemList { problems: vec![Problem::default()] })).await;
    client.feed.limits.states.wait_for(|state| !state.problems.is_empty()).await.unwrap();
    dying.die();
    let watch = other.watch_beating().await;
    assert_eq!((watch.have.as_ref(), client.tenants()), (Some(&version(1, &[A])), vec![A.to_owned()]));
    assert_eq!(client.state().problems.len(), 1);
    watch.limits(delta(2, &[B], &[], &[A, B])).await;
    client.has(&[A, B]).await;
    assert_eq!(client.feed.counts.streams_lost.get(), 1);
}

/// Sends `bad` after limits were applied: they stay, and after the server was avoided for a while, everything is requested.
async fn check(bad: LimitsPart) {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let watch = server.watch_beating().await;
    watch.limits(everything(1, &[A])).await;
    let mut client = client.started().await;
    client.has(&[A]).await;
    let shown = format!("{bad:?}").chars().take(300).collect::<String>();
    let said = Instant::now();
    watch.limits(bad).await;
    watch.is_left().await;
    client.until("a rejection", |feed| feed.counts.rejected_unreadable.get() == 1).await;
    let watch = server.watch_beating().await;
    assert!(said.elapsed() >= NEARLY_LONGEST_PAUSE, "{shown}");
    assert_eq!((watch.have.clone(), client.tenants()), (None, vec![A.to_owned()]), "{shown}");
    watch.limits(everything(3, &[B])).await;
    client.has(&[B]).await;
}

#[tokio::test]
async fn an_unreadable_message_keeps_the_limits_and_causes_a_resync() {
    let garbage = |fields: &str| {
        let mut part = delta(2, &[B], &[], &[A, B]);
        part.put[0].fields = fields.to_owned();
        check(part)
    };
    let mut mode = delta(2, &[B], &[], &[A, B]);
    mode.put[0].mode = 7;
    tokio::join!(
        garbage("{ingestion_rate: many}"),
        garbage("\u{0}]["),
        garbage("5"),
        check(mode),
        check(delta(2, &[B], &[], &[A])),
        check(delta(2, &[], &["a"], &[])),
        check(LimitsPart { version: None, ..delta(2, &[B], &[], &[A, B]) }),
        check(LimitsPart { complete: true, ..delta(2, &[B], &["a"], &[B]) }),
    );
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_read() {
    let mut part = delta(2, &[B], &[], &[A, B]);
    part.put[0].fields = " ".repeat(17 << 20);
    check(part).await;
}

#[tokio::test]
async fn an_oversized_snapshot_is_retried_only_after_the_longest_backoff() {
    let mut server = Server::start().await;
    let client = Client::start(&[server.url()]);
    let mut asked: Option<Instant> = None;
    for _ in 0..3 {
        let watch = server.watch_beating().await;
        assert!(asked.is_none_or(|asked| asked.elapsed() >= NEARLY_LONGEST_PAUSE));
        asked = Some(Instant::now());
        let whole = everything(1, &[A]);
        watch.limits(LimitsPart { put: vec![entry(A), entry(B)], ..whole }).await;
        watch.is_left().await;
    }
    let client = client.started().await;
    assert!(client.state().limits.is_none());
}
