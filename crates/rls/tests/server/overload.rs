//! More than the edge may hold at once: who is denied, who is not, and that everything reserved comes back.

use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest, handshake};
use prost::Message;
use proto::envoy::service::auth::v3::CheckResponse;
use remote_write::Protocol;
use rls::{Args, Config};
use tokio::net::TcpStream;
use tonic::Request;

use crate::peers::call_headers;
use crate::support::{Answer, Server, check_request, samples, until};

/// A tenant of each mode: the entry of `watched` was never good.
const LIMITS: &str = "watched.ingestion_rate: lots\nothers.ingestion_rate: 1\n";
/// The largest message is the largest body and 1 MiB around it; a tenant's share is exactly that.
const FLAGS: [&str; 2] = ["--max-request-bytes=1MiB", "--max-in-flight-bytes=8MiB"];
const LARGEST: u32 = 2 << 20;
/// Fits a share once, together with the headers of its call.
const MOST: u32 = LARGEST - 8192;
/// So much of a message has to arrive until all of the largest is reserved.
static HALF: [u8; 1 << 20] = [0; 1 << 20];

/// A connection of its own, whose calls can stop anywhere.
struct Peer {
    sender: SendRequest<Bytes>,
}

impl Peer {
    async fn of(server: &Server) -> anyhow::Result<Self> {
        let (sender, connection) = handshake(TcpStream::connect(server.grpc).await?).await?;
        tokio::spawn(connection);
        Ok(Self { sender: sender.ready().await? })
    }

    /// Starts a call with the header of a message of `length` bytes and this much of it.
    async fn announce(&mut self, server: &Server, tenant: &str, length: u32, sent: &[u8]) -> anyhow::Result<Call> {
        let headers = call_headers(server);
        self.start(if tenant.is_empty() { headers } else { headers.header("x-scope-orgid", tenant) }, length, sent)
            .await
    }

    async fn start(&mut self, headers: http::request::Builder, length: u32, sent: &[u8]) -> anyhow::Result<Call> {
        let mut start = BytesMut::new();
        start.put_u8(0);
        start.put_u32(length);
        start.put_slice(sent);
        self.sender = self.sender.clone().ready().await?;
        let (response, mut body) = self.sender.send_request(headers.body(())?, false)?;
        body.send_data(start.freeze(), false)?;
        Ok(Call { response, body })
    }
}

/// A call whose message is not complete.
struct Call {
    response: ResponseFuture,
    body: SendStream<Bytes>,
}

impl Call {
    /// The answer, which came although the message did not.
    async fn answer(self) -> anyhow::Result<Answer> {
        let mut stream = self.response.await?.into_body();
        let mut frame = BytesMut::new();
        while let Some(data) = stream.data().await.transpose()? {
            stream.flow_control().release_capacity(data.len())?;
            frame.extend_from_slice(&data);
        }
        let trailers = stream.trailers().await?.unwrap_or_default();
        assert_eq!(trailers.get("grpc-status").map(http::HeaderValue::as_bytes), Some(&b"0"[..]));
        assert_eq!(frame.get(..5), Some(&[&[0], &u32::try_from(frame.len() - 5)?.to_be_bytes()[..]].concat()[..]));
        Ok(Answer::of(CheckResponse::decode(frame.split_off(5))?))
    }
}

/// Asks as our Envoy does, with the tenant in the call's metadata too.
async fn push(server: &Server, tenant: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let mut request = Request::new(check_request(&[("x-scope-orgid", tenant)], body));
    request.metadata_mut().insert("x-scope-orgid", tenant.parse()?);
    Ok(Answer::of(server.client.clone().check(request).await?.into_inner()))
}

fn one() -> Vec<u8> {
    samples(Protocol::V1, 1)
}

async fn metric(server: &Server, name: &str) -> anyhow::Result<u64> {
    let page = server.page("/metrics").await?.1;
    let value = page.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    value.ok_or_else(|| anyhow::anyhow!("no {name}: {page}"))?.parse().map_err(anyhow::Error::from)
}

/// Waits until at least so many bytes are reserved.
async fn reserved(server: &Server, bytes: u64) -> anyhow::Result<()> {
    until("bytes are reserved", || async { Ok(metric(server, "rls_in_flight_bytes ").await? >= bytes) }).await
}

async fn nothing_reserved(server: &Server) -> anyhow::Result<()> {
    until("nothing is reserved", || async { Ok(metric(server, "rls_in_flight_bytes ").await? == 0) }).await
}

#[track_caller]
fn overloaded(answer: &Answer, says: &str) {
    assert_eq!((answer.status, answer.header("x-mimir-edge-reason")), (503, Some("edge_overloaded")), "{answer:?}");
    assert!(answer.body.contains(says) && answer.body.contains("(err-edge-overloaded)"), "{}", answer.body);
    let seconds = answer.header("retry-after").map(str::parse::<u64>);
    assert!(seconds.as_ref().is_some_and(|seconds| matches!(seconds, Ok(1..60))), "{seconds:?}");
}

#[tokio::test]
async fn only_a_tenant_over_its_share_is_denied() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    assert_eq!(metric(&server, "rls_in_flight_bytes_limit ").await?, 8 << 20);
    let mut peer = Peer::of(&server).await?;
    let first = peer.announce(&server, "team-a", MOST, &HALF).await?;
    reserved(&server, MOST.into()).await?;
    for spelling in ["team-a", "team-a|team-a", "team-a:k=v"] {
        let denied = peer.announce(&server, spelling, MOST, &HALF).await?.answer().await?;
        overloaded(&denied, "the tenant's share of 2097152 bytes");
    }
    overloaded(&push(&server, "team-a", vec![0; 8192]).await?, "the tenant's share");
    assert_eq!(push(&server, "team-b", one()).await?.status, 200);
    assert_eq!(server.push("team-a", one()).await?.status, 200, "without metadata the tenant is not known");
    let line = r#"rls_decisions_total{decision="deny",mode="enforce",reason="edge_overloaded"} "#;
    assert_eq!(metric(&server, line).await?, 4);
    drop(first);
    nothing_reserved(&server).await?;
    assert_eq!(push(&server, "team-a", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn calls_whose_tenant_is_not_known_share_one_share() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let _first = peer.announce(&server, "", MOST, &HALF).await?;
    reserved(&server, MOST.into()).await?;
    for tenant in ["", "a,b", "a|b", ".."] {
        overloaded(&peer.announce(&server, tenant, MOST, &HALF).await?.answer().await?, "the tenant's share");
    }
    let twice = call_headers(&server).header("x-scope-orgid", "a").header("x-scope-orgid", "a");
    overloaded(&peer.start(twice, MOST, &HALF).await?.answer().await?, "the tenant's share");
    assert_eq!(push(&server, "team-a", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_full_edge_denies_every_push() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let mut calls = Vec::new();
    for tenant in ["a", "b", "c", "d"] {
        calls.push(peer.announce(&server, tenant, LARGEST, &HALF).await?);
    }
    reserved(&server, 4 * u64::from(MOST)).await?;
    overloaded(&push(&server, "e", one()).await?, "fills its 8388608 bytes");
    drop(calls);
    nothing_reserved(&server).await?;
    assert_eq!(push(&server, "e", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_reserved_comes_back_however_a_call_ends() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    for round in 0..3 {
        assert_eq!(push(&server, "answered", vec![0xff; 1 << 20]).await?.status, 400);
        nothing_reserved(&server).await?;
        let mut peer = Peer::of(&server).await?;
        let mut reset = peer.announce(&server, "reset", MOST, &HALF).await?;
        let cut = peer.announce(&server, "cut", MOST, &HALF).await?;
        reserved(&server, 2 * u64::from(MOST)).await?;
        reset.body.send_reset(h2::Reason::CANCEL);
        until("the reset call is forgotten", || async {
            Ok(metric(&server, "rls_in_flight_bytes ").await? < 2 * u64::from(MOST))
        })
        .await?;
        assert!(metric(&server, "rls_in_flight_bytes ").await? >= MOST.into(), "{round}: one is still there");
        drop((reset, cut, peer));
        nothing_reserved(&server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_over_the_largest_is_answered_before_it_came() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    for length in [LARGEST + 1, u32::MAX] {
        let answer = peer.announce(&server, "any", length, b"x").await?.answer().await?;
        assert_eq!((answer.status, answer.header("x-mimir-edge-reason")), (413, Some("body_too_large")));
        assert!(answer.body.contains(&format!("a message of {length} bytes")), "{}", answer.body);
        assert!(answer.body.contains("reads up to 1048576 bytes") && answer.body.contains("--max-request-bytes"));
    }
    let whole = push(&server, "any", vec![0; 3 << 20]).await?;
    assert_eq!((whole.status, whole.header("retry-after")), (413, None));
    nothing_reserved(&server).await?;
    assert!(!server.page("/metrics").await?.1.contains(r#"rls_grpc_errors_total{code="OutOfRange"} 1"#));
    Ok(())
}

#[tokio::test]
async fn in_shadow_it_is_only_counted() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let _first = peer.announce(&server, "watched", MOST, &HALF).await?;
    reserved(&server, MOST.into()).await?;
    assert_eq!(push(&server, "watched", vec![0; 1 << 20]).await?.status, 200);
    assert_eq!(peer.announce(&server, "watched", LARGEST + 1, b"").await?.answer().await?.status, 200);
    for reason in ["edge_overloaded", "body_too_large"] {
        let line = format!(r#"rls_decisions_total{{decision="deny",mode="shadow",reason="{reason}"}} "#);
        assert_eq!(metric(&server, &line).await?, 1, "{reason}");
    }
    Ok(())
}

/// 2,000 claims of the largest message, five bytes each: 100 KB that once reserved 2,000 times 2 MiB.
#[tokio::test]
async fn lengths_that_are_only_claimed_reserve_no_message() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--max-request-bytes=16MiB", "--max-in-flight-bytes=256MiB"]).await?;
    let (mut peer, mut claims) = (Peer::of(&server).await?, Vec::new());
    for claim in 0..2_000 {
        claims.push(peer.announce(&server, &format!("claims-{}", claim % 4), 16 << 20, b"").await?);
    }
    reserved(&server, 2_000 * 4096).await?;
    let bytes = metric(&server, "rls_in_flight_bytes ").await?;
    assert!(bytes < 2_000 * 5_000, "{bytes} bytes");
    assert_eq!(push(&server, "claims-0", vec![0xff; 12 << 20]).await?.status, 400, "it is read");
    assert_eq!(push(&server, "other", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_stalled_message_gives_way_to_others_of_its_tenant() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let stalled = peer.announce(&server, "team-a", MOST, &HALF).await?;
    reserved(&server, MOST.into()).await?;
    overloaded(&push(&server, "team-a", vec![0; 8192]).await?, "the tenant's share");
    overloaded(&stalled.answer().await?, "came too slowly");
    nothing_reserved(&server).await?;
    assert_eq!(push(&server, "team-a", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn late_messages_are_answered_before_the_caller_gives_up() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let headers = call_headers(&server).header("x-scope-orgid", "slow").header("grpc-timeout", "500m");
    let denied = peer.start(headers, 1000, b"abc").await?.answer().await?;
    overloaded(&denied, "could not read it within 400ms");
    nothing_reserved(&server).await?;
    Ok(())
}

#[tokio::test]
async fn framing_survives_single_bytes_and_trailing_data() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut peer = Peer::of(&server).await?;
    let message = check_request(&[("x-scope-orgid", "")], one()).encode_to_vec();
    let mut call = peer.announce(&server, "any", u32::try_from(message.len())?, b"").await?;
    for byte in message {
        call.body.send_data(Bytes::copy_from_slice(&[byte]), false)?;
    }
    // A second message, for which nothing is reserved, is not read: else its length would be rejected.
    call.body.send_data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]), true)?;
    assert_eq!(call.answer().await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn unread_answers_delay_no_other_client() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let (tenant, mut peer) = ("x".repeat(30_000) + ",", Peer::of(&server).await?);
    let message = check_request(&[("x-scope-orgid", &tenant)], one()).encode_to_vec();
    let mut calls = Vec::new();
    for _ in 0..50 {
        let mut call = peer.announce(&server, "slow", u32::try_from(message.len())?, &message).await?;
        call.body.send_data(Bytes::new(), true)?;
        calls.push(call);
    }
    // Their answers repeat the tenant: 1.5 MB, of which the peer's window takes 64 KiB.
    until("all are decided", || async {
        let line = r#"rls_decisions_total{decision="deny",mode="enforce",reason="tenant_invalid"} "#;
        Ok(metric(&server, line).await? == 50)
    })
    .await?;
    nothing_reserved(&server).await?;
    assert_eq!(push(&server, "slow", one()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn many_connections_are_served_at_once() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAGS).await?;
    let mut calls = Vec::new();
    for number in 0..200 {
        let mut peer = Peer::of(&server).await?;
        let call = peer.announce(&server, &format!("tenant-{number}"), LARGEST + 1, b"").await?;
        calls.push((peer, call));
    }
    for (_peer, call) in calls {
        assert_eq!(call.answer().await?.status, 413);
    }
    for reason in ["rejected", "gave_way", "silent", "handshake", "unread"] {
        let series = format!("rls_grpc_connections_closed_total{{reason=\"{reason}\"}} ");
        assert_eq!(metric(&server, &series).await?, 0, "{reason}");
    }
    Ok(())
}

#[test]
fn a_budget_that_cannot_hold_the_largest_push_is_rejected() {
    let config = |flags: &[&str]| {
        let args = ["mimir-rls", "--limits=file:x"].iter().chain(flags);
        Config::try_from(Args::try_parse_from(args).unwrap()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(config(&[]), Ok(()));
    assert_eq!(config(&["--max-request-bytes=2GiB"]), Ok(()), "the default grows with the largest push");
    assert_eq!(config(&["--max-request-bytes=1MiB", "--max-in-flight-bytes=8388608"]), Ok(()));
    let rejected = config(&["--max-request-bytes=1MiB", "--max-in-flight-bytes=8388607"]).unwrap_err();
    assert!(
        ["--max-in-flight-bytes", "--max-request-bytes", "8388608 bytes"].iter().all(|part| rejected.contains(part)),
        "{rejected}"
    );
}
