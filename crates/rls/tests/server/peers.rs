//! Peers that behave as no proxy should: what they do may not cost anybody else's answer.

use std::time::Duration;

use h2::Reason;
use h2::client::{SendRequest, handshake};
use remote_write::Protocol;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Request;

use crate::support::{Answer, Server, question, samples, until};

const LIMITS: &str = "overrides: { small: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
/// Far more than any of it takes, far less than the drain's own deadline.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_tenant_as_long_as_a_proxy_takes_gets_an_answer() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for (tenant, status) in [(vec!["small"; 9_000].join("|"), 429), ("x".repeat(60_000), 401)] {
        let mut request = Request::new(question(&[("x-scope-orgid", &tenant)], samples(Protocol::V1, 2)));
        request.metadata_mut().insert("x-scope-orgid", tenant.parse()?);
        let answer = Answer::of(server.client.clone().check(request).await?.into_inner());
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    Ok(())
}

fn check_headers(server: &Server) -> http::Request<()> {
    http::Request::post(format!("http://{}/envoy.service.auth.v3.Authorization/Check", server.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// Starts `calls` and resets each before the server can have seen it.
async fn start_and_reset(
    server: &Server,
    mut sender: SendRequest<bytes::Bytes>,
    calls: usize,
) -> anyhow::Result<SendRequest<bytes::Bytes>> {
    for _ in 0..calls {
        sender = sender.ready().await?;
        let (_, mut body) = sender.send_request(check_headers(server), false)?;
        body.send_reset(Reason::CANCEL);
    }
    Ok(sender)
}

#[tokio::test]
async fn calls_that_are_reset_do_not_end_the_connection_that_others_share() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let (mut sender, connection) = handshake(TcpStream::connect(server.grpc).await?).await?;
    let connection = tokio::spawn(connection);
    for _ in 0..20 {
        sender = start_and_reset(&server, sender, 100).await?;
        sender = sender.ready().await?;
        let (response, _) = sender.send_request(check_headers(&server), true)?;
        assert_eq!(response.await?.status(), 200, "the connection goes on");
    }
    assert!(!connection.is_finished());
    Ok(())
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_hold_up_a_drain() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let silent = TcpStream::connect(server.grpc).await?;
    assert_eq!(server.push("any", samples(Protocol::V1, 1)).await?.status, 200);
    server.shutdown.drain.cancel();
    timeout(SOON, server.running).await???;
    drop(silent);
    Ok(())
}

#[tokio::test]
async fn a_call_that_ends_in_an_error_is_counted() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--max-request-bytes=1KiB"]).await?;
    let too_large_for_any_answer = server.push("any", vec![0; 2 << 20]).await;
    assert!(too_large_for_any_answer.is_err());
    let line = r#"rls_grpc_errors_total{code="OutOfRange"} 1"#;
    until("the error is counted", || async { Ok(server.page("/metrics").await?.1.contains(line)) }).await
}
