//! A running HAProxy with the configuration of ops/haproxy.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::front_proxy::{ENVOY_NAME, ENVOY_PODS_NAME, ProxyBackends, substituted};
use crate::http1::Connection;
use crate::output::Output;
use crate::ports::free_port;
use crate::process::{Process, Signal};
use crate::programs::{repository, tool};
use crate::wait::{until, until_some};

/// The real HAProxy on loopback. Its folder is a copy of ops/haproxy in which addresses, ports and paths are this run's.
#[derive(Debug)]
pub struct Haproxy {
    /// The running program.
    pub process: Process,
    folder: TempDir,
    file: &'static str,
    port: u16,
}

impl Haproxy {
    /// Starts it after edits of its files, which are given with their names, and waits until it listens and takes Envoy for healthy.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start_edited(backends: ProxyBackends, edit: impl Fn(&str, String) -> String) -> Self {
        Self::start_file("haproxy.cfg", backends, edit)
    }

    /// The same with another configuration of ops/haproxy.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_file(file: &'static str, backends: ProxyBackends, edit: impl Fn(&str, String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let port = free_port();
        copy(folder.path(), file, port, backends, edit);
        check(folder.path(), file);
        let process = Process::start("haproxy", folder.path(), haproxy(folder.path(), file).args(["-W", "-db"]));
        let mut haproxy = Self { process, folder, file, port };
        until("HAProxy listens", || {
            assert!(haproxy.process.ended().is_none(), "HAProxy ended");
            Connection::open(port).is_ok()
        });
        haproxy
    }

    /// Where clients push.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives a command, or several with `;` between them, to its socket, and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn command(&self, command: &str) -> String {
        // A process that takes over puts its own socket in the place of the other's.
        let path = self.folder.path().join("admin.sock");
        let mut socket = until_some("HAProxy has a socket", || UnixStream::connect(&path).ok());
        writeln!(socket, "{command}").expect("a command can be given");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("a command is answered");
        answer.trim().to_owned()
    }

    /// Sets the share of the edge, in percent, as an operator does.
    ///
    /// # Panics
    /// When HAProxy rejects it.
    pub fn set_share(&self, percent: u8) {
        let rest = 100 - percent;
        let answer = self.command(&format!("set weight pushes/edge {percent}; set weight pushes/mimir {rest}"));
        assert_eq!(answer, "", "HAProxy rejects the weights");
    }

    /// Edits `haproxy.cfg`, checks it and reloads, as `systemctl reload haproxy` does. Waits until a new process serves.
    ///
    /// # Panics
    /// When HAProxy rejects the file.
    pub fn reload_edited(&self, edit: impl FnOnce(String) -> String) {
        let file = self.folder.path().join(self.file);
        let text = fs::read_to_string(&file).expect("a configuration can be read");
        fs::write(&file, edit(text)).expect("a file can be written");
        check(self.folder.path(), self.file);
        let before = self.worker();
        self.process.signal(Signal::USR2);
        until("HAProxy has a new process", || self.worker() != before);
    }

    /// The process that serves now.
    fn worker(&self) -> String {
        let info = self.command("show info");
        info.lines()
            .find_map(|line| line.strip_prefix("Pid: "))
            .map(str::to_owned)
            .expect("HAProxy prints its process id")
    }

    /// Waits until a server, such as `pushes/edge`, is up or down.
    ///
    /// # Panics
    /// When it isn't.
    pub fn wait_for(&self, server: &str, up: bool) {
        let (backend, name) = server.split_once('/').expect("a server is named backend/server");
        until(&format!("{server} is up: {up}"), || {
            // The columns of the state file: backend's id, its name, server's id, its name, address, operational state (2: running).
            self.command(&format!("show servers state {backend}")).lines().any(|line| {
                let columns: Vec<&str> = line.split_whitespace().collect();
                columns.get(3) == Some(&name) && columns.get(5) == Some(if up { &"2" } else { &"0" })
            })
        });
    }
}

impl Drop for Haproxy {
    /// A master that is killed may leave its worker behind.
    fn drop(&mut self) {
        self.process.stop();
    }
}

fn haproxy(folder: &Path, file: &str) -> Command {
    let mut command = Command::new(tool("haproxy"));
    command.arg("-f").arg(folder.join(file));
    command
}

fn check(folder: &Path, file: &str) {
    let Output { status, stderr, .. } = Output::of(haproxy(folder, file).arg("-c"), "");
    assert_eq!(status, Some(0), "{stderr}");
}

/// A copy of ops/haproxy for this run.
fn copy(folder: &Path, file: &'static str, port: u16, backends: ProxyBackends, edit: impl Fn(&str, String) -> String) {
    let files = [file, "always.lst", "never.lst"];
    let name = if file == "sticky.cfg" { ENVOY_PODS_NAME } else { ENVOY_NAME };
    let read =
        |name| fs::read_to_string(repository().join("ops/haproxy").join(name)).expect("a configuration can be read");
    let named = format!("{name}:8080");
    let nameserver = backends.dns.map_or_else(String::new, |dns| format!("    nameserver test 127.0.0.1:{dns}\n"));
    let values = [
        ("    user haproxy\n    group haproxy\n", String::new()),
        ("/run/haproxy/admin.sock", folder.join("admin.sock").display().to_string()),
        ("bind :80\n", format!("bind 127.0.0.1:{port}\n")),
        ("mimir-gateway.mimir.svc.cluster.local:80", format!("127.0.0.1:{}", backends.mimir)),
        (named.as_str(), format!("{}:{}", backends.host_of_envoy(name), backends.envoy)),
        ("    parse-resolv-conf\n", nameserver),
    ];
    let texts = substituted("ops/haproxy", files.map(read).to_vec(), &values);
    for (name, text) in files.into_iter().zip(texts) {
        fs::write(folder.join(name), edit(name, text)).expect("a file can be written");
    }
}
