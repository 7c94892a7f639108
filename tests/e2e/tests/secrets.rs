//! No secret in logs, the audit log, metrics, pages or errors, with everything that can hold one turned on and mimir-rls at the lowest log level.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use e2e::{Edge, OverridesSync, Request, Response, push_request, samples, until};
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as Attributes};
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

const LIMITS: &str = "overrides: { team: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
const TOKEN: &str = "s3cret-token-of-the-http-side";
/// Not the token, and no text of an error may repeat it: it may be one of another place.
const WRONG_TOKEN: &str = "s3cret-token-of-another-place";
const BROKEN_TOKEN: &str = "s3cret token with spaces";
/// What a client sends with its push. Envoy keeps these from mimir-rls; another proxy may not.
const OF_CLIENTS: [(&str, &str); 5] = [
    ("authorization", "Bearer s3cret-bearer"),
    ("proxy-authorization", "Basic s3cret-basic"),
    ("cookie", "session=s3cret-cookie"),
    ("x-api-key", "s3cret-api-key"),
    ("x-amz-security-token", "s3cret-amz"),
];
const PAGES: [&str; 7] = [
    "/metrics",
    "/api/v1/tenants",
    "/api/v1/tenants/team",
    "/api/v1/denials",
    "/api/v1/problems",
    "/api/v1/log-level",
    "/nothing",
];

/// The files that hold secrets.
struct Files {
    folder: tempfile::TempDir,
    keys: Vec<String>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("an authority has no names");
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let mut files = Self { folder, keys: Vec::new() };
        files.write("ca.crt", &authority.pem());
        files.write("token", TOKEN);
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            files.write(&format!("{name}.crt"), &certificate.pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
            files.keys.push(key.serialize_pem());
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }

    /// What may appear nowhere: also a line of a key alone.
    fn secrets(&self) -> Vec<&str> {
        let lines = self.keys.iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with("-----"));
        lines.chain(["s3cret"]).collect()
    }
}

fn overrides_sync(files: &Files) -> OverridesSync {
    files.write("runtime.yaml", LIMITS);
    let arguments = [
        files.flag("grpc-tls-cert", "server.crt"),
        files.flag("grpc-tls-key", "server.key"),
        files.flag("grpc-tls-client-ca", "ca.crt"),
        files.flag("http-token-file", "token"),
    ];
    let limits = format!("file:{}", files.path("runtime.yaml").display());
    let folder = files.path("overrides-sync");
    OverridesSync::start(&folder, Path::new("none"), &limits, &arguments.each_ref().map(String::as_str))
}

fn edge(files: &Files, sync: &OverridesSync) -> Edge {
    let arguments = [
        files.flag("feed-tls-ca", "ca.crt"),
        files.flag("feed-tls-cert", "client.crt"),
        files.flag("feed-tls-key", "client.key"),
        files.flag("http-token-file", "token"),
        files.flag("audit-log", "audit.jsonl"),
        "--log-level=trace".to_owned(),
    ];
    let feed = format!("feed:https://127.0.0.1:{}", sync.grpc_port());
    Edge::builder().rls_arguments(&arguments.each_ref().map(String::as_str)).limits_from(&feed).start(LIMITS)
}

/// An answer as text, with its headers.
fn text_of(answer: &Response) -> String {
    let line = |(name, value): (&str, &[u8])| format!("{name}: {}\n", value.escape_ascii());
    let headers: String = answer.headers.lines().map(line).collect();
    format!("{}\n{headers}{}\n", answer.status, answer.text())
}

/// A Check of a proxy that sends mimir-rls all headers, also as those of the call; returns its answer.
fn check(edge: &Edge, body: &[u8]) -> String {
    let line = |(key, value): (&str, &str)| HeaderValue {
        key: key.to_owned(),
        value: Bytes::new(),
        raw_value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let headers = OF_CLIENTS.into_iter().chain([("x-scope-orgid", "team")]).map(line).collect();
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers }),
        raw_body: Bytes::copy_from_slice(body),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext { request: Some(Attributes { http: Some(http) }), ..AttributeContext::default() };
    let mut request = tonic::Request::new(CheckRequest { attributes: Some(attributes) });
    for (name, value) in OF_CLIENTS {
        request.metadata_mut().insert(name, value.parse().expect("a value of a header"));
    }
    let runtime = Runtime::new().expect("a runtime can be started");
    let address = format!("http://127.0.0.1:{}", edge.rls.grpc_port());
    let answer = runtime.block_on(async {
        let channel = Endpoint::try_from(address).expect("a loopback address").connect().await;
        AuthorizationClient::new(channel.expect("mimir-rls accepts")).check(request).await
    });
    format!("{answer:?}")
}

/// The pages, an explanation and a change of the log level, with this token and the headers of clients.
fn pages(edge: &Edge, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let send = |request: Request| {
        let others = OF_CLIENTS.into_iter().filter(|(name, _)| *name != "authorization");
        let request = others.fold(request, |request, (name, value)| request.header(name, value));
        let answer = edge.rls.http(&request.header("Authorization", bearer.as_str()));
        text_of(&answer)
    };
    let explain = Request::new("POST", "/api/v1/explain").header("X-Scope-OrgID", "team").body(&samples(5).bytes);
    let change = Request::new("PUT", "/api/v1/log-level").body(b"trace");
    PAGES.into_iter().map(|page| Request::new("GET", page)).chain([explain, change]).map(send).collect()
}

#[test]
fn secrets_reach_no_log_page_metric_or_error() {
    let files = Files::new();
    let sync = overrides_sync(&files);
    let edge = edge(&files, &sync);
    let mut seen = Vec::new();
    for body in [samples(5).bytes, b"unreadable".to_vec(), Vec::new()] {
        let push = |tenant: &str| {
            OF_CLIENTS.into_iter().fold(push_request(tenant, &body), |push, (name, value)| push.header(name, value))
        };
        seen.extend(["team", "not/valid"].map(|tenant| text_of(&edge.send(&push(tenant)))));
        seen.push(check(&edge, &body));
    }
    for token in [TOKEN, WRONG_TOKEN, ""] {
        seen.push(pages(&edge, token));
    }
    seen.push(sync.get("/metrics").text().into_owned() + &sync.get("/api/v1/problems").text());

    // Files that are broken later are named in the logs, and not quoted.
    files.write("token", BROKEN_TOKEN);
    files.write("server.key", "s3cret, and no key");
    let bad = |of: &str| format!("bad_tls_files_total{{of=\"{of}\"}}");
    until("both take notice", || {
        edge.rls.metric(&format!("rls_{}", bad("http_token"))) == Some(1.0)
            && sync.metric(&format!("overrides_sync_{}", bad("grpc_tls"))) == Some(1.0)
    });
    until("the audit log has the denials", || {
        fs::read_to_string(files.path("audit.jsonl")).unwrap_or_default().lines().count() >= 3
    });
    assert_eq!(edge.rls.metric("rls_log_lines_dropped_total"), Some(0.0), "all lines are there");
    let logs = edge.rls.process.log();
    assert!(logs.contains("TRACE") && logs.contains("push denied"), "{} bytes of logs", logs.len());
    seen.extend([logs, sync.process.log(), edge.envoy.process.log()]);
    seen.push(fs::read_to_string(files.path("audit.jsonl")).expect("there is an audit log"));
    let naming = seen.iter().filter(|text| text.contains("\"team\"")).count();
    assert!(naming >= 3, "pages and records name the tenant");
    for secret in files.secrets() {
        let line = seen.iter().flat_map(|text| text.lines()).find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
