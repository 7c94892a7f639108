//! mTLS between Envoy, mimir-rls and overrides-sync, by one value of all charts; and Envoy's TLS to Mimir.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use e2e::{Authority, Connection, MountedFolder, Process, free_port, push_request, samples, tool, until};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

use super::objects::Objects;
use super::{CHARTS, ENVOY, MIMIR_RLS, OVERRIDES_SYNC, cluster, rendered};

const ON: &str = "--set=tls.enabled=true";

#[test]
fn one_value_turns_mtls_on_in_every_chart() {
    for name in [MIMIR_RLS, OVERRIDES_SYNC] {
        let manifests = rendered(name, &[ON]);
        for flag in [
            "cert=/etc/mimir-edge/tls/tls.crt",
            "key=/etc/mimir-edge/tls/tls.key",
            "client-ca=/etc/mimir-edge/tls/ca.crt",
        ] {
            assert!(manifests.contains(&format!("- --grpc-tls-{flag}\n")), "{name} {flag}: {manifests}");
        }
        assert!(!manifests.contains("scheme: HTTPS") && !manifests.contains("--http-tls"), "probes stay HTTP");
    }
    let rls = rendered(MIMIR_RLS, &[ON]);
    for argument in [
        "--limits=feed:https://overrides-sync:8083",
        "--feed-tls-ca=/etc/mimir-edge/tls/ca.crt",
        "--feed-tls-cert=/etc/mimir-edge/tls/tls.crt",
        "--feed-tls-key=/etc/mimir-edge/tls/tls.key",
    ] {
        assert!(rls.contains(&format!("- {argument}\n")), "{argument}: {rls}");
    }
    let kube = rendered(MIMIR_RLS, &[ON, "--set=limits.source=kube:mimir/mimir-runtime"]);
    assert!(!kube.contains("--feed-tls"), "{kube}");
    let envoy = rendered(ENVOY, &[ON]);
    let host = "mimir-rls.mimir-edge-enforcement.svc.cluster.local";
    assert!(envoy.contains(&format!("sni: {host}\n")), "{envoy}");
    assert!(envoy.contains(&format!(r#"{{ san_type: DNS, matcher: {{ exact: "{host}" }} }}"#)), "{envoy}");
    for name in CHARTS {
        let manifests = rendered(name, &[ON, "--set=tls.secretName=edge-tls"]);
        assert!(
            manifests.contains("        - name: grpc-tls\n          secret:\n            secretName: edge-tls\n"),
            "{name}"
        );
        assert!(!rendered(name, &[]).contains("tls.crt"), "{name} has TLS without the value");
    }
}

#[test]
fn cert_manager_writes_certificates_for_both_ends() {
    for name in CHARTS {
        let issuer = "--set=tls.certManager.enabled=true,tls.certManager.issuerRef.name=edge-ca";
        let manifests = rendered(name, &[ON, issuer, "--set=tls.certManager.issuerRef.kind=ClusterIssuer"]);
        let certificate = manifests.split("---\n").find(|manifest| manifest.contains("kind: Certificate\n"));
        let certificate = certificate.expect("there is a certificate");
        for line in [
            format!("secretName: {name}-grpc-tls"),
            format!("- {name}"),
            format!("- {name}.mimir-edge-enforcement.svc.cluster.local"),
            "usages: [digital signature, key encipherment, server auth, client auth]".to_owned(),
            "name: edge-ca".to_owned(),
            "kind: ClusterIssuer".to_owned(),
        ] {
            assert!(certificate.lines().any(|found| found.trim() == line), "{name} {line}: {certificate}");
        }
        assert!(!rendered(name, &[issuer]).contains("kind: Certificate"), "{name}: without tls.enabled");
    }
}

#[test]
fn the_http_side_has_its_own_token_and_tls() {
    for name in [MIMIR_RLS, OVERRIDES_SYNC] {
        let manifests = rendered(name, &["--set=http.tokenSecret.name=api,http.tokenSecret.key=bearer"]);
        assert!(manifests.contains("- --http-token-file=/etc/mimir-edge/token/bearer\n"), "{manifests}");
        assert!(manifests.contains("            secretName: api\n"), "{manifests}");
        let https = rendered(name, &[ON, "--set=http.tls=true,serviceMonitor.enabled=always"]);
        assert!(https.contains("- --http-tls-cert=/etc/mimir-edge/tls/tls.crt\n"), "{https}");
        let probes = https.matches("Probe:\n").count();
        assert_eq!(https.matches("scheme: HTTPS\n").count(), probes, "{https}");
        assert!(https.contains("scheme: https\n") && https.contains("key: ca.crt\n"), "{https}");
    }
}

/// A server in place of mimir-rls that requires certificates of this authority, and the certificate of each client.
fn server(authority: &Authority) -> (u16, Receiver<CertificateDer<'static>>) {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("an authority can be trusted");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = verifier.build().expect("clients can be verified");
    let shown = authority.issue(&["127.0.0.1"]);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![shown.certificate().clone()], shown.key())
        .expect("the certificate fits its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let (seen, clients) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut session = ServerConnection::new(Arc::clone(&config)).expect("a session can be made");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
            while session.is_handshaking() && session.complete_io(&mut socket).is_ok() {}
            let shown = session.peer_certificates().and_then(<[_]>::first).cloned();
            if shown.is_some_and(|shown| seen.send(shown.into_owned()).is_err()) {
                return;
            }
        }
    });
    (port, clients)
}

/// Starts Envoy with the files of its ConfigMap, and with `mounted` at this path of the container.
fn start_mounted(folder: &Path, objects: &Objects, path: &str, mounted: &MountedFolder) -> Process {
    let etc = folder.join("etc");
    fs::create_dir(&etc).expect("a folder can be made");
    let data = objects.one("ConfigMap", ENVOY)["data"].as_object().expect("a ConfigMap has data");
    for (name, text) in data {
        let text = text.as_str().expect("data is text");
        let here = text.replace(path, &mounted.path().display().to_string());
        let here = here.replace("/etc/envoy/", &format!("{}/", etc.display()));
        fs::write(etc.join(name), here).expect("a file can be written");
    }
    let mut command = Command::new(tool("envoy"));
    command.arg("--config-path").arg(etc.join("envoy.yaml")).args(["--disable-hot-restart", "--concurrency", "1"]);
    Process::start("envoy", folder, &mut command)
}

/// A server in place of Mimir, with a certificate of this authority for `localhost`, that takes every push.
fn mimir(authority: &Authority) -> u16 {
    let shown = authority.issue(&["localhost"]);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![shown.certificate().clone()], shown.key())
        .expect("the certificate fits its key");
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (Ok(mut socket), config) = (socket, Arc::clone(&config)) else { return };
            thread::spawn(move || {
                let mut session = ServerConnection::new(config).expect("a session can be made");
                let mut stream = Stream::new(&mut session, &mut socket);
                // A client that does not trust the certificate, or only checks that the port is open, sends no push.
                if stream.read(&mut [0; 8_192]).is_ok_and(|bytes| bytes > 0) {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
                    drop(stream.read(&mut [0; 8_192]));
                }
            });
        }
    });
    port
}

#[test]
fn envoy_follows_a_changed_bundle_of_mimirs_authorities() {
    let (_server, kubectl) = cluster();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let bundle = MountedFolder::at(&folder.path().join("ca"));
    let [first, second] = ["first", "second"].map(Authority::new);
    bundle.swap(&[("ca.crt", &first.pem())]);
    let push = free_port();
    let [mimir, push_port, metrics, drain, none] =
        [mimir(&second), push, free_port(), free_port(), free_port()].map(|port| port.to_string());
    let values = [
        ("extAuthz.failureModeAllow", "true"),
        ("mimirRls.host", "127.0.0.1"),
        ("mimirRls.port", &none),
        ("mimir.host", "localhost"),
        ("mimir.port", &mimir),
        ("mimir.tls.enabled", "true"),
        ("caBundle.configMap", "ca"),
        ("listeners.address", "127.0.0.1"),
        ("listeners.pushPort", &push_port),
        ("listeners.metricsPort", &metrics),
        ("listeners.drainPort", &drain),
        ("listeners.socketFolder", folder.path().to_str().expect("a path is text")),
    ];
    let objects = Objects::of(&kubectl, ENVOY, &values);
    let _envoy = start_mounted(folder.path(), &objects, "/etc/mimir-edge/ca", &bundle);
    let body = samples(1).bytes;
    let status = || {
        let answer = Connection::open(push).ok()?.send(&push_request("team", &body)).ok()?;
        Some((answer.status, answer.reason().map(String::from)))
    };
    let untrusted = Some((503, Some("mimir_unreachable".to_owned())));
    until("Envoy does not trust the second authority", || status() == untrusted);
    bundle.swap(&[("ca.crt", &(first.pem() + &second.pem()))]);
    until("Envoy trusts both", || status() == Some((200, None)));
}

#[test]
fn envoy_shows_its_certificate_and_follows_a_rotated_secret() {
    let (_server, kubectl) = cluster();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let tls = MountedFolder::at(&folder.path().join("tls"));
    let authority = Authority::new("edge");
    let renew = || {
        let shown = authority.issue(&["envoy"]);
        tls.swap(&[("tls.crt", &shown.pem()), ("tls.key", &shown.key_pem()), ("ca.crt", &authority.pem())]);
        shown.certificate().clone()
    };
    let first = renew();
    let (port, clients) = server(&authority);
    let [push, metrics, drain] = [(); 3].map(|()| free_port().to_string());
    let port = port.to_string();
    let values = [
        ("tls.enabled", "true"),
        ("mode", "mirror"),
        ("mimirRls.host", "127.0.0.1"),
        ("mimirRls.port", &port),
        ("listeners.address", "127.0.0.1"),
        ("listeners.pushPort", &push),
        ("listeners.metricsPort", &metrics),
        ("listeners.probePort", "null"),
        ("listeners.drainPort", &drain),
        ("listeners.socketFolder", folder.path().to_str().expect("a path is text")),
    ];
    let objects = Objects::of(&kubectl, ENVOY, &values);
    let _envoy = start_mounted(folder.path(), &objects, "/etc/mimir-edge/tls", &tls);
    // Its health checks connect again and again.
    assert_eq!(clients.recv_timeout(Duration::from_secs(30)).expect("Envoy connects"), first);
    let second = renew();
    until("Envoy shows the new certificate", || clients.try_iter().any(|shown| shown == second));
}
