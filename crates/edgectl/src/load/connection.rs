//! One HTTP/1.1 keep-alive connection, opened on demand. Each worker has one. It follows no redirect and uses no proxy.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::uri::Authority;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use limits_source::ClientConfig;
use tower::Service;

use super::Url;

/// The part of a response's body that is kept; Mimir's texts are shorter.
const KEPT_TEXT_BYTES: usize = 1024;

/// The address of the server, with the TLS configuration.
pub(crate) struct Endpoint {
    address: Uri,
    connector: HttpsConnector<HttpConnector>,
}

impl Endpoint {
    /// A server to which nothing is connected yet.
    pub(crate) fn new(url: &Url, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        Self { address: url.uri.clone(), connector: connector.enable_http1().wrap_connector(tcp) }
    }

    async fn open(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let at = || format!("connect to {}", self.address.authority().map_or("", Authority::as_str));
        let stream = self.connector.clone().call(self.address.clone()).await;
        let stream = stream.map_err(|error| anyhow!(error)).with_context(at)?;
        let (sender, connection) = http1::handshake(stream).await?;
        // The pending request gets the error of a broken connection.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

/// The response to one push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
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

    /// Ensures an open connection: the kept one if it is still usable, otherwise a new one.
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

    /// Sends one push and reads the whole response. Dropping the future closes the connection.
    ///
    /// If the server has closed the idle connection before the push was sent, it is sent once more, on a new one.
    pub(crate) async fn push(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Response> {
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
                Ok(Response { status, text })
            }
            // The status is known; only the connection is broken.
            Err(_) => Ok(Response { status, text: String::new() }),
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
