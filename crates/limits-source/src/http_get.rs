//! One GET over HTTP/1.1 to an address of Mimir, on a connection that is kept. No redirect is followed, no proxy used.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The longest answer that is read, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("there was no whole answer within {0:?}")]
    Slow(Duration),
    #[error("it answered {0}, and redirects are not followed: name the address that it leads to")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

impl GetError {
    /// Whether the next attempt may end otherwise: what a server says that starts, or an address where nobody listens yet.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            GetError::Unreachable(_) | GetError::Slow(_) => true,
            GetError::Status(status) => status.is_server_error(),
            GetError::Redirect(_) | GetError::TooLarge => false,
        }
    }
}

/// Asks addresses of one scheme.
#[derive(Debug)]
pub(crate) struct HttpGet {
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    timeout: Duration,
}

impl HttpGet {
    /// Reads the system's root certificates if they are needed. `timeout` is how long one question may take.
    pub(crate) fn new(https: bool, timeout: Duration) -> io::Result<Self> {
        let roots = if https { system_roots()? } else { RootCertStore::empty() };
        Ok(Self::with_tls(timeout, tls_config(roots)?))
    }

    pub(crate) fn with_tls(timeout: Duration, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // One dead address of several leaves time for the others.
        tcp.set_connect_timeout(Some(timeout / 2));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { http, timeout }
    }

    /// The body of an answer with status 200.
    pub(crate) async fn get(&self, uri: &Uri, accept: &'static str) -> Result<Bytes, GetError> {
        tokio::time::timeout(self.timeout, self.answer(uri, accept)).await.map_err(|_| GetError::Slow(self.timeout))?
    }

    async fn answer(&self, uri: &Uri, accept: &'static str) -> Result<Bytes, GetError> {
        let request = Request::get(uri)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("mimir-rls/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| GetError::Unreachable(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| GetError::Unreachable(with_causes(&error)))?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(GetError::Redirect(status)),
            status => return Err(GetError::Status(status)),
        }
        match Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(GetError::TooLarge),
            Err(error) => Err(GetError::Unreachable(with_causes(&*error))),
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
