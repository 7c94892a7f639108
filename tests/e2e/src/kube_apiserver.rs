//! A running kube-apiserver, on an etcd of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::etcd::Etcd;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::tool;
use crate::wait::until;

mod api;
mod files;

pub use api::Api;

use files::Files;

/// The token of the administrator, who may everything and is always there.
pub const ADMIN: &str = "admin-token";

/// A bearer token and its user.
#[derive(Clone, Debug)]
pub struct Token {
    secret: String,
    user: String,
    groups: Vec<String>,
}

impl Token {
    /// A user, who may what roles that are bound to the user or to one of the groups say.
    #[must_use]
    pub fn new(secret: &str, user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self { secret: secret.to_owned(), user: user.to_owned(), groups }
    }

    /// A service account, as pods come with it; it need not exist.
    #[must_use]
    pub fn service_account(secret: &str, namespace: &str, name: &str) -> Self {
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")];
        Self::new(secret, &format!("system:serviceaccount:{namespace}:{name}"), &groups)
    }
}

/// The real API server on a loopback port, with RBAC and the admission of a plain cluster. There is no controller manager and no kubelet:
/// nothing schedules pods, makes endpoints or makes service accounts' tokens.
#[derive(Debug)]
pub struct KubeApiServer {
    /// The running program.
    pub process: Process,
    etcd: Etcd,
    port: u16,
    authority: CertificateDer<'static>,
    flags: Vec<String>,
    folder: TempDir,
}

impl KubeApiServer {
    /// Starts one with an etcd and waits until it is ready, some 4 s. The users of `tokens` may connect besides [`ADMIN`].
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(tokens: &[Token]) -> Self {
        Self::start_with(tokens, &[])
    }

    /// The same with more flags, which restarts keep.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(tokens: &[Token], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let etcd = Etcd::start(folder.path());
        let (port, files) = (free_port(), Files(folder.path()));
        let authority = files.write_keys();
        files.write_tokens(tokens);
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let process = spawn(folder.path(), &etcd, port, &flags);
        let mut server = Self { process, etcd, port, authority, flags, folder };
        server.wait_until_ready();
        server
    }

    /// A folder for what belongs to it, gone with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The file with the certificate that clients are to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.files().certificate()
    }

    /// Connects as the user of this token.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    #[track_caller]
    pub fn api(&self, token: &str) -> Api {
        Api::open(self.port, &self.authority, token).unwrap_or_else(|error| panic!("no API server: {error}"))
    }

    /// A kubeconfig with this token.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        self.files().write_kubeconfig(token, &self.url(), &json!({ "token": token }))
    }

    /// A kubeconfig whose token is in a file, which clients are to read again now and then.
    ///
    /// # Panics
    /// When it cannot be written, or the file has no name.
    #[must_use]
    pub fn kubeconfig_with_token_file(&self, token_file: &Path) -> PathBuf {
        let name = token_file.file_name().expect("a file has a name").to_string_lossy();
        self.files().write_kubeconfig(&format!("file-{name}"), &self.url(), &json!({ "tokenFile": token_file }))
    }

    /// Makes a namespace.
    ///
    /// # Panics
    /// When it is rejected.
    #[track_caller]
    pub fn namespace(&self, name: &str) {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let answer = self.api(ADMIN).post("/api/v1/namespaces", &namespace);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Whether it says that it is ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        let api = Api::open(self.port, &self.authority, ADMIN);
        api.is_ok_and(|mut api| api.status("/readyz") == Some(200))
    }

    /// Asks it to end, also if it is frozen, and waits for that; etcd stays.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) {
        if self.process.ended().is_none() {
            self.resume();
        }
        self.process.stop();
        self.process.wait();
    }

    /// Ends it as a crash would; etcd stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port and the same data, after asking it to end if it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        self.process = spawn(self.folder.path(), &self.etcd, self.port, &self.flags);
        self.wait_until_ready();
    }

    /// Restarts it with other tokens besides [`ADMIN`]: the old ones are then rejected, as expired tokens are.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_with(&mut self, tokens: &[Token]) {
        self.files().write_tokens(tokens);
        self.restart();
    }

    /// Stops it in its tracks: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Makes etcd forget every version before this moment, and gives the oldest that it still knows.
    ///
    /// What a client gets 410 for afterwards: its lists of an exact old version, once the server was restarted. Not its watches, running or
    /// new, since those are served from the server's watch cache, which knows the last changes by itself. A watch gets 410 in one of two ways:
    /// - [`restart`](Self::restart), with or without a compaction. A server's watch cache begins with its start, at which it also writes: no
    ///   version that a client has seen before is new enough. A client that watched meanwhile comes back with such a version.
    /// - `start_with(.., &["--watch-cache=false"])`, and a compaction after a change: watches that begin afterwards with an older version are
    ///   rejected by etcd itself. One that runs, and has had all changes, goes on.
    ///
    /// # Panics
    /// When etcd does not answer.
    #[track_caller]
    pub fn compact(&self) -> u64 {
        self.etcd.compact()
    }

    fn files(&self) -> Files<'_> {
        Files(self.folder.path())
    }

    fn wait_until_ready(&mut self) {
        until("the API server is ready", || {
            assert!(self.etcd.process.ended().is_none(), "etcd ended");
            assert!(self.process.ended().is_none(), "the API server ended");
            self.ready()
        });
    }
}

fn spawn(folder: &Path, etcd: &Etcd, port: u16, more: &[String]) -> Process {
    let files = Files(folder);
    let mut command = Command::new(tool("kube-apiserver"));
    for (flag, path) in [
        ("cert-dir", folder.join("certs")),
        ("tls-cert-file", files.certificate()),
        ("tls-private-key-file", files.key()),
        ("service-account-key-file", files.accounts_public()),
        ("service-account-signing-key-file", files.accounts_private()),
        ("token-auth-file", files.tokens()),
    ] {
        command.arg(format!("--{flag}={}", path.display()));
    }
    command.arg(format!("--etcd-servers={}", etcd.url())).arg(format!("--secure-port={port}"));
    command.args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        // It rejects pods without a service account, and no controller makes one here.
        "--disable-admission-plugins=ServiceAccount",
        // Only tests compact.
        "--etcd-compaction-interval=0",
    ]);
    // A start costs a fourth less of a core when it collects less garbage.
    Process::start("kube-apiserver", folder, command.args(more).env("GOGC", "400"))
}
