//! The HTTP/1.1 client, with bounded responses. It follows no redirects and uses no proxy.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error as ThisError;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore};

use crate::MimirUrl;

/// Why there is no response.
#[derive(Debug, ThisError)]
pub(crate) enum WebError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("there was no complete response within {0:?}")]
    Slow(Duration),
    #[error("it answered {0}, and redirects are not followed: give the address that it leads to")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
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
pub(crate) struct Bounds {
    /// From the request to the last byte of the response.
    pub(crate) timeout: Duration,
    /// Bytes of the body.
    pub(crate) bytes: usize,
}

/// A client with a connection pool.
#[derive(Debug)]
pub(crate) struct WebClient {
    http: HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    bounds: Bounds,
}

impl WebClient {
    pub(crate) fn new(tls: ClientConfig, bounds: Bounds) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // If one of several addresses is dead, this leaves time for the others.
        tcp.set_connect_timeout(Some(bounds.timeout / 2));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { http, bounds }
    }

    /// The status, which is 2xx, and the body of the response.
    pub(crate) async fn get(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        let Bounds { timeout, .. } = self.bounds;
        tokio::time::timeout(timeout, self.request(uri, accept)).await.map_err(|_| WebError::Slow(timeout))?
    }

    async fn request(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        let request = Request::get(uri)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("mimir-rls/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| WebError::Unreachable(error.to_string()))?;
        let response = self.http.request(request).await.map_err(|error| WebError::Unreachable(with_causes(&error)))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(WebError::Redirect(status));
        }
        if !status.is_success() {
            return Err(WebError::Status(status));
        }
        match Limited::new(response.into_body(), self.bounds.bytes).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
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
