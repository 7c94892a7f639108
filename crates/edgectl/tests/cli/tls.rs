//! Pushing over https: certificates are verified, and a company's own can be trusted.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::serve::Listener;
use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::server::Server;
use crate::{Finished, edgectl};

/// Accepts TLS connections.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.tcp.accept().await.expect("a connection");
            // A client that does not trust this certificate ends the handshake; the next one may come.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A listener that shows a certificate for this name, and the certificate as PEM.
pub(crate) async fn tls_listener(name: &str) -> (TlsListener, String) {
    tls_listener_of(CertificateParams::new([name.to_owned()]).expect("a name")).await
}

/// A listener that shows this certificate, signed by itself, and the certificate as PEM.
pub(crate) async fn tls_listener_of(params: CertificateParams) -> (TlsListener, String) {
    let signing_key = KeyPair::generate().expect("a key");
    let cert = params.self_signed(&signing_key).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
        .expect("a configuration");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    (TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) }, cert.pem())
}

/// An https endpoint that accepts every push, and its certificate as PEM.
async fn start() -> (Server, String) {
    let (listener, pem) = tls_listener("127.0.0.1").await;
    (Server::serve("https", listener, |_, _| StatusCode::OK.into_response()), pem)
}

/// Pushes to the server, trusting the certificate in `pem` and no other.
async fn load_trusting(url: &str, pem: &str) -> Finished {
    let trusted = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&trusted, pem).expect("written");
    let mut command = edgectl(&["load-remote-write", "--url", url, "--tenant", "a", "--duration", "100ms", "--json"]);
    command.env("SSL_CERT_FILE", trusted.path()).env_remove("SSL_CERT_DIR");
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("edgectl runs")).await.expect("edgectl runs");
    Finished::of(output)
}

#[tokio::test]
async fn pushes_over_https_to_a_server_that_is_trusted() {
    let (server, pem) = start().await;
    let finished = load_trusting(&server.url, &pem).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.json()["pushes_accepted"], server.pushes().len());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn pushes_nothing_to_a_server_that_is_not_trusted() {
    let (server, _) = start().await;
    let (_, somebody_elses) = start().await;
    let finished = load_trusting(&server.url, &somebody_elses).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains("certificate"), "{finished:?}");
    assert!(server.pushes().is_empty());
}

#[tokio::test]
async fn https_without_any_root_certificate_says_what_is_missing() {
    let (server, _) = start().await;
    let finished = load_trusting(&server.url, "").await;
    assert_eq!(finished.code, Some(66), "{finished:?}");
    assert!(finished.err.contains("SSL_CERT_FILE"), "{finished:?}");
}

/// An https endpoint for clients with this certificate alone, and its own certificate as PEM.
async fn start_for(client: &CertificateDer<'static>) -> (Server, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(client.clone()).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listener = TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
    (Server::serve("https", listener, |_, _| StatusCode::OK.into_response()), cert.pem())
}

#[tokio::test]
async fn the_files_of_mimirtool_authenticate_the_client() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
    let (server, pem) = start_for(cert.der()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let (ca, own) = (write("ca.pem", pem), write("cert.pem", cert.pem()));
    let key = write("key.pem", signing_key.serialize_pem());
    let run = |variables: Vec<(&'static str, PathBuf)>| {
        let mut command =
            edgectl(&["load-remote-write", "--url", &server.url, "--tenant", "a", "--duration", "100ms", "--json"]);
        command.envs(variables);
        tokio::task::spawn_blocking(move || Finished::of(command.output().expect("edgectl runs")))
    };
    let all =
        vec![("MIMIR_TLS_CA_PATH", ca.clone()), ("MIMIR_TLS_CERT_PATH", own.clone()), ("MIMIR_TLS_KEY_PATH", key)];
    let finished = run(all).await.expect("edgectl runs");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let accepted = server.pushes().len();
    assert_eq!(finished.json()["pushes_accepted"], accepted);
    let without = run(vec![("MIMIR_TLS_CA_PATH", ca.clone())]).await.expect("edgectl runs");
    assert_eq!((without.code, server.pushes().len()), (Some(1), accepted), "{without:?}");
    let wrong =
        run(vec![("MIMIR_TLS_CA_PATH", ca.clone()), ("MIMIR_TLS_CERT_PATH", own.clone()), ("MIMIR_TLS_KEY_PATH", own)]);
    let wrong = wrong.await.expect("edgectl runs");
    assert_eq!(wrong.code, Some(66), "{wrong:?}");
    assert!(wrong.err.contains("--mimir-tls-key") && wrong.err.contains("is no private key"), "{wrong:?}");
}
