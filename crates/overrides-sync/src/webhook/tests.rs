use std::fs;
use std::path::Path;

use anyhow::Context;
use limits::{Defaults, MimirVersion};
use prometheus::Registry;
use runtime::{Protocol, TlsFileMetrics, TlsFiles, TlsMetrics};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::*;

struct Running {
    folder: TempDir,
    address: SocketAddr,
    metrics: Metrics,
    tls_metrics: TlsMetrics,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

fn write_pair(folder: &Path) -> anyhow::Result<TlsFiles> {
    let made = rcgen::generate_simple_self_signed(["overrides-sync".to_owned()])?;
    let files = TlsFiles { cert: folder.join("tls.crt"), key: folder.join("tls.key"), client_ca: None };
    fs::write(&files.cert, made.cert.pem())?;
    fs::write(&files.key, made.signing_key.serialize_pem())?;
    Ok(files)
}

async fn start() -> anyhow::Result<Running> {
    let (folder, metrics, stop) = (tempfile::tempdir()?, Metrics::new(&Registry::new())?, CancellationToken::new());
    let rules = Rules {
        configmap: "mimir/mimir-runtime".parse()?,
        defaults: Defaults::default(),
        version: MimirVersion::default(),
        allow_empty: false,
    };
    let tls_metrics = TlsFileMetrics::new(&Registry::new(), "bad", "not_after")?.of("webhook_tls");
    let tls = Tls::load("the webhook's TLS", write_pair(folder.path())?, Protocol::Http1, tls_metrics.clone())?;
    let closed = ConnectionCounts::new(&Registry::new(), "closed")?;
    let webhook = Webhook::bind(([127, 0, 0, 1], 0).into(), tls, rules, metrics.clone(), closed)?;
    let address = webhook.address();
    let serving = tokio::spawn(webhook.serve(Tasks::new(stop.clone())));
    Ok(Running { folder, address, metrics, tls_metrics, stop, serving })
}

impl Running {
    /// A connection that trusts the certificate that is in the folder now.
    async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.folder.path().join("tls.crt"))?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(ServerName::try_from("overrides-sync")?, stream).await?)
    }

    /// Status and body of the response to a request.
    async fn send(&self, head: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
        let mut stream = self.connect().await?;
        let head = format!(
            "{head} HTTP/1.1\r\nHost: overrides-sync\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        let response = String::from_utf8(response)?;
        let (head, body) = response.split_once("\r\n\r\n").context("a response has a head")?;
        Ok((head.get(9..12).context("a response has a status")?.parse()?, body.to_owned()))
    }

    async fn review(&self, name: &str, value: &str) -> anyhow::Result<Value> {
        let request = json!({ "request": {
            "uid": "u", "operation": "CREATE", "namespace": "mimir", "name": name,
            "kind": { "group": "", "version": "v1", "kind": "ConfigMap" },
            "object": { "data": { "a.ingestion_rate": value } },
        } });
        let (status, response) = self.send("POST /validate", request.to_string().as_bytes()).await?;
        assert_eq!(status, 200, "{response}");
        Ok(serde_json::from_str::<Value>(&response)?["response"].clone())
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.serving.await?)
    }
}

#[tokio::test]
async fn responds_over_tls_and_counts_each_outcome() -> anyhow::Result<()> {
    let webhook = start().await?;
    assert_eq!(webhook.review("mimir-runtime", "5").await?, json!({ "uid": "u", "allowed": true }));
    assert_eq!(webhook.review("another", "x").await?, json!({ "uid": "u", "allowed": true }));
    assert_eq!(webhook.review("mimir-runtime", "x").await?["status"]["code"], 422);
    assert_eq!(webhook.send("POST /validate", b"{}").await?.0, 400);
    assert_eq!(webhook.send("GET /validate", b"").await?.0, 405);
    assert_eq!(webhook.send("POST /metrics", b"{}").await?.0, 404);
    let expected = [("allowed", 1), ("warned", 0), ("denied", 1), ("passed", 1), ("not_reviewed", 0), ("rejected", 1)];
    assert_eq!(
        expected.map(|(outcome, _)| (outcome, webhook.metrics.reviews.with_label_values(&[outcome]).get())),
        expected
    );
    webhook.end().await
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_the_next_connection() -> anyhow::Result<()> {
    let webhook = start().await?;
    write_pair(webhook.folder.path())?;
    let renewed = async {
        while webhook.connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), renewed).await?;
    assert_eq!(webhook.review("mimir-runtime", "5").await?["allowed"], true);
    assert_eq!(webhook.tls_metrics.bad.get(), 0);
    assert!(webhook.tls_metrics.not_after.get() > 0);
    webhook.end().await
}

#[tokio::test]
async fn a_request_is_bounded_in_size_and_time() -> anyhow::Result<()> {
    let webhook = start().await?;
    let mut large = webhook.connect().await?;
    let head = format!("POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", MAX_BODY_BYTES + 1);
    large.write_all(head.as_bytes()).await?;
    let mut slow = webhook.connect().await?;
    slow.write_all(b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").await?;
    let mut long = webhook.connect().await?;
    long.write_all(b"POST /validate HTTP/1.1\r\nHost: a\r\nLong: ").await?;
    long.write_all(&vec![b'x'; BOUNDS.max_head_bytes]).await?;
    for (stream, expected) in [(&mut large, "HTTP/1.1 413"), (&mut slow, "HTTP/1.1 408"), (&mut long, "HTTP/1.1 431")] {
        let mut status = vec![0; expected.len()];
        timeout(Duration::from_secs(20), stream.read_exact(&mut status)).await??;
        assert_eq!(String::from_utf8(status)?, expected);
    }
    drop((large, slow, long));
    webhook.end().await
}

#[tokio::test]
async fn connections_that_send_nothing_give_way_to_a_review() -> anyhow::Result<()> {
    let webhook = start().await?;
    let mut silent = Vec::new();
    for _ in 0..BOUNDS.connections {
        silent.push(webhook.connect().await?);
    }
    assert_eq!(webhook.review("mimir-runtime", "5").await?["allowed"], true);
    let oldest = silent.first_mut().context("one")?;
    let read = timeout(Duration::from_secs(20), oldest.read(&mut [0])).await?;
    assert!(matches!(read, Ok(0) | Err(_)), "the oldest is closed");
    drop(silent);
    webhook.end().await
}
