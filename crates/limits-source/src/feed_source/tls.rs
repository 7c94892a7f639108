//! TLS to the servers of the feed. The files are read for each new connection, so that renewed certificates are used without a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use http::uri::Authority;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::watched::read_file;
use crate::web::{system_roots, tls_builder};

const CA: &str = "--feed-tls-ca";
const CERT: &str = "--feed-tls-cert";
const KEY: &str = "--feed-tls-key";
/// The largest file that is read: a bundle of CAs has some hundred kilobytes.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// The files of a client of a feed with https.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedTlsFiles {
    /// The CAs that sign the certificate of a feed with https, as PEM; reread for each connection [default: the system's, or those of SSL_CERT_FILE]
    #[arg(long = "feed-tls-ca", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The certificate that is shown to a feed with https, and its intermediate certificates, as PEM; reread for each connection [default: none]
    #[arg(long = "feed-tls-cert", value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The private key of --feed-tls-cert, as PEM; reread for each connection
    #[arg(long = "feed-tls-key", value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Why there is no TLS to a feed.
#[derive(Debug, Error)]
pub enum FeedTlsError {
    /// A file is given, and no server has https.
    #[error("{0} is for a feed with https; write --limits feed:https://HOST:PORT, or leave it out")]
    NoHttps(&'static str),
    /// The CAs of the system are needed, and there are none.
    #[error("--limits has a feed with https: {0}, or give its CA with --feed-tls-ca FILE")]
    NoRoots(io::Error),
    /// The same for a client of another server.
    #[error(transparent)]
    NoSystemRoots(io::Error),
    /// A file cannot be read.
    #[error("{flag} {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// A file has the wrong content.
    #[error("{flag} {} {what}", path.display())]
    Unusable {
        /// The flag that names it.
        flag: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A certificate without key, or a key without certificate.
    #[error("--feed-tls-cert and --feed-tls-key belong together; give both, or leave out both")]
    HalfAPair,
    /// The key is of another certificate, or rustls does not support it.
    #[error("{key} is not the key of {cert}: {error}")]
    Pair {
        /// The flag that names the certificate.
        cert: &'static str,
        /// The flag that names the key.
        key: &'static str,
        /// What is wrong.
        error: rustls::Error,
    },
    /// rustls rejects the configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl FeedTlsFiles {
    /// The CAs of the server, and the client's certificate and key.
    #[must_use]
    pub fn new(ca: Option<PathBuf>, cert: Option<PathBuf>, key: Option<PathBuf>) -> Self {
        Self { ca, cert, key }
    }

    /// The flags that are given, and their files.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [(CA, &self.ca), (CERT, &self.cert), (KEY, &self.key)];
        files.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
    }

    /// The client's certificate, if there is one.
    pub(crate) fn certificate(&self) -> Option<&Path> {
        self.cert.as_deref()
    }

    /// What the files hold now.
    pub(crate) fn config(&self) -> Result<ClientConfig, FeedTlsError> {
        let identity = match (&self.cert, &self.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some(Identity { cert: (CERT, cert), key: (KEY, key) }),
            _ => return Err(FeedTlsError::HalfAPair),
        };
        let mut config =
            client_tls(self.ca.as_deref().map(|path| (CA, path)), identity).map_err(|error| match error {
                FeedTlsError::NoSystemRoots(error) => FeedTlsError::NoRoots(error),
                error => error,
            })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// TLS with the server of this name.
    pub(super) async fn connect(&self, name: &Authority, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let files = self.clone();
        let config = tokio::task::spawn_blocking(move || files.config()).await.map_err(io::Error::other)?;
        let config = config.map_err(io::Error::other)?;
        let host = name.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, FeedTlsError> {
    read_file(path, MAX_PEM_BYTES).map_err(|error| FeedTlsError::Unreadable { flag, path: path.to_owned(), error })
}

fn unusable(flag: &'static str, path: &Path, what: &'static str) -> FeedTlsError {
    FeedTlsError::Unusable { flag, path: path.to_owned(), what }
}

fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FeedTlsError> {
    let pem = read(flag, path)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| unusable(flag, path, "is no certificate in PEM"))?;
    if found.is_empty() { Err(unusable(flag, path, "holds no certificate in PEM")) } else { Ok(found) }
}

fn roots(flag: &'static str, path: &Path) -> Result<RootCertStore, FeedTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(flag, path)? {
        roots.add(certificate).map_err(|_| unusable(flag, path, "holds an unusable certificate"))?;
    }
    Ok(roots)
}

/// The certificate of a client and its key: the flags that name them, and their files.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'p> {
    /// The certificate and its intermediate certificates, as PEM.
    pub cert: (&'static str, &'p Path),
    /// The private key, as PEM.
    pub key: (&'static str, &'p Path),
}

/// TLS of a client that trusts the CAs in a PEM file and no others, or those of the system without a file. `ca` is the flag that names the file, and its path.
///
/// # Errors
/// A file cannot be read or used, or the system has no CAs.
pub fn client_tls(
    ca: Option<(&'static str, &Path)>,
    identity: Option<Identity<'_>>,
) -> Result<ClientConfig, FeedTlsError> {
    let roots = match ca {
        Some((flag, path)) => roots(flag, path)?,
        None => system_roots().map_err(FeedTlsError::NoSystemRoots)?,
    };
    let builder = tls_builder(roots).map_err(FeedTlsError::Setup)?;
    let Some(Identity { cert: (cert, cert_path), key: (key, key_path) }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert, cert_path)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key, key_path)?)
        .map_err(|_| unusable(key, key_path, "is no private key in PEM"))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| FeedTlsError::Pair { cert, key, error })
}

/// TLS of an HTTP client that trusts the CAs in a PEM file, which `flag` names, and no others.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn tls_trusting(flag: &'static str, path: &Path) -> Result<ClientConfig, FeedTlsError> {
    client_tls(Some((flag, path)), None)
}

#[cfg(test)]
mod tests;
