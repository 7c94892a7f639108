//! What the servers' own tests share: logs, waiting for a condition, an HTTP client, and a CA with certificates.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, Uri};
use hyper::client::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint};

use crate::{LogFormat, LogHandle, LogSettings, Logs, init_logs};

/// How long a test waits for something that takes milliseconds when it works.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The logs of this process, which all servers of the tests share.
///
/// # Panics
/// The process has other logs already.
#[must_use]
pub fn logs() -> LogHandle {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    let settings =
        LogSettings { filter: "warn".parse().unwrap_or_else(|error| unreachable!("{error}")), format: LogFormat::Text };
    LOGS.get_or_init(|| init_logs(&settings).unwrap_or_else(|error| unreachable!("{error}"))).handle.clone()
}

/// Waits until a condition holds, for [`DEADLINE`] at most.
///
/// # Errors
/// The condition cannot be checked, or does not hold in time.
pub async fn until<F: Future<Output = anyhow::Result<bool>>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while !holds().await? {
        anyhow::ensure!(Instant::now() < deadline, "still waiting for: {what}");
        ticks.tick().await;
    }
    Ok(())
}

/// Status and body of a page.
///
/// # Errors
/// There is no whole answer.
pub async fn get(url: impl AsRef<str>) -> anyhow::Result<(u16, Bytes)> {
    send(Request::get(url.as_ref()), "").await
}

/// Status and body of the answer to a request, sent on a connection of its own.
///
/// # Errors
/// The request is malformed, or there is no whole answer.
pub async fn send(request: Builder, body: impl Into<Body>) -> anyhow::Result<(u16, Bytes)> {
    let request = request.body(body.into()).context("no request")?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    Ok((answer.status().as_u16(), to_bytes(Body::new(answer.into_body()), usize::MAX).await?))
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pem {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: String,
}

/// A CA.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new CA with a key of its own.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn ca(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host name or an address.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn issue(&self, name: &str) -> anyhow::Result<Pem> {
        self.sign(CertificateParams::new([name.to_owned()])?)
    }

    /// The same, and it has expired.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn issue_expired(&self, name: &str) -> anyhow::Result<Pem> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.not_after = date_time_ymd(2001, 1, 1);
        params.not_before = date_time_ymd(2000, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> anyhow::Result<Pem> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.0)?;
        Ok(Pem { cert: cert.pem(), key: key.serialize_pem() })
    }
}

/// The name in the certificates of servers.
pub const SERVER_NAME: &str = "edge.test";

/// A client over TLS.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsClient")
    }
}

impl TlsClient {
    /// A client that trusts a CA, and shows a certificate if it has one.
    ///
    /// # Errors
    /// A certificate is unusable.
    pub fn new(trusted: &Authority, shown: Option<&Pem>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.ca().as_bytes())?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(Pem { cert, key }) => {
                let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).collect::<Result<_, _>>()?;
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
            }
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// A connection after its handshake. With TLS 1.3, a server that rejects the client's certificate says so in its first answer.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    /// A gRPC connection.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn channel(&self, address: SocketAddr) -> anyhow::Result<Channel> {
        let client = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let client = client.clone();
            async move { client.connect(address).await.map(TokioIo::new) }
        });
        Ok(Endpoint::from_static("http://edge.test").connect_with_connector(connector).await?)
    }

    /// Status and body of the answer to a request with a path, on a connection of its own.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn send(&self, address: SocketAddr, request: Builder) -> anyhow::Result<(u16, Bytes)> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect(address).await?)).await?;
        let connection = tokio::spawn(connection);
        let request = request.header("host", SERVER_NAME).body(Body::empty()).context("no request")?;
        let answer = sender.send_request(request).await?;
        let answer = (answer.status().as_u16(), to_bytes(Body::new(answer.into_body()), usize::MAX).await?);
        connection.abort();
        Ok(answer)
    }
}

/// A gRPC connection over a unix socket.
///
/// # Errors
/// Nothing listens there.
pub async fn unix_channel(path: PathBuf) -> anyhow::Result<Channel> {
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://edge.test").connect_with_connector(connector).await?)
}
