//! kubectl, with the flags that choose the cluster.

use std::io;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::error::EdgeError;
use crate::args::ClusterArgs;

impl ClusterArgs {
    /// kubectl with the flags that choose the cluster.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).stdin(Stdio::null());
        if let Some(context) = &self.context {
            command.arg("--context").arg(context);
        }
        if let Some(file) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(file);
        }
        command
    }

    /// Runs kubectl to its end, whatever its exit code is.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn run_kubectl(&self, arguments: &[&str], timeout: Duration) -> Result<Output, EdgeError> {
        let timeout = format!("--request-timeout={}ms", timeout.as_millis());
        self.kubectl(arguments).arg(timeout).output().map_err(not_run)
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// It cannot be run, or fails.
    pub(crate) fn kubectl_prints(&self, arguments: &[&str], timeout: Duration) -> Result<Vec<u8>, EdgeError> {
        let output = self.run_kubectl(arguments, timeout)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let (what, why) = (arguments.get(..2).unwrap_or(arguments).join(" "), String::from_utf8_lossy(&output.stderr));
        Err(EdgeError::Unavailable(format!("kubectl {what}: {}", why.trim())))
    }
}

pub(super) fn not_run(error: io::Error) -> EdgeError {
    EdgeError::Unavailable(format!("kubectl cannot be run: {error}; install it, or name the replicas with --address"))
}
