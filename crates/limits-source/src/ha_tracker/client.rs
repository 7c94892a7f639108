//! One question to Mimir's HA tracker over HTTP/1.1, on a connection that is kept. No redirect is followed, no proxy used.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::HaTrackerUrl;

/// The longest answer that is read, in bytes: 200,000 pairs and more.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why there is no list, and what can be done about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("there was no whole answer within {0:?}")]
    Slow(Duration),
    #[error("it answered {0}: its HA tracker is off (-distributor.ha-tracker.enable), or the path is another one")]
    NotFound(StatusCode),
    #[error("it answered {0}, and redirects are not followed: name the address that it leads to")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    #[error(
        "its answer is no list of elected replicas: {0}; the URL has to be that of a distributor's ha_tracker page"
    )]
    Unreadable(String),
    #[error("its answer could not be looked at")]
    Interrupted,
}

/// Asks one address.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: HaTrackerUrl,
    timeout: Duration,
}

impl Client {
    /// Reads the system's root certificates if the URL is https.
    pub(super) fn new(url: HaTrackerUrl, timeout: Duration) -> io::Result<Self> {
        let tls = match url.is_https() {
            true => tls_config(system_roots()?)?,
            false => tls_config(RootCertStore::empty())?,
        };
        Ok(Self::with_tls(url, timeout, tls))
    }

    pub(super) fn with_tls(url: HaTrackerUrl, timeout: Duration, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // One dead address of several leaves time for the others.
        tcp.set_connect_timeout(Some(timeout / 2));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { http, url, timeout }
    }

    pub(super) fn url(&self) -> &HaTrackerUrl {
        &self.url
    }

    /// The text of a good answer.
    pub(super) async fn ask(&self) -> Result<Bytes, PollError> {
        tokio::time::timeout(self.timeout, self.answer()).await.map_err(|_| PollError::Slow(self.timeout))?
    }

    async fn answer(&self) -> Result<Bytes, PollError> {
        let request = Request::get(self.url.uri())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("mimir-rls/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| PollError::Unreachable(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| PollError::Unreachable(with_causes(&error)))?;
        match answer.status() {
            StatusCode::OK => {}
            status @ StatusCode::NOT_FOUND => return Err(PollError::NotFound(status)),
            status if status.is_redirection() => return Err(PollError::Redirect(status)),
            status => return Err(PollError::Status(status)),
        }
        match Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(PollError::TooLarge),
            Err(error) => Err(PollError::Unreachable(with_causes(&*error))),
        }
    }
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

pub(super) fn tls_config(roots: RootCertStore) -> io::Result<ClientConfig> {
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
