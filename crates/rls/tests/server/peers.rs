//! Peers that behave as no proxy should: what they do may not cost anybody else's answer.

use std::time::Duration;

use h2::Reason;
use h2::client::{SendRequest, handshake};
use remote_write::Protocol;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Request;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Answer, Server, check_request, samples, until};

const LIMITS: &str = "overrides: { small: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
/// Far more than any of it takes, far less than the drain's own deadline.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn the_longest_tenant_header_of_proxies_gets_an_answer() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for (tenant, status) in [(vec!["small"; 9_000].join("|"), 429), ("x".repeat(60_000), 401)] {
        let mut request = Request::new(check_request(&[("x-scope-orgid", &tenant)], samples(Protocol::V1, 2)));
        request.metadata_mut().insert("x-scope-orgid", tenant.parse()?);
        let answer = Answer::of(server.client.clone().check(request).await?.into_inner());
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    Ok(())
}

fn check_headers(server: &Server) -> http::Request<()> {
    call_headers(server).body(()).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The headers of a Check without any of the tenant.
pub(super) fn call_headers(server: &Server) -> http::request::Builder {
    http::Request::post(format!("http://{}/envoy.service.auth.v3.Authorization/Check", server.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
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
async fn reset_calls_do_not_end_the_shared_connection() -> anyhow::Result<()> {
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

/// A frozen server that goes on meets as many resets at once.
#[tokio::test]
async fn a_burst_of_resets_does_not_end_the_connection() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let (sender, connection) = handshake(TcpStream::connect(server.grpc).await?).await?;
    let connection = tokio::spawn(connection);
    let mut sender = start_and_reset(&server, sender, 60_000).await?.ready().await?;
    let (response, _) = sender.send_request(check_headers(&server), true)?;
    assert_eq!(response.await?.status(), 200, "the connection goes on");
    assert!(!connection.is_finished());
    Ok(())
}

#[tokio::test]
async fn a_silent_connection_does_not_delay_the_drain() -> anyhow::Result<()> {
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
    let server = Server::start(LIMITS, &[]).await?;
    let (sender, connection) = handshake(TcpStream::connect(server.grpc).await?).await?;
    tokio::spawn(connection);
    let (response, mut body) = sender.ready().await?.send_request(check_headers(&server), false)?;
    let no_protobuf: &[u8] = &[0, 0, 0, 0, 2, 0xff, 0xff];
    body.send_data(no_protobuf.into(), true)?;
    assert_ne!(response.await?.headers().get("grpc-status").map(http::HeaderValue::as_bytes), Some(&b"0"[..]));
    let line = r#"rls_grpc_errors_total{code="Internal"} 1"#;
    until("the error is counted", || async { Ok(server.page("/metrics").await?.1.contains(line)) }).await
}

#[tokio::test]
async fn reflection_tells_what_is_served() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await?.and_then(|it| it.message_response)
    else {
        unreachable!("a list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in
        ["envoy.service.auth.v3.Authorization", "envoy.service.ratelimit.v3.RateLimitService", "grpc.health.v1.Health"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    Ok(())
}
