//! Clients over TLS.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::authority::Identity;

/// A client that trusts some authorities, and shows a certificate if it has one. Each connection is a handshake of its own.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// A client that trusts these authorities, or servers with these very certificates.
    ///
    /// # Panics
    /// When a certificate is none.
    #[must_use]
    pub fn new<'a>(trusted: impl IntoIterator<Item = &'a CertificateDer<'static>>, shown: Option<&Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(authority.clone()).expect("an authority can be trusted");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are versions of TLS")
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => builder
                .with_client_auth_cert(vec![shown.certificate().clone()], shown.key())
                .expect("the key is the certificate's"),
        };
        // A resumed session shows the certificate of the first one.
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    /// The configuration, for connections that a test makes itself.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// The certificate that the server on this loopback port shows.
    ///
    /// # Errors
    /// When nothing listens there, or the server is not trusted.
    pub fn certificate_of(&self, port: u16) -> io::Result<CertificateDer<'static>> {
        let (mut session, mut socket) = self.session(port)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let shown = session.peer_certificates().and_then(<[_]>::first).cloned();
        shown.map(CertificateDer::into_owned).ok_or_else(|| io::Error::other("the server shows no certificate"))
    }

    /// A connection to a loopback port, before the handshake.
    pub(crate) fn session(&self, port: u16) -> io::Result<(ClientConnection, TcpStream)> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
        Ok((ClientConnection::new(self.config(), name).map_err(io::Error::other)?, socket))
    }
}
