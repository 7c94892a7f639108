//! What is read over HTTP/1.1: one bounded answer at a time. No redirect is followed, no proxy used.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why there is no answer to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("there was no whole answer within {0:?}")]
    Slow(Duration),
    #[error("it answered {0}, and redirects are not followed: name the address that it leads to")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
}

impl WebError {
    /// Whether the same question may have an answer a moment later, as with a server that is starting.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow(_) => true,
            Self::Status(status) => status.is_server_error(),
            Self::Redirect(_) | Self::TooLarge(_) => false,
        }
    }
}

/// What an answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From the question to the last byte.
    pub(crate) timeout: Duration,
    /// Bytes of the body.
    pub(crate) bytes: usize,
}

/// Asks over connections that are kept.
#[derive(Debug)]
pub(crate) struct WebClient {
    http: HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    bounds: Bounds,
}

impl WebClient {
    pub(crate) fn new(tls: ClientConfig, bounds: Bounds) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // One dead address of several leaves time for the others.
        tcp.set_connect_timeout(Some(bounds.timeout / 2));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { http, bounds }
    }

    /// The status, which is a 2xx, and the body of an answer.
    pub(crate) async fn get(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        let Bounds { timeout, .. } = self.bounds;
        tokio::time::timeout(timeout, self.answer(uri, accept)).await.map_err(|_| WebError::Slow(timeout))?
    }

    async fn answer(&self, uri: &Uri, accept: &'static str) -> Result<(StatusCode, Bytes), WebError> {
        let request = Request::get(uri)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("mimir-rls/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| WebError::Unreachable(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| WebError::Unreachable(with_causes(&error)))?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(WebError::Redirect(status));
        }
        if !status.is_success() {
            return Err(WebError::Status(status));
        }
        match Limited::new(answer.into_body(), self.bounds.bytes).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(WebError::TooLarge(self.bounds.bytes)),
            Err(error) => Err(WebError::Unreachable(with_causes(&*error))),
        }
    }
}

/// TLS that trusts the system's root certificates, or those that `SSL_CERT_FILE` names, where there is an https URL to ask.
pub(crate) fn system_tls(is_https: bool) -> io::Result<ClientConfig> {
    let roots = if is_https { system_roots()? } else { RootCertStore::empty() };
    tls_config(roots)
}

fn system_roots() -> io::Result<RootCertStore> {
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
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An error and what caused it, on one line: the outermost alone says little.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
