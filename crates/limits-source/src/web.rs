//! The HTTP/1.1 client, with bounded responses. It follows no redirects and uses no proxy.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error as ThisError;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore};

use crate::MimirUrl;

/// Why there is no response.
#[derive(Debug, ThisError)]
pub enum WebError {
    /// There is no connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// There was no complete response in time.
    #[error("there was no complete response within {0:?}")]
    Slow(Duration),
    /// It leads elsewhere.
    #[error("it answered {0}, and redirects are not followed: give the address that it leads to")]
    Redirect(StatusCode),
    /// The response has another status than 2xx.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// The body has more bytes than are read.
    #[error("its response has more than {0} bytes")]
    TooLarge(usize),
}

impl WebError {
    /// Whether a retry may succeed, as with a server that is starting.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow(_) => true,
            Self::Status(status) => status.is_server_error(),
            Self::Redirect(_) | Self::TooLarge(_) => false,
        }
    }
}

/// Bounds of a response.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the request to the last byte of the response.
    pub timeout: Duration,
    /// Bytes of the body.
    pub bytes: usize,
}

/// A client with a connection pool.
#[derive(Debug)]
pub struct WebClient {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    bounds: Bounds,
}

impl WebClient {
    /// A client without connections.
    #[must_use]
    pub fn new(tls: ClientConfig, bounds: Bounds) -> Self {
        Self::expecting(None, tls, bounds)
    }

    /// A client that expects this name in the certificates of https servers, and not that of the URL, as behind a forwarded port.
    ///
    /// # Errors
    /// It is no DNS name and no IP address.
    pub fn with_server_name(tls: ClientConfig, name: &str, bounds: Bounds) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Self::expecting(Some(name), tls, bounds))
    }

    fn expecting(server_name: Option<ServerName<'static>>, tls: ClientConfig, bounds: Bounds) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // If one of several addresses is dead, this leaves time for the others.
        tcp.set_connect_timeout(Some(bounds.timeout / 2));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match server_name {
            Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => connector,
        };
        let connector = connector.enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { http, bounds }
    }

    /// The response, whatever its status is.
    ///
    /// # Errors
    /// There is none within the bounds.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WebError> {
        self.in_time(async {
            let (head, body) = self.begin(request).await?.into_parts();
            Ok(Response::from_parts(head, self.read(body).await?))
        })
        .await
    }

    /// The status, which is 2xx, and the body of the response.
    pub(crate) async fn get(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        self.in_time(self.get_good(uri, accept)).await
    }

    async fn get_good(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        let request = Request::get(uri)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("mimir-rls/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::new())
            .map_err(|error| WebError::Unreachable(error.to_string()))?;
        let response = self.begin(request).await?;
        let status = response.status();
        if status.is_redirection() {
            return Err(WebError::Redirect(status));
        }
        if !status.is_success() {
            return Err(WebError::Status(status));
        }
        Ok((status, self.read(response.into_body()).await?))
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, WebError>>) -> Result<T, WebError> {
        let Bounds { timeout, .. } = self.bounds;
        tokio::time::timeout(timeout, answer).await.map_err(|_| WebError::Slow(timeout))?
    }

    async fn begin(&self, request: Request<Bytes>) -> Result<Response<Incoming>, WebError> {
        let response = self.http.request(request.map(Full::new)).await;
        response.map_err(|error| WebError::Unreachable(with_causes(&error)))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, WebError> {
        match Limited::new(body, self.bounds.bytes).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(WebError::TooLarge(self.bounds.bytes)),
            Err(error) => Err(WebError::Unreachable(with_causes(&*error))),
        }
    }
}

/// TLS with the system's root certificates, or those in `SSL_CERT_FILE`, if one of the URLs is https.
///
/// # Errors
/// There are no root certificates.
pub fn system_tls<'u>(mut urls: impl Iterator<Item = &'u Uri>) -> io::Result<ClientConfig> {
    let is_https = urls.any(|url| url.scheme() == Some(&Scheme::HTTPS));
    tls_config(if is_https { system_roots()? } else { RootCertStore::empty() })
}

pub(crate) fn system_roots() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let reason = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(io::Error::other(format!(
            "no root certificates on this system; let SSL_CERT_FILE name some, or use http{reason}"
        )));
    }
    Ok(roots)
}

pub(crate) fn tls_config(roots: RootCertStore) -> io::Result<ClientConfig> {
    Ok(tls_builder(roots).map_err(io::Error::other)?.with_no_client_auth())
}

/// TLS of a client that trusts `roots`; it lacks only the client's own certificate.
pub(crate) fn tls_builder(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots))
}

/// An error and its causes on one line.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// How long a page of Mimir may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest page that is read, in bytes: the overrides of many thousand tenants.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// How long to wait before a page is requested again.
const PAGE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why there is no page.
#[derive(Debug, ThisError)]
pub enum PageError {
    /// There are no root certificates, and the address is https.
    #[error(transparent)]
    Certificates(#[from] io::Error),
    /// There is no good response.
    #[error("{url}: {reason}")]
    NoResponse {
        /// The address.
        url: MimirUrl,
        /// What is wrong, and how to fix it if that is known.
        reason: String,
    },
}

/// The body of a page of Mimir, of at most 64 MiB. Transient failures are retried each second for as long as `patience`; 0 means one attempt.
///
/// # Errors
/// There is no response with a 2xx status in that time, or it is too large.
pub async fn fetch_page(url: &MimirUrl, patience: Duration) -> Result<Bytes, PageError> {
    let http = WebClient::new(
        system_tls(std::iter::once(url.uri()))?,
        Bounds { timeout: PAGE_TIMEOUT, bytes: MAX_PAGE_BYTES },
    );
    let end = Instant::now() + patience;
    loop {
        match http.get(url.uri(), "*/*").await {
            Ok((_, body)) => return Ok(body),
            Err(error) if error.is_transient() && Instant::now() + PAGE_RETRY_AFTER < end => {
                tracing::warn!(%url, "the request to Mimir is retried in {PAGE_RETRY_AFTER:?}: {error}");
                sleep(PAGE_RETRY_AFTER).await;
            }
            Err(error) => return Err(PageError::NoResponse { url: url.clone(), reason: reason(&error) }),
        }
    }
}

fn reason(error: &WebError) -> String {
    match error {
        WebError::Status(status) if status.as_u16() == 404 => {
            format!("{error}: give Mimir's own HTTP port, with its -server.path-prefix if it has one")
        }
        error => error.to_string(),
    }
}
