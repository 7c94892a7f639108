//! The life of a mimir-rls, from a start without limits to a drain.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use e2e::{Edge, Load, MimirRls, Signal, WatchedFile, push_request, samples, until};
use h2::client::{ResponseFuture, handshake};
use h2::{Ping, SendStream};
use http::{HeaderMap, Request};
use prost::Message;
use proto::envoy::config::core::v3::{HeaderMap as EnvoyHeaders, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as EnvoyRequest};
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMITS: &str = "overrides: { team: {} }";

#[test]
fn nothing_is_served_before_the_first_good_limits() {
    let limits = WatchedFile::absent();
    let edge = Edge::builder().start_unready(limits);
    let body = samples(1).bytes;
    assert_eq!(edge.rls.readiness(), Some(503));
    edge.envoy.wait_for_healthy_rls(0);
    assert_eq!(edge.push("team", &body).status, 503);

    edge.limits.write("overrides: [");
    until("the broken limits are a problem", || {
        edge.rls.metric("rls_limits_problems").is_some_and(|problems| problems > 0.0)
    });
    assert_eq!(edge.rls.readiness(), Some(503));
    assert_eq!(edge.upstream.requests().len(), 0);

    edge.limits.write(LIMITS);
    until("mimir-rls is ready", || edge.rls.readiness() == Some(200));
    until("pushes are served", || edge.push("team", &body).status == 200);
    assert_eq!(edge.upstream.requests().len(), 1);
}

#[test]
fn a_drain_under_load_loses_no_push() {
    let mut edge = Edge::builder().rls_arguments(&["--drain-delay=4s"]).start(LIMITS);
    let load = Load::start(edge.port(), vec![push_request("team", &samples(10).bytes); 3]);
    load.wait_for_more_of(200, 50);
    edge.rls.process.signal(Signal::TERM);
    until("mimir-rls is not ready", || edge.rls.readiness() == Some(503));

    // It goes on deciding until Envoy has seen that it is going (2 failed health checks, one a second, of the 4 s), and no longer.
    edge.envoy.wait_for_healthy_rls(0);
    assert!(edge.rls.process.ended().is_none(), "mimir-rls went before Envoy turned away from it");
    load.wait_for_more_of(503, 50);
    assert!(edge.rls.process.wait().success());
    let tally = load.stop();

    assert_eq!(tally.of(200) + tally.of(503), tally.answers(), "{tally:?}");
    assert_eq!(edge.upstream.requests().len(), tally.of(200));
    // Every 503 was given because there was no healthy mimir-rls; none because a Check broke off.
    let broken = edge.envoy.metric(r#"envoy_cluster_upstream_rq_rx_reset{envoy_cluster_name="mimir_rls"}"#);
    assert_eq!(broken.unwrap_or_default(), 0.0);
}

/// A Check as Envoy sends it, in gRPC's framing.
#[test]
fn a_second_signal_ends_a_drain_immediately() {
    let mut edge = Edge::builder().rls_arguments(&["--drain-delay=600s"]).start(LIMITS);
    edge.rls.process.signal(Signal::TERM);
    until("mimir-rls drains", || edge.rls.readiness() == Some(503));
    assert!(edge.rls.process.ended().is_none());
    edge.rls.process.signal(Signal::TERM);
    assert_eq!(edge.rls.process.wait().code(), Some(1), "a drain that was cut short is no success");
    assert!(edge.rls.process.log().contains("second signal"), "{}", edge.rls.process.log());
}

fn check_message(tenant: &str, body: &[u8]) -> Bytes {
    let header = |key: &str, value: &str| HeaderValue {
        key: key.to_owned(),
        raw_value: Bytes::copy_from_slice(value.as_bytes()),
        ..HeaderValue::default()
    };
    let http = HttpRequest {
        raw_body: Bytes::copy_from_slice(body),
        header_map: Some(EnvoyHeaders {
            headers: vec![header("x-scope-orgid", tenant), header("content-type", "application/x-protobuf")],
        }),
        ..HttpRequest::default()
    };
    let request = EnvoyRequest { http: Some(http) };
    let message =
        CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) };
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).expect("a small message"));
    message.encode(&mut framed).expect("a buffer that grows");
    framed.freeze()
}

/// Opens a Check and sends half of its message; the other half is still to be sent when this returns.
async fn send_half(rls: &MimirRls, message: &Bytes) -> (ResponseFuture, SendStream<Bytes>) {
    let stream = TcpStream::connect(("127.0.0.1", rls.grpc_port())).await.expect("mimir-rls accepts");
    let (client, mut connection) = handshake(stream).await.expect("mimir-rls speaks HTTP/2");
    let mut ping_pong = connection.ping_pong().expect("the connection was not asked before");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("the connection is good");
    let request = Request::post("http://edge/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a legal request");
    let (response, mut sending) = client.send_request(request, false).expect("a stream can be opened");
    sending.send_data(message.slice(..message.len() / 2), false).expect("half a message can be sent");
    // The response to a ping shows that what was sent before it has been read.
    ping_pong.ping(Ping::opaque()).await.expect("mimir-rls answers pings");
    (response, sending)
}

/// The message and the gRPC status of an answer.
async fn finish(response: ResponseFuture) -> (CheckResponse, HeaderMap) {
    let mut body = response.await.expect("an answer").into_body();
    let mut framed = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.expect("the rest of the answer");
        body.flow_control().release_capacity(chunk.len()).expect("what was received can be released");
        framed.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await.expect("trailers").unwrap_or_default();
    (CheckResponse::decode(framed.freeze().slice(5..)).expect("a CheckResponse"), trailers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_flight_is_answered_before_a_drain_ends() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::absent();
    limits.write(LIMITS);
    let mut rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));

    let message = check_message("team", &samples(100).bytes);
    let (response, mut sending) = send_half(&rls, &message).await;
    rls.process.signal(Signal::TERM);
    until("mimir-rls takes no more connections", || {
        std::net::TcpStream::connect(("127.0.0.1", rls.grpc_port())).is_err()
    });
    assert!(rls.process.ended().is_none(), "mimir-rls did not wait for the Check");

    sending.send_data(message.slice(message.len() / 2..), true).expect("the rest can be sent");
    let (answer, trailers) = timeout(Duration::from_secs(10), finish(response)).await.expect("an answer in time");
    assert_eq!(answer.status.map(|status| status.code), Some(0));
    assert_eq!(trailers.get("grpc-status").map(http::HeaderValue::as_bytes), Some(b"0".as_slice()));
    assert!(rls.process.wait().success());
}
