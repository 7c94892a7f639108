//! A running NGINX with a configuration of ops/nginx.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::front_proxy::{ENVOY_NAME, ProxyBackends, substituted};
use crate::http1::Connection;
use crate::output::Output;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::{repository, tool};
use crate::wait::until;

/// The real NGINX on loopback.
///
/// Its folder is a copy of ops/nginx in which addresses, ports and paths are this run's. As on an operator's machine, `nginx.conf` is a copy of one of
/// the five files, and a change is an edit, `nginx -t` and `nginx -s reload`.
#[derive(Debug)]
pub struct Nginx {
    /// The running program.
    pub process: Process,
    folder: TempDir,
    port: u16,
}

impl Nginx {
    /// Starts it with one of the files, such as `mirror.conf`, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(file: &str, backends: ProxyBackends) -> Self {
        Self::start_edited(file, backends, |text| text)
    }

    /// The same after an edit of the file.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_edited(file: &str, backends: ProxyBackends, edit: impl FnOnce(String) -> String) -> Self {
        Self::start_in(|folder, port| {
            copy(folder, port, backends);
            use_file(folder, file, edit);
        })
    }

    /// The same for an edge of sidecars, whose pods are at these ports.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_sticky(file: &str, backends: ProxyBackends, pods: &[u16]) -> Self {
        Self::start_in(|folder, port| {
            copy(folder, port, backends);
            let part = |name: &str| folder.join("mimir-edge").join(name);
            fs::copy(part("envoy-sticky.conf"), part("envoy.conf")).expect("a file can be copied");
            write_pods(folder, pods);
            use_file(folder, file, |text| text);
        })
    }

    /// The same with `envoy-keepalive.conf`, but for `resolve`: NGINX 1.22 does not know it, so Envoy has an address here.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_keepalive(file: &str, backends: ProxyBackends) -> Self {
        Self::start_in(|folder, port| {
            copy(folder, port, backends);
            let part = |name: &str| folder.join("mimir-edge").join(name);
            fs::copy(part("envoy-keepalive.conf"), part("envoy.conf")).expect("a file can be copied");
            use_file(folder, file, |text| text);
        })
    }

    /// Starts it with an `nginx.conf` that `prepare` writes into its folder, for a port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(prepare: impl FnOnce(&Path, u16)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let port = free_port();
        prepare(folder.path(), port);
        test(folder.path());
        let process = Process::start("nginx", folder.path(), nginx(folder.path()).args(["-g", "daemon off;"]));
        let mut nginx = Self { process, folder, port };
        until("NGINX listens", || {
            assert!(nginx.process.ended().is_none(), "NGINX ended");
            Connection::open(port).is_ok() && !nginx.workers().is_empty()
        });
        nginx
    }

    /// Where clients push.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder: the files of ops/nginx for this run, and `nginx.conf`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies one of the files over `nginx.conf`, checks it and reloads. Waits until no worker of before takes connections.
    ///
    /// # Panics
    /// When NGINX rejects the file.
    pub fn switch_to(&self, file: &str) {
        self.switch_to_edited(file, |text| text);
    }

    /// The same after an edit of the file.
    ///
    /// # Panics
    /// When NGINX rejects the file.
    pub fn switch_to_edited(&self, file: &str, edit: impl FnOnce(String) -> String) {
        use_file(self.folder.path(), file, edit);
        test(self.folder.path());
        self.reload();
    }

    /// Lists these pods of an edge of sidecars, and reloads.
    ///
    /// # Panics
    /// When NGINX rejects them.
    pub fn set_pods(&self, pods: &[u16]) {
        write_pods(self.folder.path(), pods);
        test(self.folder.path());
        self.reload();
    }

    /// `nginx -s reload`, and waits until no worker of before takes connections.
    ///
    /// # Panics
    /// When there are no new workers.
    pub fn reload(&self) {
        self.reloaded_by(|| check(nginx(self.folder.path()).args(["-s", "reload"])));
    }

    /// Does something that reloads it, and waits until no worker of before takes connections.
    ///
    /// # Panics
    /// When there are no new workers.
    pub fn reloaded_by<T>(&self, change: impl FnOnce() -> T) -> T {
        let before = self.workers();
        let done = change();
        until("NGINX has new workers alone", || {
            let now = self.workers();
            !now.is_empty() && now.is_disjoint(&before)
        });
        done
    }

    /// Waits until the workers of before a reload have finished their requests, and ended.
    ///
    /// # Panics
    /// When they don't.
    pub fn wait_for_old_workers(&self) {
        until("NGINX has no old workers", || self.children().is_subset(&self.workers()));
    }

    /// The lines of one of its access logs, such as `mimir.log`.
    #[must_use]
    pub fn access_log(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn children(&self) -> BTreeSet<u32> {
        let master = self.process.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// The workers that take connections.
    fn workers(&self) -> BTreeSet<u32> {
        let mut workers = self.children();
        workers.retain(|id| {
            let title = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title);
            title.starts_with("nginx: worker process") && !title.contains("shutting down")
        });
        workers
    }
}

impl Drop for Nginx {
    /// A master that is killed leaves its workers behind.
    fn drop(&mut self) {
        self.process.stop();
    }
}

fn nginx(folder: &Path) -> Command {
    let mut command = Command::new(tool("nginx"));
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command
}

/// `nginx -t`.
fn test(folder: &Path) {
    check(nginx(folder).arg("-t"));
}

fn check(command: &mut Command) {
    let Output { status, stderr, .. } = Output::of(command, "");
    assert_eq!(status, Some(0), "{stderr}");
}

fn use_file(folder: &Path, file: &str, edit: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(folder.join(file)).expect("ops/nginx has this file");
    fs::write(folder.join("nginx.conf"), edit(text)).expect("a file can be written");
}

fn write_pods(folder: &Path, pods: &[u16]) {
    let line = |port: &u16| format!("server 127.0.0.1:{port} max_fails=1 fail_timeout=10s;\n");
    let lines: String = pods.iter().map(line).collect();
    fs::write(folder.join("mimir-edge/envoy-pods.conf"), lines).expect("a file can be written");
}

/// A copy of ops/nginx for this run.
fn copy(folder: &Path, port: u16, backends: ProxyBackends) {
    let from = repository().join("ops/nginx");
    let mut files = Vec::new();
    for part in ["", "mimir-edge"] {
        fs::create_dir_all(folder.join(part)).expect("a folder can be made");
        for entry in fs::read_dir(from.join(part)).expect("ops/nginx can be listed") {
            let path = entry.expect("ops/nginx can be listed").path();
            if path.extension().is_some_and(|extension| extension == "conf") {
                let text = fs::read_to_string(&path).expect("a configuration can be read");
                files.push((folder.join(part).join(path.file_name().expect("a file has a name")), text));
            }
        }
    }
    let place = folder.display();
    let values = [
        ("user www-data;", "user root;".to_owned()),
        ("/run/nginx.pid", format!("{place}/nginx.pid")),
        ("/var/log/nginx/error.log", "stderr".to_owned()),
        ("/var/log/nginx/", format!("{place}/")),
        ("/var/lib/nginx/", format!("{place}/temporary-")),
        ("listen 80;", format!("listen 127.0.0.1:{port};")),
        ("127.0.0.1:8088", format!("127.0.0.1:{}", free_port())),
        ("127.0.0.1:8089", format!("127.0.0.1:{}", free_port())),
        ("mimir-gateway.mimir.svc.cluster.local:80;", format!("127.0.0.1:{};", backends.mimir)),
        (
            "default mimir-envoy.mimir-edge-enforcement.svc.cluster.local:8080;",
            format!("default {}:{};", backends.host_of_envoy(ENVOY_NAME), backends.envoy),
        ),
        (
            "server mimir-envoy.mimir-edge-enforcement.svc.cluster.local:8080 resolve;",
            format!("server 127.0.0.1:{};", backends.envoy),
        ),
        // Where nothing is to be resolved, nothing listens there.
        (
            "kube-dns.kube-system.svc.cluster.local valid=5s",
            format!("127.0.0.1:{} valid=1s", backends.dns.unwrap_or(1)),
        ),
    ];
    let texts = substituted("ops/nginx", files.iter().map(|(_, text)| text.clone()).collect(), &values);
    for ((path, _), text) in files.iter().zip(texts) {
        fs::write(path, text).expect("a file can be written");
    }
}
