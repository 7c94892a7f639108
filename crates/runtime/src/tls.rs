//! TLS of a server: its certificate and key, and the CA of its clients, all reloaded when their files change.
//!
//! A change counts for new connections. Those that are open stay as they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, register_int_counter_vec_with_registry,
    register_int_gauge_vec_with_registry,
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::reload::Reloaded;

mod expiry;
mod not_after;

pub use expiry::follow_expiry;
use expiry::{first_expiry, show};

/// The PEM files of a server's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by the intermediate certificates.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The CAs of clients: with them, every client must have a certificate that one of them signed.
    pub client_ca: Option<PathBuf>,
}

/// What the TLS of a listener counts and shows.
#[derive(Clone, Debug)]
pub struct TlsMetrics {
    /// Changes of its files that could not be loaded.
    pub bad: IntCounter,
    /// When the first certificate of the chain in force expires, as Unix time in seconds; -1 if the date of one cannot be read.
    pub not_after: IntGauge,
}

/// The metrics of all files of TLS and tokens of a process, by whose they are.
#[derive(Clone, Debug)]
pub struct TlsFileMetrics {
    bad: IntCounterVec,
    not_after: IntGaugeVec,
}

impl TlsFileMetrics {
    /// Registers both: `bad_files` counts changes that could not be loaded, and `not_after` says when certificates expire.
    ///
    /// # Errors
    /// A name is invalid or taken.
    pub fn new(registry: &Registry, bad_files: &str, not_after: &str) -> prometheus::Result<Self> {
        let help = "Times that the files of a certificate or token changed to invalid ones; the last good ones stay";
        let bad = register_int_counter_vec_with_registry!(bad_files, help, &["of"], registry)?;
        let help = "When the first certificate of the chain expires, as Unix time; 0: there is none, -1: a date cannot be read";
        let not_after = register_int_gauge_vec_with_registry!(not_after, help, &["of"], registry)?;
        Ok(Self { bad, not_after })
    }

    /// Those of a certificate and its key.
    #[must_use]
    pub fn of(&self, of: &str) -> TlsMetrics {
        TlsMetrics { bad: self.bad(of), not_after: self.not_after(of) }
    }

    /// Of a file whose changes can be bad.
    #[must_use]
    pub fn bad(&self, of: &str) -> IntCounter {
        self.bad.with_label_values(&[of])
    }

    /// Of a certificate that others load.
    #[must_use]
    pub fn not_after(&self, of: &str) -> IntGauge {
        self.not_after.with_label_values(&[of])
    }
}

/// The application protocol, which TLS negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Http2,
    /// Metrics, probes, the HTTP API and the webhook.
    Http1,
}

/// The TLS of one listener.
#[derive(Debug)]
pub struct Tls(Reloaded<TlsAcceptor>);

impl Tls {
    /// Reads the files. `what` is for logs: whose certificate it is.
    ///
    /// # Errors
    /// A file cannot be read or holds no PEM of its kind, or the key is not the certificate's.
    pub fn load(what: &'static str, files: TlsFiles, protocol: Protocol, metrics: TlsMetrics) -> anyhow::Result<Self> {
        let paths = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
        let paths = paths.into_iter().flatten().cloned().collect();
        let TlsMetrics { bad, not_after } = metrics;
        let parse = move |contents: &[Vec<u8>]| acceptor(&files, protocol, contents, &not_after);
        Ok(Self(Reloaded::load(what, paths, bad, parse)?))
    }

    /// The acceptor for the next connection, now and after each change.
    pub(crate) fn acceptor(&self) -> watch::Receiver<TlsAcceptor> {
        self.0.value()
    }

    /// Follows the files. Never returns.
    pub(crate) async fn follow(self) {
        self.0.follow().await;
    }
}

fn acceptor(
    files: &TlsFiles,
    protocol: Protocol,
    contents: &[Vec<u8>],
    not_after: &IntGauge,
) -> anyhow::Result<TlsAcceptor> {
    let TlsFiles { cert, key, client_ca } = files;
    let [cert_pem, key_pem, ca_pem @ ..] = contents else { bail!("no certificate and key") };
    let chain = certificates(cert_pem, cert)?;
    let expires = first_expiry(&chain);
    let private = PrivateKeyDer::from_pem_slice(key_pem)
        .with_context(|| format!("{} is no private key in PEM", key.display()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match (client_ca, ca_pem) {
        (Some(path), [pem]) => builder.with_client_cert_verifier(verifier(pem, path, provider)?),
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .with_context(|| format!("{} is not the key of {}", key.display(), cert.display()))?;
    config.alpn_protocols = match protocol {
        Protocol::Http2 => vec![b"h2".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
    };
    if client_ca.is_some() {
        // A resumed session would not show its certificate again, which may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    show(expires, cert, not_after);
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(pem: &[u8], path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(|| format!("{} is no certificate in PEM", path.display()))?;
    ensure!(!chain.is_empty(), "{} holds no certificate in PEM", path.display());
    Ok(chain)
}

fn verifier(
    pem: &[u8],
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        roots.add(certificate).with_context(|| format!("{} holds an unusable certificate", path.display()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.with_context(|| format!("{} cannot verify clients", path.display()))
}

#[cfg(test)]
mod tests;
