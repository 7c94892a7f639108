//! A server in this process on free ports, with a limits file of the test's, and the requests that Envoy sends.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Parser;
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use remote_write::Protocol;
use rls::{App, Args, Config};
use runtime::Shutdown;
use runtime::testing::logs;
pub(crate) use runtime::testing::until;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

pub(crate) struct Server {
    pub(crate) limits: PathBuf,
    pub(crate) edge_config: PathBuf,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: String,
    pub(crate) client: AuthorizationClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start(limits: &str, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, Some(limits), flags).await
    }

    /// With an edge config too.
    pub(crate) async fn start_with(limits: &str, edge_config: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("edge.yaml");
        std::fs::write(&path, edge_config)?;
        let flag = format!("--edge-config={}", path.display());
        Self::start_in(folder, Some(limits), &[&[flag.as_str()], flags].concat()).await
    }

    /// With the files of a folder; without `limits` there is no limits file.
    pub(crate) async fn start_in(folder: TempDir, limits: Option<&str>, flags: &[&str]) -> anyhow::Result<Self> {
        let path = folder.path().join("runtime.yaml");
        if let Some(limits) = limits {
            std::fs::write(&path, limits)?;
        }
        let source = format!("file:{}", path.display());
        Self::start_by(folder, &source, flags).await
    }

    /// With limits from a feed.
    pub(crate) async fn start_from(feed: &str, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_by(tempfile::tempdir()?, feed, flags).await
    }

    async fn start_by(folder: TempDir, source: &str, flags: &[&str]) -> anyhow::Result<Self> {
        let fixed = ["mimir-rls", "--http-listen=127.0.0.1:0", "--limits", source];
        let listens = flags.iter().any(|flag| flag.starts_with("--grpc-listen"));
        let grpc = (!listens).then_some("--grpc-listen=127.0.0.1:0");
        let args = Args::try_parse_from(fixed.into_iter().chain(grpc).chain(flags.iter().copied()))?;
        let shutdown = Shutdown::default();
        let config = Config::try_from(args)?;
        let app = App::build(config, logs()).await?;
        let grpc = app.grpc_address().tcp().unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let channel = Channel::from_shared(format!("http://{grpc}"))?.connect_lazy();
        Ok(Self {
            limits: folder.path().join("runtime.yaml"),
            edge_config: folder.path().join("edge.yaml"),
            grpc,
            http: format!("http://{}", app.http_address()),
            client: AuthorizationClient::new(channel.clone()),
            channel,
            running: tokio::spawn(app.run(shutdown.clone())),
            shutdown,
            _folder: folder,
        })
    }

    /// Asks as Envoy does with `encode_raw_headers`.
    pub(crate) async fn ask(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Result<CheckResponse, tonic::Status> {
        self.check(check_request(headers, body)).await
    }

    pub(crate) async fn check(&self, request: CheckRequest) -> Result<CheckResponse, tonic::Status> {
        self.client.clone().check(request).await.map(tonic::Response::into_inner)
    }

    /// Pushes `body` as remote write 1.0 for `tenant`.
    pub(crate) async fn push(&self, tenant: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        Ok(Answer::of(self.ask(&[("x-scope-orgid", tenant)], body).await?))
    }

    /// Asks the rate limit service for one descriptor.
    pub(crate) async fn should_rate_limit(
        &self,
        key: &str,
        value: &str,
        hits: u64,
    ) -> anyhow::Result<RateLimitResponse> {
        let entry = Entry { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) };
        let descriptor =
            RateLimitDescriptor { entries: vec![entry], hits_addend: Some(hits), ..RateLimitDescriptor::default() };
        self.rate_limit(RateLimitRequest { domain: "mimir".to_owned(), descriptors: vec![descriptor], hits_addend: 0 })
            .await
    }

    pub(crate) async fn rate_limit(&self, request: RateLimitRequest) -> anyhow::Result<RateLimitResponse> {
        let mut client = RateLimitServiceClient::new(self.channel.clone());
        Ok(client.should_rate_limit(request).await?.into_inner())
    }

    /// The value of a series of `/metrics`; `None` if there is no such series.
    pub(crate) async fn metric(&self, series: &str) -> anyhow::Result<Option<f64>> {
        let (_, text) = self.page("/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?)
    }

    /// A page of the admin API that is there.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let (status, text) = self.page(path).await?;
        anyhow::ensure!(status == 200, "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Status and text of a page of the HTTP side.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let (status, body) = runtime::testing::get(format!("{}{path}", self.http)).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }
}

pub(crate) fn check_request(headers: &[(&str, &str)], body: Vec<u8>) -> CheckRequest {
    let line = |(key, value): &(&str, &str)| HeaderValue {
        key: (*key).to_owned(),
        value: Bytes::new(),
        raw_value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers: headers.iter().map(line).collect() }),
        raw_body: body.into(),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext { request: Some(Request { http: Some(http) }), ..AttributeContext::default() };
    CheckRequest { attributes: Some(attributes) }
}

/// What the client of the proxy would see.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 200 stands for "goes to Mimir".
    pub(crate) status: i32,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn of(response: CheckResponse) -> Self {
        let code = response.status.map_or(-1, |status| status.code);
        match response.http_response {
            Some(HttpResponse::OkResponse(_)) => {
                assert_eq!(code, 0);
                Self { status: 200, body: String::new(), headers: Vec::new() }
            }
            Some(HttpResponse::DeniedResponse(denied)) => {
                assert_ne!(code, 0);
                let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
                let headers = denied.headers.into_iter().filter_map(|option| option.header);
                Self {
                    status: denied.status.map_or(-1, |status| status.code),
                    body: denied.body,
                    headers: headers.map(|header| (header.key, text(header.value))).collect(),
                }
            }
            None => unreachable!("a response without an answer"),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A push of `series` series with one sample each.
pub(crate) fn samples(protocol: Protocol, series: usize) -> Vec<u8> {
    use remote_write::encode::{Series, encode_push};
    let series: Vec<Series> = (0..series)
        .map(|number| Series {
            labels: vec![("__name__".into(), "m".into()), ("pod".into(), format!("pod-{number}"))],
            samples: vec![(1.0, 1_700_000_000_000)],
            ..Series::default()
        })
        .collect();
    encode_push(protocol, &series, &[]).unwrap_or_else(|error| unreachable!("{error}"))
}

/// A push of so many series of a replica of a cluster.
pub(crate) fn of_replica(cluster: &str, replica: &str, series: usize) -> Vec<u8> {
    use remote_write::encode::{Series, encode_push};
    let series: Vec<_> = (0..series)
        .map(|number| {
            let pod = format!("pod-{number}");
            let labels = [("__name__", "m"), ("__replica__", replica), ("cluster", cluster), ("pod", &pod)];
            Series::sample(&labels, 1.0, 1_700_000_000_000)
        })
        .collect();
    encode_push(Protocol::V1, &series, &[]).unwrap_or_else(|error| unreachable!("{error}"))
}
