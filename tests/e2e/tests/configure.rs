//! `ops/envoy/configure`: what it prints for invalid settings, and a Mimir that speaks only TLS.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use e2e::{MimirRls, Process, WatchedFile, free_port, metric, push_request, repository, samples, send, tool, until};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, Stream};

/// What it prints, or its complaint.
fn configure(file: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new(repository().join("ops/envoy/configure"));
    let output = command.arg(file).envs(settings.iter().copied()).output().expect("the script runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(64) => Err(text(&output.stderr).trim_end().to_owned()),
        other => unreachable!("it ended with {other:?}: {}", text(&output.stderr)),
    }
}

fn enforce() -> String {
    repository().join("ops/envoy/enforce.yaml").display().to_string()
}

#[track_caller]
fn rejected(name: &str, value: &str, complaint: &str) {
    assert_eq!(configure(&enforce(), &[(name, value)]), Err(format!("configure: {complaint}")));
}

#[test]
fn without_settings_a_configuration_is_the_committed_one() {
    for mode in ["enforce", "mirror"] {
        let file = repository().join(format!("ops/envoy/{mode}.yaml"));
        let committed = fs::read_to_string(&file).expect("the file is there");
        assert_eq!(configure(&file.display().to_string(), &[]).as_deref(), Ok(committed.as_str()));
    }
}

#[test]
fn an_invalid_setting_is_named() {
    rejected("EDGE_PORT", "99999", "EDGE_PORT=99999 is no port");
    rejected("METRICS_PORT", "x", "METRICS_PORT=x is no number");
    rejected("LISTEN_ADDRESS", "all", "LISTEN_ADDRESS=all is no address");
    rejected("SOCKET_FOLDER", "/tmp/a|b", "SOCKET_FOLDER=/tmp/a|b is no path");
    rejected("RLS", "mimir-rls", "RLS=mimir-rls must be HOST:PORT[,HOST:PORT...]");
    rejected("RLS", "a:1,,b:2", "RLS= must be HOST:PORT[,HOST:PORT...]");
    rejected("MIMIR_URL", "mimir:8080", "MIMIR_URL=mimir:8080 must be http://HOST[:PORT] or https://HOST[:PORT]");
    rejected("MIMIR_URL", "http://a/b", "MIMIR_URL=a/b must be HOST:PORT[,HOST:PORT...]");
    rejected("MIMIR_URL", "http://a:1,b }:1", "MIMIR_URL=b } must be HOST:PORT[,HOST:PORT...]");
    rejected("FAILURE_MODE_ALLOW", "yes", "FAILURE_MODE_ALLOW=yes is neither true nor false");
    rejected("MAX_PUSHES", "-1", "MAX_PUSHES=-1 is no number");
    let file = enforce();
    rejected(
        "MAX_REQUEST_BYTES",
        "16777217",
        &format!(
            "MAX_REQUEST_BYTES=16777217 is over 16777216, and {file} has no bound for such pushes: mirror.yaml has, or the chart with limits.maxRequestBytes"
        ),
    );
    let missing = configure("/nowhere.yaml", &[]);
    assert_eq!(missing, Err("configure: /nowhere.yaml cannot be read".to_owned()));
    let other = repository().join("ops/envoy/values.yaml").display().to_string();
    assert!(configure(&other, &[]).is_err_and(|complaint| complaint.contains("has nothing like")));
}

#[test]
fn envoy_accepts_an_address_of_either_family() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("envoy.yaml");
    for address in ["0.0.0.0", "::"] {
        let text = configure(&enforce(), &[("LISTEN_ADDRESS", address)]).expect("it is configured");
        fs::write(&file, text).expect("a file can be written");
        let mut envoy = Command::new(tool("envoy"));
        let output =
            envoy.args(["--mode", "validate", "--config-path"]).arg(&file).output().expect("Envoy can be started");
        assert!(output.status.success(), "{address}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn two_ports_can_be_exchanged() {
    let settings = [("EDGE_PORT", "9901"), ("METRICS_PORT", "8080")];
    let text = configure(&enforce(), &settings).expect("it is configured");
    let ports: Vec<&str> =
        text.lines().filter(|line| line.starts_with("    address: { socket_address")).map(str::trim).collect();
    let line = |address: &str, port: u16| {
        format!("address: {{ socket_address: {{ address: {address}, port_value: {port} }} }}")
    };
    assert_eq!(ports, [line("\"127.0.0.1\"", 9901), line("\"127.0.0.1\"", 8080), line("127.0.0.1", 9902)]);
}

/// Answers one request on each connection, and gives the server name of TLS and the request's `Host`.
fn tls_server(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> (u16, Receiver<(String, String)>) {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map(Arc::new)
        .expect("the certificate can be used");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port can be bound");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let (sender, asked) = channel();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut connection = ServerConnection::new(Arc::clone(&config)).expect("the configuration is good");
            let answered: io::Result<_> = answer(&mut Stream::new(&mut connection, &mut socket));
            // A connection that ends before its request is a health check or a probe.
            if let (Ok(host), Some(name)) = (answered, connection.server_name()) {
                drop(sender.send((name.to_owned(), host)));
            }
        }
    });
    (port, asked)
}

/// The `Host` of a request, after a 200 for it.
fn answer(stream: &mut (impl Read + Write)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let value =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let length = value("content-length:").parse().unwrap_or_default();
    stream.read_exact(&mut vec![0; length])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    stream.flush()?;
    Ok(value("host:"))
}

#[test]
fn envoy_verifies_the_name_of_a_mimir_behind_https() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::of("overrides: {}");
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).expect("it is a key");
    let (mimir, asked) = tls_server(pair.cert.der().clone(), key);

    let push_through = |name: &str, authority: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("a folder can be made");
        let (file, trusted) = (folder.join("envoy.yaml"), folder.join("ca.pem"));
        fs::write(&trusted, authority).expect("a file can be written");
        let [port, metrics_port] = [(); 2].map(|()| free_port());
        let settings = [
            ("EDGE_PORT", port.to_string()),
            ("METRICS_PORT", metrics_port.to_string()),
            ("DRAIN_PORT", "0".to_owned()),
            ("SOCKET_FOLDER", folder.display().to_string()),
            ("RLS", format!("127.0.0.1:{}", rls.grpc_port())),
            ("MIMIR_URL", format!("https://localhost:{mimir}")),
            ("MIMIR_CA_FILE", trusted.display().to_string()),
        ];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fs::write(&file, configure(&enforce(), &settings).expect("it is configured")).expect("a file can be written");
        let mut command = Command::new(tool("envoy"));
        command.arg("--config-path").arg(&file).args(["--disable-hot-restart", "--concurrency", "1"]);
        let envoy = Process::start("envoy", &folder, &mut command);
        until("Envoy serves", || TcpStream::connect(("127.0.0.1", metrics_port)).is_ok());
        until("Envoy has found mimir-rls", || {
            let healthy = r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir_rls"}"#;
            metric(metrics_port, "/stats/prometheus", healthy) == Some(1.0)
        });
        let answer = send(port, &push_request("team", &samples(1).bytes));
        drop(envoy);
        answer
    };
    assert_eq!(push_through("good", &pair.cert.pem()).status, 200);
    assert_eq!(asked.recv().ok(), Some(("localhost".to_owned(), "localhost".to_owned())));

    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let answer = push_through("stranger", &stranger.cert.pem());
    assert_eq!(answer.status, 503);
    assert!(asked.try_recv().is_err(), "a push went to a Mimir that is not who it says");
}
