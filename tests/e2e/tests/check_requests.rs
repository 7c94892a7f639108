//! What Envoy sends in a Check, seen by a server in place of mimir-rls.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::sync::{Arc, Mutex};

use e2e::{Envoy, EnvoySettings, Upstream, push_request, samples, send};
use proto::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use proto::google::rpc::Status as RpcStatus;
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

type Checks = Arc<Mutex<Vec<(MetadataMap, CheckRequest)>>>;

/// Records every Check and allows every push.
struct Recorder(Checks);

#[async_trait]
impl Authorization for Recorder {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.0.lock().expect("no test panics here").push((metadata, message));
        let status = Some(RpcStatus { code: 0, ..RpcStatus::default() });
        Ok(Response::new(CheckResponse { status, ..CheckResponse::default() }))
    }
}

async fn start_recorder() -> (u16, Checks) {
    let checks = Checks::default();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<AuthorizationServer<Recorder>>().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let service = AuthorizationServer::new(Recorder(Arc::clone(&checks)));
    tokio::spawn(
        Server::builder().add_service(health).add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
    );
    (port, checks)
}

/// The values of a header in a Check, one for each line that the client sent.
fn header_values<'q>(check: &'q CheckRequest, name: &str) -> Vec<&'q [u8]> {
    let http = check.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let lines = http.and_then(|http| http.header_map.as_ref()).map(|map| map.headers.as_slice()).unwrap_or_default();
    lines.iter().filter(|line| line.key == name).map(|line| line.raw_value.as_ref()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_carries_only_headers_that_mimir_rls_reads() {
    let (rls_grpc_port, checks) = start_recorder().await;
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().expect("a folder can be made"));
    let settings =
        EnvoySettings { upstream_port: Some(upstream.port()), ..EnvoySettings::with_rls(vec![rls_grpc_port]) };
    let envoy = Envoy::start(folder.path(), &settings);
    envoy.wait_for_healthy_rls(1);
    let body = samples(100).bytes;
    let request = push_request("team:k=v", &body)
        .header("Authorization", "Bearer secret")
        .header("proxy-authorization", "Basic secret")
        .header("Cookie", "secret")
        .header("X-Api-Key", "secret")
        .header("X-Twice", "1")
        .header("Retry-Attempt", "1")
        .header("retry-attempt", b"2\xff")
        .header("X-Mimir-SkipLabelNameValidation", "true")
        .header("X-Mimir-SkipLabelCountValidation", "true")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "a=b")
        .header("X-Envoy-Auth-Partial-Body", "true");
    assert_eq!(send(envoy.port(), &request).status, 200);

    let checks = checks.lock().expect("no test panics here");
    let [(metadata, check)] = checks.as_slice() else { unreachable!("{} Checks for one push", checks.len()) };
    let http = check.attributes.as_ref().and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    assert_eq!(http.map(|http| http.raw_body.as_ref()), Some(body.as_slice()));
    for (name, expected) in [
        ("x-scope-orgid", &[b"team:k=v".as_slice()] as &[&[u8]]),
        ("content-type", &[b"application/x-protobuf"]),
        ("content-length", &[body.len().to_string().as_bytes()]),
        ("retry-attempt", &[b"1", b"2\xff"]),
        ("x-mimir-skiplabelnamevalidation", &[b"true"]),
        ("x-mimir-skiplabelcountvalidation", &[b"true"]),
        ("traceparent", &[b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
        ("tracestate", &[b"a=b"]),
        ("x-envoy-auth-partial-body", &[b"false"]),
    ] {
        assert_eq!(header_values(check, name), expected, "{name}");
    }
    // No other header, so no credential.
    let lines = http.and_then(|http| http.header_map.as_ref()).map_or(0, |map| map.headers.len());
    assert_eq!((lines, http.map_or(0, |http| http.headers.len())), (10, 0), "{http:?}");
    // Envoy makes no trace of its own.
    assert!(!metadata.contains_key("traceparent"), "{metadata:?}");
    // What the choice of a replica, and its bound on a tenant's bytes in flight, go by.
    assert_eq!(metadata.get("x-scope-orgid").map(AsRef::as_ref), Some(b"team:k=v".as_slice()));
    assert_eq!(upstream.requests().len(), 1);
}
