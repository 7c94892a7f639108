//! `make run`: what its script starts, prints, rejects and stops.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{
    Connection, Process, Request, RunBody, Signal, Upstream, built, free_port, repository, run_bodies, until_some,
};
use limits::TenantLimits;
use remote_write::{BodyLimits, Protocol, Scratch, Validation, read_push};
use tempfile::TempDir;

/// The script on free ports, with the programs that are built already.
struct Run {
    process: Process,
    ports: [u16; 4],
    folder: TempDir,
}

const PORT_NAMES: [&str; 4] = ["EDGE_PORT", "ENVOY_ADMIN_PORT", "GRPC_PORT", "HTTP_PORT"];

impl Run {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_on([(); 4].map(|()| free_port()), settings)
    }

    fn start_on(ports: [u16; 4], settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let program = built("mimir-rls");
        let mut command = Command::new(repository().join("ops/run/run"));
        command.env("BIN_DIR", program.parent().expect("a program is in a folder")).env("TMPDIR", folder.path());
        command.env_remove("LIMITS").env_remove("EDGE_CONFIG").env_remove("MIMIR_URL").envs(settings.iter().copied());
        for (name, port) in PORT_NAMES.iter().zip(ports) {
            command.env(name, port.to_string());
        }
        Self { process: Process::start("run", folder.path(), &mut command), ports, folder }
    }

    /// The first two printed lines.
    fn printed_lines(&mut self) -> [String; 2] {
        until_some("make run prints its example lines", || {
            assert!(self.process.ended().is_none(), "make run ended");
            let log = self.process.log();
            log.contains("Ctrl-C stops it").then(|| {
                ["gets a 200:", "gets a 429:"].map(|title| {
                    log.lines()
                        .skip_while(|line| *line != title)
                        .nth(1)
                        .expect("a line after the title")
                        .trim()
                        .to_owned()
                })
            })
        })
    }

    /// Asks it to stop; its children must be gone and its folder empty.
    fn stop(mut self) {
        self.process.signal(Signal::TERM);
        assert!(self.process.wait().success(), "{}", self.process.log());
        self.left_nothing();
    }

    fn left_nothing(&self) {
        for port in self.ports {
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "something still listens on {port}");
        }
        let left: Vec<String> = fs::read_dir(self.folder.path())
            .expect("the folder can be read")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "run.log")
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A script that is killed cannot stop its children.
        self.process.stop();
    }
}

fn shell(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).output().expect("bash runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_printed_commands_get_the_statuses_they_promise() {
    let mut run = Run::start(&[]);
    let [allowed, denied] = run.printed_lines();
    let denials = format!("curl -sS http://127.0.0.1:{}/api/v1/denials", run.ports[3]);
    assert_eq!(shell(&denials), r#"{"denials":[],"next":null}"#, "its own probe was denied");

    assert!(shell(&allowed).starts_with("HTTP/1.1 200 OK"), "{allowed}");
    let answer = shell(&denied);
    assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests"), "{answer}");
    assert!(answer.contains("set to 200000, with 200001 items"), "{answer}");
    run.stop();
}

/// The status with which a unix socket answers a POST.
fn post(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("Envoy listens");
    let request = format!("POST {path} HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("Envoy answers");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn only_the_user_who_started_it_can_drain_envoy() {
    let mut run = Run::start(&[]);
    run.printed_lines();
    let folders = fs::read_dir(run.folder.path()).expect("the folder can be read").flatten();
    let folder = folders.map(|entry| entry.path()).find(|path| path.is_dir()).expect("Envoy's sockets have a folder");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let socket = folder.join("drain.sock");
    assert_eq!((mode(&folder), mode(&socket)), (0o700, 0o600));
    let ready = || Connection::open(run.ports[1]).and_then(|mut open| open.send(&Request::new("GET", "/ready")));
    for (path, status) in [("/healthcheck/fail", 503), ("/healthcheck/ok", 200)] {
        assert_eq!(post(&socket, path), "HTTP/1.1 200 OK", "{path}");
        assert_eq!(ready().expect("Envoy answers").status, status, "{path}");
    }
    assert!(!fs::read_to_string(folder.join("envoy.yaml")).expect("it is there").contains("port_value: 0 "));
    run.stop();
}

#[test]
fn an_edge_config_can_put_all_tenants_in_shadow() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let config = folder.path().join("edge.yaml");
    fs::write(&config, "mode: shadow").expect("a file can be written");
    let mut run = Run::start(&[("EDGE_CONFIG", &config.to_string_lossy())]);
    let [_, over_burst] = run.printed_lines();
    assert!(shell(&over_burst).starts_with("HTTP/1.1 200 OK"), "{over_burst}");
    run.stop();
}

#[test]
fn allowed_pushes_reach_mimir_url() {
    let upstream = Upstream::start();
    let mut run = Run::start(&[("MIMIR_URL", &format!("http://localhost:{}", upstream.port()))]);
    let [allowed, denied] = run.printed_lines();
    assert_eq!(upstream.requests().len(), 0);
    shell(&allowed);
    shell(&denied);

    let arrivals = upstream.requests();
    assert_eq!(arrivals.len(), 1);
    // A Mimir that has newer samples answers 400 to old ones.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    let minute = Duration::from_secs(60);
    let young = TenantLimits { past_grace_period: minute, creation_grace_period: minute, ..TenantLimits::default() };
    let counts = read_push(
        Protocol::V1,
        &arrivals[0].body,
        BodyLimits { max_decoded_bytes: 1 << 20 },
        &Validation::new(&young),
        i64::try_from(now).expect("it is before the year 292 million"),
        &mut Scratch::default(),
    );
    assert_eq!(counts.expect("it is a push").items(), 10);
    run.stop();
}

#[test]
fn the_named_limits_file_applies() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = folder.path().join("limits.yaml");
    fs::write(&limits, "overrides: { make-run-example: { request_rate: 0.001, request_burst_size: 1 } }")
        .expect("it can be written");
    let mut run = Run::start(&[("LIMITS", &limits.to_string_lossy())]);
    let [line, _] = run.printed_lines();

    assert!(shell(&line).starts_with("HTTP/1.1 200 OK"));
    assert!(shell(&line).starts_with("HTTP/1.1 429 Too Many Requests"));
    run.stop();
}

#[test]
fn a_program_that_ends_stops_all_and_shows_its_log() {
    let mut run = Run::start(&[]);
    run.printed_lines();
    let pattern = format!("mimir-rls --grpc-listen 127.0.0.1:{} ", run.ports[2]);
    shell(&format!("kill -KILL $(pgrep -f '{pattern}' -P {})", run.process.id()));

    assert!(!run.process.wait().success());
    let log = run.process.log();
    assert!(log.contains("mimir-rls was killed by SIGKILL"), "{log}");
    run.left_nothing();
}

#[test]
fn unreadable_limits_are_reported() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for variable in ["LIMITS", "EDGE_CONFIG"] {
        let mut run = Run::start(&[(variable, &folder.path().join("absent.yaml").to_string_lossy())]);
        assert!(!run.process.wait().success());
        assert!(run.process.log().contains("absent.yaml is no file"), "{}", run.process.log());
    }
}

#[test]
fn a_port_in_use_is_reported_with_its_variable() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = taken.local_addr().expect("a bound socket has an address").port();
    for (index, name) in PORT_NAMES.iter().enumerate() {
        let mut ports = [(); 4].map(|()| free_port());
        ports[index] = port;
        let mut run = Run::start_on(ports, &[]);
        assert!(!run.process.wait().success());
        let log = run.process.log();
        assert!(
            log.contains(&format!("port {port} cannot be used")) && log.contains(&format!("make run {name}=")),
            "{log}"
        );
    }
}

#[test]
fn an_unusable_mimir_url_is_reported() {
    for (url, reason) in [
        ("https://mimir:8080", "only plain http"),
        ("mimir:8080", "only plain http"),
        ("http://mimir:8080/api/v1/push", "leave out /api/v1/push"),
        ("http://mimir:99999", "out of range"),
        ("http://user@mimir:8080", "no host and port"),
        ("http://", "no host and port"),
    ] {
        let mut run = Run::start(&[("MIMIR_URL", url)]);
        assert!(!run.process.wait().success(), "{url}");
        let log = run.process.log();
        assert!(
            log.contains(&format!("MIMIR_URL={url} must be http://HOST:PORT")) && log.contains(reason),
            "{url}: {log}"
        );
    }
}

fn committed(body: &RunBody) -> std::path::PathBuf {
    Path::new(repository()).join("ops/run").join(body.file)
}

#[test]
fn the_committed_bodies_are_the_generated_ones() {
    for body in run_bodies() {
        let decompress = |bytes: &[u8]| snap::raw::Decoder::new().decompress_vec(bytes).expect("it is snappy");
        let file = fs::read(committed(&body)).expect("the example can be read");
        // Another version of the compressor may write other bytes for the same push.
        assert_eq!(
            decompress(&file),
            decompress(&body.bytes),
            "cargo run -p e2e --example write-run-bodies writes {}",
            body.file
        );
        let limits = BodyLimits { max_decoded_bytes: 2 << 20 };
        let validation = Validation::new(&TenantLimits::default());
        let counts = read_push(Protocol::V1, &file, limits, &validation, i64::MAX, &mut Scratch::default())
            .expect("it is a push");
        assert_eq!(counts.items(), body.samples as u64);
        assert!(file.len() < 64 << 10, "{} has {} bytes", body.file, file.len());
    }
}
