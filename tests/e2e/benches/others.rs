//! `ShouldRateLimit` of other rate limiters beside that of mimir-rls: the same calls of the same client, each server on loopback with the same cores.
//!
//! `make bench-others` builds the servers and names them: `TOOL_RATELIMIT` and `REDIS`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use e2e::{MimirRls, Process, WatchedFile, free_port, tool, until};

#[path = "edge/calls/client.rs"]
mod client;

use client::{Caller, call_of};

const DOMAIN: &str = "mimir";
const IN_FLIGHT: [usize; 2] = [10, 100];

/// Calls for so many tenants, in turn.
fn calls(tenants: usize) -> Vec<Bytes> {
    (0..tenants).map(|tenant| call_of(DOMAIN, "tenant", &format!("tenant-{tenant:05}"))).collect()
}

fn report<const N: usize>(name: &str, port: u16, programs: [&Process; N], tenants: usize) {
    let (caller, calls) = (Caller::connect(port), calls(tenants));
    for in_flight in IN_FLIGHT {
        let Some(cost) = caller.measure(programs, &calls, in_flight) else { continue };
        let per_second = cost.per_second;
        let [server, redis] =
            [0, 1].map(|program| cost.micros.get(program).map_or("–".to_owned(), |it| format!("{it:.1}")));
        println!("| {name} | {in_flight} | {per_second:.0} | {server} | {redis} |");
    }
}

/// Starts a server in a folder of its own, and waits until it accepts.
fn start(name: &str, folder: &Path, port: u16, command: &mut Command) -> Process {
    let process = Process::start(name, folder, command);
    until(&format!("{name} accepts"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

/// A program that an environment variable names.
fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map_or_else(|| unreachable!("{variable} is not set: make bench-others sets it"), PathBuf::from)
}

fn main() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
    let folder = folder.path();
    println!("| server | calls in flight | calls/s | µs of CPU a call | in Redis |\n|---|---|---|---|---|");
    mimir_rls(folder);
    let redis_port = free_port();
    let mut redis = Command::new(program("REDIS"));
    redis.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]).arg(redis_port.to_string());
    let redis = start("redis", folder, redis_port, &mut redis);
    ratelimit(folder, &redis, redis_port);
}

fn mimir_rls(folder: &Path) {
    const TENANTS: usize = 10_000;
    let own =
        |tenant| format!("  tenant-{tenant:05}: {{ ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }}\n");
    let limits = WatchedFile::of(&format!("overrides:\n{}", (0..TENANTS).map(own).collect::<String>()));
    let rls = MimirRls::start(folder, &limits.source(), &[]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));
    report("mimir-rls, 10,000 tenants with a limit each", rls.grpc_port(), [&rls.process], TENANTS);
}

fn ratelimit(folder: &Path, redis: &Process, redis_port: u16) {
    let config = folder.join("ratelimit/config");
    fs::create_dir_all(&config).unwrap_or_else(|error| unreachable!("{error}"));
    let limits = format!(
        "domain: {DOMAIN}\ndescriptors:\n- key: tenant\n  rate_limit: {{ unit: second, requests_per_unit: 4000000000 }}\n"
    );
    fs::write(config.join("config.yaml"), limits).unwrap_or_else(|error| unreachable!("{error}"));
    let [port, http_port, debug_port] = [(); 3].map(|()| free_port());
    let mut command = Command::new(tool("ratelimit"));
    command.env("RUNTIME_ROOT", folder).env("RUNTIME_SUBDIRECTORY", "ratelimit").env("RUNTIME_WATCH_ROOT", "false");
    command.env("REDIS_SOCKET_TYPE", "tcp").env("REDIS_URL", format!("127.0.0.1:{redis_port}"));
    for (name, port) in [("GRPC", port), ("", http_port), ("DEBUG", debug_port)] {
        let name = if name.is_empty() { String::new() } else { format!("{name}_") };
        command.env(format!("{name}HOST"), "127.0.0.1").env(format!("{name}PORT"), port.to_string());
    }
    command.env("USE_STATSD", "false");
    let server = start("ratelimit", folder, port, &mut command);
    report("envoyproxy/ratelimit, 1 limit, in Redis", port, [&server, redis], 10_000);
}
