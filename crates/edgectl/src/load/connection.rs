//! One HTTP/1.1 connection that is opened when it is needed and kept for the next push.
//!
//! A worker owns exactly one, so a run never has more connections than workers. It follows no redirect and uses no proxy.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::Url;

/// As much of an answer's body as a report needs; Mimir's texts are shorter.
const KEPT_TEXT_BYTES: usize = 1024;

/// Where connections go to, and how they are secured.
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Reads the system's root certificates if the URL is https.
    ///
    /// # Errors
    /// The host is no name a certificate can have, or there are no root certificates.
    pub(crate) fn new(url: &Url) -> anyhow::Result<Self> {
        let host = url.host().to_owned();
        let tls = if url.is_https() { Some((tls_connector()?, server_name(&host)?)) } else { None };
        Ok(Self { host, port: url.port(), tls })
    }

    async fn open(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let Self { host, port, tls } = self;
        let at = || format!("connect to {host} port {port}");
        let tcp = TcpStream::connect((host.as_str(), *port)).await.with_context(at)?;
        tcp.set_nodelay(true).with_context(at)?;
        match tls {
            None => handshake(tcp).await,
            Some((connector, name)) => handshake(connector.connect(name.clone(), tcp).await.with_context(at)?).await,
        }
    }
}

fn server_name(host: &str) -> anyhow::Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).with_context(|| format!("{host:?} is no host name for https"))
}

fn tls_connector() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let reason = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(anyhow!("no root certificates on this system (SSL_CERT_FILE can name some){reason}"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("set up https")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn handshake<S>(stream: S) -> anyhow::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What breaks the connection is told to whoever waits for an answer on it; the task itself has nobody to tell.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// What a server answered to one push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The beginning of the body, without surrounding white space.
    pub(crate) text: String,
}

/// The connection of one worker.
pub(crate) struct Connection {
    endpoint: Arc<Endpoint>,
    idle: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, idle: None }
    }

    /// Makes sure of an open connection: a kept one if it is still usable, else a new one.
    pub(crate) async fn prepare(&mut self) -> anyhow::Result<()> {
        let kept = match self.idle.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        self.idle = Some(match kept {
            Some(sender) => sender,
            None => self.endpoint.open().await?,
        });
        Ok(())
    }

    /// Sends one push and reads the answer to its end. Dropping the future gives the connection up.
    ///
    /// A push that a server's closing of an idle connection kept from being sent is sent again, once, on a new one.
    pub(crate) async fn push(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        self.prepare().await?;
        let mut sender = self.idle.take().context("no connection")?;
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                let Some(request) = failed.take_message() else {
                    return Err(failed.into_error().into());
                };
                sender = self.endpoint.open().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        match read_text(response.into_body()).await {
            Ok(text) => {
                self.idle = Some(sender);
                Ok(Answer { status, text })
            }
            // The verdict on the push was given; only the connection is of no more use.
            Err(_) => Ok(Answer { status, text: String::new() }),
        }
    }
}

async fn read_text(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            let room = KEPT_TEXT_BYTES.saturating_sub(kept.len()).min(data.len());
            kept.extend(data.iter().take(room));
        }
    }
    Ok(String::from_utf8_lossy(&kept).trim().to_owned())
}
