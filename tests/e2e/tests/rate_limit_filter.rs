//! What Envoy's ratelimit filter sends to mimir-rls, and what it does with the response, seen by a server in place of mimir-rls.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use e2e::{Envoy, EnvoySettings, Response as HttpResponse, Upstream, push_request, samples, send};
use proto::envoy::config::core::v3::HeaderValue;
use proto::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use proto::google::rpc::Status as RpcStatus;
use proto::well_known::value::Kind;
use proto::well_known::{Struct, Value};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

const TEXT: &str = "over the limit of the rate limit service\n";

/// Allows every Check, says that the push costs `cost`, and records the calls of the ratelimit filter.
#[derive(Clone)]
struct Recorder {
    cost: Option<&'static str>,
    answer: Result<Code, tonic::Code>,
    calls: Arc<Mutex<Vec<(MetadataMap, RateLimitRequest)>>>,
}

#[async_trait]
impl Authorization for Recorder {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let cost = |cost: &str| {
            let value = Value { kind: Some(Kind::StringValue(cost.to_owned())) };
            Struct { fields: [("samples_str".to_owned(), value)].into() }
        };
        let status = Some(RpcStatus { code: 0, ..RpcStatus::default() });
        Ok(Response::new(CheckResponse { status, dynamic_metadata: self.cost.map(cost), ..CheckResponse::default() }))
    }
}

#[async_trait]
impl RateLimitService for Recorder {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.calls.lock().expect("no test panics here").push((metadata, message));
        let code = self.answer.map_err(|code| Status::new(code, "as the test wants it"))?;
        let mut answer = RateLimitResponse::default();
        answer.set_overall_code(code);
        if code == Code::OverLimit {
            answer.raw_body = Bytes::from_static(TEXT.as_bytes());
            answer.response_headers_to_add =
                [("content-type", "text/plain; charset=utf-8"), ("retry-after", "7")].map(header).to_vec();
        }
        Ok(Response::new(answer))
    }
}

fn header((key, value): (&str, &str)) -> HeaderValue {
    HeaderValue { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()), ..HeaderValue::default() }
}

struct Setup {
    envoy: Envoy,
    upstream: Upstream,
    recorder: Recorder,
    _folder: TempDir,
}

impl Setup {
    async fn start(percent_on: bool, cost: Option<&'static str>, answer: Result<Code, tonic::Code>) -> Self {
        let settings =
            EnvoySettings { charge_samples_in_rate_limit: percent_on, ..EnvoySettings::with_rls(Vec::new()) };
        Self::start_with(settings, cost, answer).await
    }

    async fn start_with(
        settings: EnvoySettings,
        cost: Option<&'static str>,
        answer: Result<Code, tonic::Code>,
    ) -> Self {
        let recorder = Recorder { cost, answer, calls: Arc::default() };
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<AuthorizationServer<Recorder>>().await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let server = Server::builder()
            .add_service(health)
            .add_service(AuthorizationServer::new(recorder.clone()))
            .add_service(RateLimitServiceServer::new(recorder.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

        let (upstream, folder) = (Upstream::start(), tempfile::tempdir().expect("a folder can be made"));
        let settings = EnvoySettings { upstream_port: Some(upstream.port()), rls_grpc_ports: vec![port], ..settings };
        let envoy = Envoy::start(folder.path(), &settings);
        envoy.wait_for_healthy_rls(1);
        Self { envoy, upstream, recorder, _folder: folder }
    }

    fn push(&self, tenant: &str) -> HttpResponse {
        send(self.envoy.port(), &push_request(tenant, &samples(1).bytes))
    }

    fn calls(&self) -> Vec<(MetadataMap, RateLimitRequest)> {
        self.recorder.calls.lock().expect("no test panics here").clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_sends_nothing_when_check_charges_the_samples() {
    let setup = Setup::start(false, Some("100000"), Ok(Code::OverLimit)).await;
    assert_eq!(setup.push("team").status, 200);
    assert_eq!(setup.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_sends_the_samples_that_check_counted() {
    let setup = Setup::start(true, Some("100000"), Ok(Code::Ok)).await;
    assert_eq!(setup.push("team:k=v").status, 200);
    let calls = setup.calls();
    let [(metadata, call)] = calls.as_slice() else { unreachable!("{} calls", calls.len()) };
    assert_eq!(call.domain, "mimir");
    let [descriptor] = call.descriptors.as_slice() else { unreachable!("{call:?}") };
    assert_eq!(descriptor.hits_addend, Some(100_000));
    let entries: Vec<(&str, &[u8])> =
        descriptor.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_ref())).collect();
    assert_eq!(entries, [("tenant", b"team:k=v".as_slice())]);
    assert_eq!(metadata.get("x-scope-orgid").map(AsRef::as_ref), Some(b"team:k=v".as_slice()));
    assert_eq!(setup.upstream.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_sends_nothing_for_an_uncharged_push() {
    let setup = Setup::start(true, None, Ok(Code::OverLimit)).await;
    assert_eq!(setup.push("team").status, 200);
    assert_eq!(setup.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_the_client_unchanged() {
    let setup = Setup::start(true, Some("10"), Ok(Code::OverLimit)).await;
    let answer = setup.push("team");
    assert_eq!((answer.status, answer.text().as_ref()), (429, TEXT));
    assert_eq!(answer.headers.all("content-type").collect::<Vec<_>>(), [b"text/plain; charset=utf-8"]);
    assert_eq!(answer.headers.all("retry-after").collect::<Vec<_>>(), [b"7"]);
    assert_eq!(answer.headers.names().find(|name| name.starts_with("x-envoy")), None);
    assert_eq!(setup.upstream.requests().len(), 0);
}

/// A metric of the filter, which Envoy counts for the cluster that the push is for.
fn counted(setup: &Setup, metric: &str) -> Option<f64> {
    setup.envoy.metric(&format!(r#"envoy_cluster_ratelimit_{metric}{{envoy_cluster_name="mimir"}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_cannot_be_charged_get_503_with_a_reason() {
    let setup = Setup::start(true, Some("10"), Err(tonic::Code::Unavailable)).await;
    let answer = setup.push("team");
    assert_eq!((answer.status, answer.reason().as_deref()), (503, Some("not_checked")), "{}", answer.text());
    assert_eq!(answer.headers.get("retry-after").as_deref(), Some("1"));
    assert!(answer.text().ends_with("(err-edge-not-checked)\n"), "{}", answer.text());
    assert_eq!(setup.upstream.requests().len(), 0);
    assert_eq!((counted(&setup, "error"), counted(&setup, "failure_mode_allowed")), (Some(1.0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_fails_open_forwards_uncharged_samples() {
    let fails_open = EnvoySettings {
        charge_samples_in_rate_limit: true,
        failure_mode_allow: true,
        ..EnvoySettings::with_rls(Vec::new())
    };
    let setup = Setup::start_with(fails_open, Some("10"), Err(tonic::Code::Unavailable)).await;
    assert_eq!(setup.push("team").status, 200);
    assert_eq!(setup.upstream.requests().len(), 1);
    assert_eq!((counted(&setup, "error"), counted(&setup, "failure_mode_allowed")), (Some(1.0), Some(1.0)));
}
