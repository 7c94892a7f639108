//! The feed over TLS and over a unix socket, the token of the HTTP side, and silent connections.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::Request;
use limits::{LimitsState, TenantLimits};
use limits_source::{Feed, FeedTlsFiles, Freshness, SourceSpec, follow_feed};
use runtime::testing::{Authority, Pem, unix_channel};
use tasks::Tasks;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Client, Server, document, until};

const SOON: Duration = Duration::from_secs(20);

fn write(folder: &Path, who: &str, pair: &Pem, ca: &str) -> anyhow::Result<()> {
    for (name, text) in [("crt", &pair.cert), ("key", &pair.key), ("ca", &ca.to_owned())] {
        fs::write(folder.join(format!("{who}.{name}")), text)?;
    }
    Ok(())
}

/// A server with mutual TLS, with its files in a folder.
async fn mutual(folder: &TempDir, authority: &Authority) -> anyhow::Result<Server> {
    write(folder.path(), "server", &authority.issue("127.0.0.1")?, &authority.ca())?;
    let flags = [("cert", "crt"), ("key", "key"), ("client-ca", "ca")].map(|(flag, name)| {
        format!("--grpc-tls-{flag}={}", folder.path().join("server").with_extension(name).display())
    });
    Server::start(&document(2, 1), &flags.each_ref().map(String::as_str)).await
}

/// The client that mimir-rls is, with the files of a client in the folder.
async fn follow(server: &Server, folder: &TempDir, stop: &CancellationToken) -> anyhow::Result<Feed> {
    let [ca, cert, key] = ["ca", "crt", "key"].map(|name| folder.path().join("client").with_extension(name));
    let mut urls: limits_source::FeedUrls = server.grpc.replace("http:", "https:").parse()?;
    urls.use_tls(FeedTlsFiles::new(Some(ca), Some(cert), Some(key)))?;
    let state = LimitsState::new(TenantLimits::default(), false);
    Ok(follow_feed(urls, state, Freshness::default(), None, &Tasks::new(stop.clone())).await)
}

#[tokio::test]
async fn the_feed_needs_a_certificate_of_the_ca() -> anyhow::Result<()> {
    let (folder, authority, other) = (tempfile::tempdir()?, Authority::new()?, Authority::new()?);
    let server = mutual(&folder, &authority).await?;
    write(folder.path(), "client", &authority.issue("mimir-rls")?, &authority.ca())?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let feed = follow(&server, &folder, &stop).await?;
    assert_eq!(feed.limits.states.borrow().limits.as_ref().map(|limits| limits.len()), Some(2));

    // A client of another CA is rejected until its files are renewed.
    write(folder.path(), "client", &other.issue("mimir-rls")?, &authority.ca())?;
    let late = follow(&server, &folder, &stop).await?;
    assert!(late.limits.states.borrow().limits.is_none() && late.counts.failed_connects.get() > 0);
    write(folder.path(), "client", &authority.issue("mimir-rls")?, &authority.ca())?;
    until("the renewed certificate", || async { Ok(late.limits.states.borrow().limits.is_some()) }).await?;
    assert!(feed.counts.connected(), "the other stream goes on");
    Ok(())
}

#[tokio::test]
async fn a_client_does_not_trust_a_server_of_another_ca() -> anyhow::Result<()> {
    let (folder, authority, other) = (tempfile::tempdir()?, Authority::new()?, Authority::new()?);
    let server = mutual(&folder, &authority).await?;
    write(folder.path(), "client", &authority.issue("mimir-rls")?, &other.ca())?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let feed = follow(&server, &folder, &stop).await?;
    assert!(feed.limits.states.borrow().limits.is_none() && feed.counts.failed_connects.get() > 0);
    assert!("feed:https://127.0.0.1:1".parse::<SourceSpec>().is_ok());
    Ok(())
}

#[tokio::test]
async fn the_feed_is_served_on_a_unix_socket() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("feed.sock");
    let server = Server::start(&document(2, 1), &[&format!("--grpc-listen=unix:{}", path.display())]).await?;
    let mut client = Client::watch(unix_channel(path.clone()).await?, None).await?;
    assert_eq!(client.update().await?, (true, 2));
    server.shutdown.drain.cancel();
    timeout(SOON, server.running).await???;
    assert!(!path.exists());
    Ok(())
}

#[tokio::test]
async fn problems_are_behind_the_token() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    fs::write(&token, "s3cret-of-the-api")?;
    let server = Server::start(&document(1, 1), &[&format!("--http-token-file={}", token.display())]).await?;
    until("readiness", || async { Ok(server.page("/ready").await?.0 == 200) }).await?;
    for (path, status) in [("/live", 200), ("/metrics", 200), ("/api/v1/problems", 401)] {
        assert_eq!(server.page(path).await?.0, status, "{path}");
    }
    let request =
        Request::get(format!("{}/api/v1/problems", server.http)).header("authorization", "Bearer s3cret-of-the-api");
    assert_eq!(runtime::testing::send(request, "").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn silent_connections_do_not_shut_out_a_client() -> anyhow::Result<()> {
    let server = Server::start(&document(2, 1), &[]).await?;
    let mut silent = Vec::new();
    for _ in 0..1_100 {
        silent.push(TcpStream::connect(server.grpc.trim_start_matches("http://")).await?);
    }
    assert_eq!(server.watch(None).await?.update().await?, (true, 2));
    let rejected = server.metric("overrides_sync_grpc_connections_closed_total{reason=\"rejected\"}").await?;
    assert_eq!(rejected, Some(0.0));
    Ok(())
}
