//! The webhook's certificate and key, reloaded when their files change.
//!
//! An invalid pair, or a pair of which only one file has changed so far, leaves the last good one in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use limits_source::read_file;
use prometheus::IntCounter;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

/// How often the files are polled. A change is loaded once two polls have read the same, so that a half-written file is not loaded.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// The largest file that is read: a chain of certificates has some kilobytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The PEM files of certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The webhook's certificate, followed by the intermediate certificates.
    pub(crate) cert: PathBuf,
    /// The certificate's private key.
    pub(crate) key: PathBuf,
}

/// The content of certificate and key, or why one of them cannot be read.
type Pair = Result<[Vec<u8>; 2], String>;

/// The TLS side of the webhook.
pub(super) struct Tls {
    files: TlsFiles,
    used: Pair,
    /// The result of the last poll.
    seen: Pair,
    acceptor: watch::Sender<TlsAcceptor>,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read or is no PEM, or the key is not the certificate's.
    pub(super) fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let used = read_pair(&files);
        let acceptor = watch::Sender::new(acceptor(&files, &used)?);
        Ok(Self { files, seen: used.clone(), used, acceptor })
    }

    /// The acceptor for the next connection, now and after each change.
    pub(super) fn acceptor(&self) -> watch::Receiver<TlsAcceptor> {
        self.acceptor.subscribe()
    }

    /// Follows the files until `stop` is cancelled.
    pub(super) async fn follow(mut self, bad_certificates: IntCounter, stop: CancellationToken) {
        let mut polls = interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(polls.tick()).await.is_some() {
            let files = self.files.clone();
            let Ok(seen) = tokio::task::spawn_blocking(move || read_pair(&files)).await else { continue };
            self.on_poll(seen, &bad_certificates);
        }
    }

    fn on_poll(&mut self, seen: Pair, bad_certificates: &IntCounter) {
        if seen == self.seen && seen != self.used {
            self.reload(seen.clone(), bad_certificates);
        }
        self.seen = seen;
    }

    fn reload(&mut self, seen: Pair, bad_certificates: &IntCounter) {
        match acceptor(&self.files, &seen) {
            Ok(acceptor) => {
                self.acceptor.send_replace(acceptor);
                tracing::info!(cert = %self.files.cert.display(), "the webhook has a new certificate");
            }
            Err(error) => {
                bad_certificates.inc();
                tracing::warn!("the webhook keeps its last good certificate: {error:#}");
            }
        }
        // An invalid pair is not retried either.
        self.used = seen;
    }
}

fn acceptor(files: &TlsFiles, pair: &Pair) -> anyhow::Result<TlsAcceptor> {
    let [cert, key] = pair.as_ref().map_err(|error| anyhow!("{error}"))?;
    let chain = CertificateDer::pem_slice_iter(cert).collect::<Result<Vec<_>, _>>();
    let chain = chain.with_context(|| format!("{} is no certificate in PEM", files.cert.display()))?;
    ensure!(!chain.is_empty(), "{} holds no certificate in PEM", files.cert.display());
    let key = PrivateKeyDer::from_pem_slice(key)
        .with_context(|| format!("{} is no private key in PEM", files.key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{} is not the key of {}", files.key.display(), files.cert.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read_pair(files: &TlsFiles) -> Pair {
    let read = |path: &Path| {
        read_file(path, MAX_FILE_BYTES).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    Ok([read(&files.cert)?, read(&files.key)?])
}

#[cfg(test)]
mod tests;
