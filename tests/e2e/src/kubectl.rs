//! The real kubectl, as one user of one API server.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::kube_apiserver::KubeApiServer;
use crate::output::Output;
use crate::programs::{repository, tool};

/// kubectl with a token's kubeconfig, and with a home and a cache of its own. The kubeconfig is gone with the server.
#[derive(Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: TempDir,
}

impl Kubectl {
    /// kubectl as the user of this token.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    #[track_caller]
    pub fn new(server: &KubeApiServer, token: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        Self { program: tool("kubectl"), kubeconfig: server.kubeconfig(token), home }
    }

    /// Runs it. No call takes longer than 30 s.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// Runs it with this on its standard input (`-f -`).
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.program);
        Output::of(self.settled(&mut command).arg("--request-timeout=30s").args(arguments), input)
    }

    /// Runs it and gives what it printed.
    ///
    /// # Panics
    /// When it failed, with what it said.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }

    /// Whether its user may do this: `kubectl auth can-i` with these arguments.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn may(&self, arguments: &[&str]) -> bool {
        self.run(&[&["auth", "can-i"], arguments].concat()).stdout.trim() == "yes"
    }

    /// `kubectl apply` of these manifests. What it applied last goes into an annotation, which must be under 256 KiB: larger documents go
    /// through `run_with(&["replace", "-f", "-"], ..)` or [`Api`](crate::Api).
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> Output {
        self.run_with(&["apply", "-f", "-"], yaml)
    }

    /// Runs a line of a shell as a reader of the docs does: at the root of the repository, with `kubectl` on PATH and KUBECONFIG set.
    ///
    /// # Panics
    /// When there is no bash.
    #[must_use]
    #[track_caller]
    pub fn shell(&self, line: &str) -> Output {
        let folders = env::var_os("PATH").unwrap_or_default();
        let own = self.program.parent().map(PathBuf::from);
        let path = env::join_paths(own.into_iter().chain(env::split_paths(&folders)))
            .expect("PATH has no separator in a folder");
        let mut command = Command::new("bash");
        let command = command.args(["-eu", "-o", "pipefail", "-c", line]).env("PATH", path);
        Output::of(self.settled(command).current_dir(repository()), "")
    }

    fn settled<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let home = self.home.path();
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", home).env("KUBECACHEDIR", home.join("cache"))
    }
}
