//! TLS, tokens, the unix socket, and peers that hold connections without using them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::http::Request;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use remote_write::Protocol;
use runtime::testing::{Authority, Pem, SERVER_NAME, TlsClient, unix_channel};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::support::{Answer, Server, check_request, samples, until};

const LIMITS: &str = "overrides: { small: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
const SOON: Duration = Duration::from_secs(20);

fn write(folder: &Path, prefix: &str, Pem { cert, key }: &Pem, client_ca: &str) -> anyhow::Result<()> {
    for (name, text) in [("tls.crt", cert.as_str()), ("tls.key", key), ("ca.crt", client_ca)] {
        let next = folder.join("next");
        fs::write(&next, text)?;
        fs::rename(&next, folder.join(format!("{prefix}{name}")))?;
    }
    Ok(())
}

fn flag(name: &str, folder: &TempDir, file: &str) -> String {
    format!("--{name}={}", folder.path().join(file).display())
}

/// A server with mutual TLS for gRPC.
async fn mutual(folder: &TempDir, authority: &Authority) -> anyhow::Result<Server> {
    write(folder.path(), "", &authority.issue(SERVER_NAME)?, &authority.ca())?;
    let flags = [
        flag("grpc-tls-cert", folder, "tls.crt"),
        flag("grpc-tls-key", folder, "tls.key"),
        flag("grpc-tls-client-ca", folder, "ca.crt"),
    ];
    Server::start(LIMITS, &flags.each_ref().map(String::as_str)).await
}

async fn check(channel: Channel) -> anyhow::Result<i32> {
    let request = check_request(&[("x-scope-orgid", "small")], samples(Protocol::V1, 2));
    let answer = timeout(SOON, AuthorizationClient::new(channel).check(request)).await??;
    Ok(Answer::of(answer.into_inner()).status)
}

#[tokio::test]
async fn envoy_needs_a_certificate_of_the_ca() -> anyhow::Result<()> {
    let (folder, authority, other) = (tempfile::tempdir()?, Authority::new()?, Authority::new()?);
    let server = mutual(&folder, &authority).await?;
    let ask = async |shown: Option<Pem>| -> anyhow::Result<i32> {
        check(TlsClient::new(&authority, shown.as_ref())?.channel(server.grpc).await?).await
    };
    assert_eq!(ask(Some(authority.issue("envoy")?)).await?, 429);
    assert!(ask(None).await.is_err(), "without a certificate");
    assert!(ask(Some(other.issue("envoy")?)).await.is_err(), "of another CA");
    assert!(ask(Some(authority.issue_expired("envoy")?)).await.is_err(), "expired");
    assert!(server.push("small", samples(Protocol::V1, 1)).await.is_err(), "without TLS");
    let counted = server.metric(r#"rls_grpc_connections_closed_total{reason="handshake"}"#).await?;
    assert!(counted >= Some(4.0), "{counted:?}");
    Ok(())
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_under_calls_without_an_error() -> anyhow::Result<()> {
    let (folder, old, new) = (tempfile::tempdir()?, Authority::new()?, Authority::new()?);
    let server = mutual(&folder, &old).await?;
    let envoy = old.issue("envoy")?;
    let stays = TlsClient::new(&old, Some(&envoy))?.channel(server.grpc).await?;
    let renewed = TlsClient::new(&new, Some(&envoy))?;
    write(folder.path(), "", &new.issue(SERVER_NAME)?, &old.ca())?;
    let until_renewed = async {
        loop {
            assert_eq!(check(stays.clone()).await?, 429, "the open connection goes on");
            if let Ok(channel) = renewed.channel(server.grpc).await {
                return check(channel).await;
            }
        }
    };
    assert_eq!(timeout(SOON, until_renewed).await??, 429);
    assert_eq!(server.metric(r#"rls_bad_tls_files_total{of="grpc_tls"}"#).await?, Some(0.0));
    let expires = server.metric(r#"rls_certificate_not_after_timestamp_seconds{of="grpc_tls"}"#).await?;
    assert!(expires > Some(2_000_000_000.0), "{expires:?}");
    for of in ["http_tls", "feed_tls"] {
        let expires = server.metric(&format!(r#"rls_certificate_not_after_timestamp_seconds{{of="{of}"}}"#)).await?;
        assert_eq!(expires, Some(0.0), "it has no certificate for {of}");
    }

    fs::write(folder.path().join("tls.crt"), "junk")?;
    until("the junk is counted", || async {
        Ok(server.metric(r#"rls_bad_tls_files_total{of="grpc_tls"}"#).await? == Some(1.0))
    })
    .await?;
    assert_eq!(check(renewed.channel(server.grpc).await?).await?, 429, "the last good one stays");
    Ok(())
}

#[tokio::test]
async fn the_http_side_asks_for_its_token_over_tls() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    write(folder.path(), "", &authority.issue(SERVER_NAME)?, "")?;
    let token = folder.path().join("token");
    fs::write(&token, "the-first-of-two-tokens\n")?;
    let flags = [
        flag("http-tls-cert", &folder, "tls.crt"),
        flag("http-tls-key", &folder, "tls.key"),
        flag("http-token-file", &folder, "token"),
    ];
    let server = Server::start(LIMITS, &flags.each_ref().map(String::as_str)).await?;
    let address: SocketAddr = server.http.trim_start_matches("http://").parse()?;
    let client = TlsClient::new(&authority, None)?;
    let send = async |method: &str, path: &str, token: Option<&str>| -> anyhow::Result<(u16, String)> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (status, body) = client.send(address, request).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    for path in ["/live", "/ready", "/metrics"] {
        assert_eq!(send("GET", path, None).await?.0, 200, "{path}");
    }
    for (method, path, token, status) in [
        ("GET", "/api/v1/tenants", None, 401),
        ("GET", "/api/v1/tenants", Some("the-second-of-two-tokens"), 401),
        ("GET", "/api/v1/tenants", Some("the-first-of-two-tokens"), 200),
        ("GET", "/api/v1/denials", None, 401),
        ("POST", "/api/v1/explain", None, 401),
        ("PUT", "/api/v1/log-level", None, 401),
        ("PUT", "/api/v1/log-level", Some("the-first-of-two-tokens"), 400),
        ("GET", "/nothing", None, 401),
        ("GET", "/nothing", Some("the-first-of-two-tokens"), 404),
    ] {
        let (found, text) = send(method, path, token).await?;
        assert_eq!(found, status, "{method} {path} {token:?}: {text}");
        assert_eq!(text.contains("--http-token-file"), status == 401, "{text}");
        assert!(!text.contains("the-first-of-two-tokens"), "{text}");
    }
    fs::write(&token, "the-second-of-two-tokens")?;
    until("the new token", || async {
        Ok(send("GET", "/api/v1/tenants", Some("the-second-of-two-tokens")).await?.0 == 200)
    })
    .await?;
    assert_eq!(send("GET", "/api/v1/tenants", Some("the-first-of-two-tokens")).await?.0, 401);
    assert!(server.page("/live").await.is_err(), "there is no plain HTTP on this port");
    Ok(())
}

#[tokio::test]
async fn without_a_token_the_log_level_is_only_read() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.page("/api/v1/log-level").await?.0, 200);
    let request = Request::put(format!("{}/api/v1/log-level", server.http));
    let (status, body) = runtime::testing::send(request, "debug").await?;
    assert_eq!((status, &body[..]), (403, &br#"{"error":"off: set --http-token-file"}"#[..]));
    Ok(())
}

#[tokio::test]
async fn envoy_in_the_same_pod_uses_a_unix_socket() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("grpc.sock");
    let server = Server::start(LIMITS, &[&format!("--grpc-listen=unix:{}", path.display())]).await?;
    assert_eq!(check(unix_channel(path.clone()).await?).await?, 429);
    server.shutdown.drain.cancel();
    timeout(SOON, server.running).await???;
    assert!(!path.exists(), "the socket is removed at the end");
    Ok(())
}

/// Connections from another address of this machine that send nothing.
async fn silent(count: usize, to: SocketAddr) -> anyhow::Result<Vec<tokio::net::TcpStream>> {
    let mut silent = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 2], 0).into())?;
        silent.push(socket.connect(to).await?);
    }
    Ok(silent)
}

#[tokio::test]
async fn a_thousand_silent_connections_shut_out_neither_envoy_nor_probes() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let _grpc = silent(1_000, server.grpc).await?;
    let http = silent(1_000, server.http.trim_start_matches("http://").parse()?).await?;
    assert_eq!(server.push("small", samples(Protocol::V1, 2)).await?.status, 429);
    assert_eq!(server.page("/ready").await?.0, 200);
    for side in ["grpc", "http"] {
        let series = |reason: &str| format!("rls_{side}_connections_closed_total{{reason=\"{reason}\"}}");
        // On a slow machine, some have been silent for too long before all are there.
        let closed = server.metric(&series("gave_way")).await?.zip(server.metric(&series("silent")).await?);
        assert!(closed.is_some_and(|(gave_way, silent)| gave_way + silent >= 1.0), "{side}: {closed:?}");
        assert_eq!(server.metric(&series("rejected")).await?, Some(0.0), "{side}");
    }
    drop(http);
    Ok(())
}
