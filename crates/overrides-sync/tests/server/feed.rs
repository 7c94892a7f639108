//! What a client of the feed receives.

use axum::Router;
use axum::routing::get;
use proto::edge::limits::v1::Severity;
use proto::edge::limits::v1::watch_response::Update;

use crate::support::{Server, document, until};

#[tokio::test]
async fn a_client_gets_everything_and_then_what_changes() -> anyhow::Result<()> {
    let server = Server::start(&document(3, 1), &[]).await?;
    let mut client = server.watch(None).await?;
    let Some(Update::Heartbeat(first)) = client.next().await? else { unreachable!("the first message is a heartbeat") };
    assert!(!first.has_ha_tracker && first.distributors == 0);
    assert_eq!(client.update().await?, (true, 3));
    assert_eq!(client.entries["tenant-0"], "{ingestion_rate: 1}");
    client.until("the list of problems", |client| client.problems.as_ref().is_some_and(Vec::is_empty)).await?;
    assert_eq!(client.sequence(), 1);

    server.write(&document(3, 2))?;
    assert_eq!(client.update().await?, (false, 1));
    assert_eq!(client.entries["tenant-0"], "{ingestion_rate: 2}");
    server.write(&document(2, 2))?;
    assert_eq!(client.update().await?, (false, 1));
    assert!(!client.entries.contains_key("tenant-2"));
    assert_eq!(client.sequence(), 3);
    assert_eq!(server.metric("overrides_sync_feed_updates_total{kind=\"snapshot\"}").await?, Some(1.0));
    assert_eq!(server.metric("overrides_sync_feed_updates_total{kind=\"delta\"}").await?, Some(2.0));
    assert_eq!(server.metric("overrides_sync_propagation_seconds_count").await?, Some(2.0));
    assert_eq!(server.metric("overrides_sync_limits_version").await?, Some(3.0));
    assert_eq!(server.metric("overrides_sync_tenants").await?, Some(2.0));
    Ok(())
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_changed_meanwhile() -> anyhow::Result<()> {
    let server = Server::start(&document(5, 1), &[]).await?;
    let mut client = server.watch(None).await?;
    client.update().await?;
    let have = client.version.clone();
    drop(client);
    until("the client is gone", || async { Ok(server.metric("overrides_sync_feed_clients").await? == Some(0.0)) })
        .await?;

    let mut client = server.watch(have.clone()).await?;
    assert_eq!(client.update().await?, (false, 0), "nothing changed");
    server.write(&document(5, 2))?;
    client.update().await?;
    let mut client = server.watch(have).await?;
    assert_eq!(client.update().await?, (false, 1));
    assert_eq!(client.entries.into_iter().collect::<Vec<_>>(), [("tenant-0".into(), "{ingestion_rate: 2}".into())]);
    Ok(())
}

#[tokio::test]
async fn a_client_with_equal_limits_gets_only_a_version() -> anyhow::Result<()> {
    let (one, other) = (Server::start(&document(5, 1), &[]).await?, Server::start(&document(5, 1), &[]).await?);
    let mut client = one.watch(None).await?;
    client.update().await?;
    let first = client.version.clone();
    let mut client = other.watch(first.clone()).await?;
    assert_eq!(client.update().await?, (false, 0));
    assert_ne!(client.version.as_ref().map(|version| version.epoch), first.as_ref().map(|version| version.epoch));

    other.write(&document(5, 2))?;
    client.update().await?;
    let mut client = other.watch(first).await?;
    assert_eq!(client.update().await?, (true, 5), "a version that it does not know, of other limits");
    Ok(())
}

#[tokio::test]
async fn before_the_first_good_limits_there_are_heartbeats_and_problems() -> anyhow::Result<()> {
    let server = Server::start("overrides: [this, is, no, map]", &[]).await?;
    let mut client = server.watch(None).await?;
    client.until("problems", |client| client.problems.as_ref().is_some_and(|list| !list.is_empty())).await?;
    let problem = &client.problems.as_ref().unwrap()[0];
    assert_eq!((problem.document.as_str(), problem.severity()), ("overrides.yaml", Severity::Rejected));
    assert_eq!(server.metric("overrides_sync_problems{severity=\"rejected\"}").await?, Some(1.0));
    let seen = client.heartbeats.len();
    client.until("another heartbeat", |client| client.heartbeats.len() > seen + 1).await?;
    assert!(client.updates.is_empty());

    server.write(&document(2, 1))?;
    assert_eq!(client.update().await?, (true, 2));
    client.until("no problem", |client| client.problems.as_ref().is_some_and(Vec::is_empty)).await?;
    assert_eq!(server.metric("overrides_sync_problems{severity=\"rejected\"}").await?, Some(0.0));
    Ok(())
}

#[tokio::test]
async fn a_bad_document_changes_no_limits_and_makes_them_stale() -> anyhow::Result<()> {
    let server = Server::start(&document(2, 1), &[]).await?;
    let mut client = server.watch(None).await?;
    client.update().await?;
    server.write("overrides: { tenant-0: { ingestion_rate: many } }")?;
    client.until("problems", |client| client.problems.as_ref().is_some_and(|list| !list.is_empty())).await?;
    client
        .until("stale limits", |client| client.heartbeats.last().is_some_and(|heartbeat| heartbeat.stale_millis > 500))
        .await?;
    assert_eq!((client.updates.len(), client.entries["tenant-0"].as_str()), (1, "{ingestion_rate: 1}"));
    assert!(server.metric("overrides_sync_limits_stale_seconds").await? > Some(0.5));
    let (_, page) = server.page("/api/v1/problems").await?;
    let page: serde_json::Value = serde_json::from_str(&page)?;
    assert_eq!(
        (page["problems"][0]["source"].as_str(), page["problems"][0]["tenant"].as_str()),
        (Some("limits"), Some("tenant-0"))
    );
    Ok(())
}

#[tokio::test]
async fn large_limits_come_in_parts_of_one_version() -> anyhow::Result<()> {
    let server = Server::start(&document(20_000, 1), &[]).await?;
    let mut client = server.watch(None).await?;
    let mut parts = Vec::new();
    while parts.last().is_none_or(|(last, _)| !last) {
        if let Some(Update::Limits(part)) = client.next().await? {
            parts.push((part.last, part.version));
        }
    }
    assert!(parts.len() > 1, "{}", parts.len());
    assert!(parts.iter().all(|(_, version)| *version == parts[0].1));
    assert_eq!(client.updates, [(true, 20_000)]);
    Ok(())
}

#[tokio::test]
async fn cached_limits_are_served_until_the_source_is_read() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cache = format!("--limits-cache={}", folder.path().join("cache").display());
    let server = Server::start(&document(4, 1), &[&cache]).await?;
    until("the cache", || async { Ok(folder.path().join("cache").exists()) }).await?;
    server.shutdown.drain.cancel();
    server.running.await??;

    let server = Server::start_in(tempfile::tempdir()?, None, &[&cache]).await?;
    let mut client = server.watch(None).await?;
    assert_eq!(client.update().await?, (true, 4));
    assert_eq!(server.page("/ready").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn mimirs_elections_are_sent_after_each_poll() -> anyhow::Result<()> {
    const LIST: &str = r#"{"elected":[{"userID":"t","cluster":"c","replica":"r","lastElectionTime":"1970-01-01T00:00:01Z","electedLastSeenTime":"1970-01-01T00:00:02Z"}]}"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let tracker = format!("--ha-tracker-url=http://{}", listener.local_addr()?);
    tokio::spawn(async {
        axum::serve(listener, Router::new().route("/distributor/ha_tracker", get(|| async { LIST }))).await
    });
    let server = Server::start(&document(1, 1), &[&tracker]).await?;
    let mut client = server.watch(None).await?;
    client.until("two lists", |client| client.elected.len() >= 2).await?;
    assert!(client.heartbeats.iter().all(|heartbeat| heartbeat.has_ha_tracker));
    for part in &client.elected {
        let sent: Vec<_> = part.elected.iter().map(|pair| [&*pair.tenant, &*pair.cluster, &*pair.replica]).collect();
        let times: Vec<_> = part.elected.iter().map(|pair| (pair.received_at, pair.elected_at)).collect();
        assert_eq!(times, [(2_000, 1_000)]);
        assert!(part.last && sent == [["t", "c", "r"]], "{part:?}");
    }
    assert!(client.elected[0].requested_at_unix_millis < client.elected[1].requested_at_unix_millis);
    assert!(server.metric("overrides_sync_ha_tracker_polls_total{result=\"ok\"}").await? >= Some(2.0));
    assert_eq!(server.metric("overrides_sync_ha_pairs").await?, Some(1.0));
    Ok(())
}
