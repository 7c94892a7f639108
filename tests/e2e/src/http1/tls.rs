//! The same messages through TLS, for servers that speak nothing else.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::message::{Response, read_response};
use super::{Request, TIMEOUT};

/// A kept-alive connection to a server on a loopback port that shows this very certificate, or one signed with it.
#[derive(Debug)]
pub struct TlsConnection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl TlsConnection {
    /// Connects; who the server is shows with the first request.
    ///
    /// # Errors
    /// When nothing listens there, or the certificate is none.
    pub fn open(port: u16, authority: &CertificateDer<'static>) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
        let session = ClientConnection::new(trusting(authority)?, name).map_err(io::Error::other)?;
        Ok(Self { stream: BufReader::new(StreamOwned::new(session, socket)) })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks before there is an answer, what comes is no HTTP, or the server is another one.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        request.write_to(self.stream.get_mut())?;
        self.stream.get_mut().flush()?;
        read_response(&mut self.stream, request.method() == "HEAD")
    }
}

fn trusting(authority: &CertificateDer<'static>) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
