//! `/api/v1/replicas/…`: what all replicas answer to one question of this API. A tenant lives on one of them, and only it has the tenant's usage.
//!
//! The question goes to every address of `--peers`, with the token of the one who asks, and has to be one that only reads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Json;
use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use limits_source::{Bounds, WebClient, system_tls};
use runtime::Fault;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Admin;
use super::explain::whole_body;

const PREFIX: &str = "/api/v1/replicas";
/// A page of the largest size has some hundred kilobytes.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(3), bytes: 8 << 20 };
const RESOLVE_WITHIN: Duration = Duration::from_secs(1);
/// The most replicas that are asked.
const MAX_REPLICAS: usize = 64;
/// What replicas are told of the one who asks.
const PASSED_ON: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("x-scope-orgid"),
    HeaderName::from_static("x-prometheus-remote-write-version"),
];

/// The HTTP sides of all replicas; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    urls: Arc<[PeerUrl]>,
}

/// A URL, all addresses of whose name are replicas.
#[derive(Debug)]
struct PeerUrl {
    scheme: Scheme,
    authority: Authority,
    /// It expects the name of the URL in certificates, and not an address.
    client: Arc<WebClient>,
}

/// One replica.
struct Replica {
    address: SocketAddr,
    scheme: Scheme,
    client: Arc<WebClient>,
}

#[derive(Serialize)]
pub(super) struct Answers {
    replicas: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    /// Its address.
    replica: String,
    /// Null without an answer.
    status: Option<u16>,
    body: Option<Box<RawValue>>,
    error: Option<String>,
}

impl Peers {
    /// The replicas at these URLs.
    ///
    /// # Errors
    /// One of them is https, and this system has no root certificates.
    pub(crate) fn new(urls: &[Uri]) -> io::Result<Self> {
        let peer = |url: &Uri| {
            let (Some(scheme), Some(authority)) = (url.scheme().cloned(), url.authority().cloned()) else {
                return Err(io::Error::other(format!("{url} has no host")));
            };
            let tls = system_tls(std::iter::once(url))?;
            let client = WebClient::with_server_name(tls, authority.host().trim_matches(['[', ']']), BOUNDS)?;
            Ok(PeerUrl { scheme, authority, client: Arc::new(client) })
        };
        Ok(Self { urls: urls.iter().map(peer).collect::<io::Result<_>>()? })
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.urls.is_empty()
    }

    /// All addresses, each once.
    async fn replicas(&self) -> Vec<Replica> {
        let mut replicas: Vec<Replica> = Vec::new();
        for PeerUrl { scheme, authority, client } in self.urls.iter() {
            let port = authority.port_u16().unwrap_or(if *scheme == Scheme::HTTPS { 443 } else { 80 });
            let host = authority.host().trim_matches(['[', ']']);
            let found = timeout(RESOLVE_WITHIN, lookup_host((host, port))).await;
            for address in found.into_iter().flatten().flatten() {
                if replicas.len() < MAX_REPLICAS && replicas.iter().all(|known| known.address != address) {
                    replicas.push(Replica { address, scheme: scheme.clone(), client: Arc::clone(client) });
                }
            }
        }
        replicas.sort_by_key(|replica| replica.address);
        replicas
    }
}

/// `GET` and `POST /api/v1/replicas/…`.
pub(super) async fn ask(State(admin): State<Admin>, request: Request) -> Result<Json<Answers>, Fault> {
    if admin.peers.is_empty() {
        return Err(Fault { status: StatusCode::NOT_FOUND, error: "off: set --peers".to_owned() });
    }
    let (head, body) = request.into_parts();
    let path = asked_path(&head.method, &head.uri)?;
    let (_arrival, body) = whole_body(&admin, body).await?;
    let _place = admin.bounds.enter()?;
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        headers.extend(head.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
    }
    let mut asked = JoinSet::new();
    for (place, replica) in admin.peers.replicas().await.into_iter().enumerate() {
        let (method, path, headers, body) = (head.method.clone(), path.clone(), headers.clone(), body.clone());
        asked.spawn(async move { (place, replica.ask(method, path, headers, body).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    Ok(Json(Answers { replicas: answers.into_iter().map(|(_, answer)| answer).collect() }))
}

/// The path that replicas are asked for: one that only reads.
fn asked_path(method: &Method, uri: &Uri) -> Result<PathAndQuery, Fault> {
    let asked = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let reads = match *method {
        Method::POST => asked == "/explain",
        _ => ["/denials", "/status", "/usage"].contains(&asked) || of_tenant(asked),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("/api/v1{asked}{query}").parse().ok().filter(|_| reads);
    path.ok_or_else(|| Fault { status: StatusCode::NOT_FOUND, error: "replicas are not asked for this".to_owned() })
}

fn of_tenant(asked: &str) -> bool {
    ["/tenants/", "/usage/"].iter().any(|begin| asked.starts_with(begin))
}

impl Replica {
    async fn ask(self, method: Method, path: PathAndQuery, headers: HeaderMap, body: Bytes) -> Answer {
        let replica = self.address.to_string();
        match self.send(method, path, headers, body).await {
            Ok((status, body)) => Answer { replica, status: Some(status), body: Some(body), error: None },
            Err(error) => Answer { replica, status: None, body: None, error: Some(error) },
        }
    }

    async fn send(
        self,
        method: Method,
        path: PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(u16, Box<RawValue>), String> {
        let uri = Uri::builder().scheme(self.scheme).authority(self.address.to_string()).path_and_query(path).build();
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri.map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        let answer = self.client.send(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let text = String::from_utf8(answer.into_body().to_vec()).map_err(|error| error.to_string())?;
        let body = RawValue::from_string(text).map_err(|_| format!("it answered {status} without JSON"))?;
        Ok((status, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, asked: &str, expected: Option<&str>) {
        let path = asked_path(&method, &asked.parse().unwrap());
        assert_eq!(path.ok().as_ref().map(PathAndQuery::as_str), expected, "{method} {asked}");
    }

    #[test]
    fn replicas_are_asked_only_for_what_reads() {
        let (get, post) = (|| Method::GET, || Method::POST);
        check(get(), "/api/v1/replicas/usage?limit=1", Some("/api/v1/usage?limit=1"));
        check(get(), "/api/v1/replicas/usage/a%3Cb", Some("/api/v1/usage/a%3Cb"));
        check(get(), "/api/v1/replicas/tenants/a", Some("/api/v1/tenants/a"));
        check(get(), "/api/v1/replicas/denials?tenant=a", Some("/api/v1/denials?tenant=a"));
        check(post(), "/api/v1/replicas/explain?items=1", Some("/api/v1/explain?items=1"));
        for asked in ["/log-level", "/replicas/usage", "/explain", "/tenants", ""] {
            check(get(), &format!("/api/v1/replicas{asked}"), None);
        }
        check(post(), "/api/v1/replicas/usage", None);
    }
}
