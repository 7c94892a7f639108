//! The whole edge: a limits file, mimir-rls, Envoy, and a sink behind them.

use std::path::Path;

use tempfile::TempDir;

use crate::envoy::{Envoy, EnvoySettings};
use crate::http1::{Request, Response, send};
use crate::limits_file::LimitsFile;
use crate::mimir_rls::MimirRls;
use crate::push::push_request;
use crate::sink::Sink;
use crate::wait::until;

/// How an edge differs from the usual one.
#[derive(Clone, Debug)]
pub struct EdgeBuilder {
    failure_mode_allow: bool,
    max_request_bytes: usize,
    upstream_port: Option<u16>,
    rls_arguments: Vec<&'static str>,
}

impl EdgeBuilder {
    /// Pushes go on while mimir-rls is unreachable.
    #[must_use]
    pub fn failing_open(mut self) -> Self {
        self.failure_mode_allow = true;
        self
    }

    /// The largest push that Envoy takes; mimir-rls keeps its own default, which is larger.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Something else than the sink stands behind the edge.
    #[must_use]
    pub fn upstream(mut self, port: u16) -> Self {
        self.upstream_port = Some(port);
        self
    }

    /// More arguments for mimir-rls.
    #[must_use]
    pub fn rls_arguments(mut self, arguments: &[&'static str]) -> Self {
        self.rls_arguments.extend_from_slice(arguments);
        self
    }

    /// Starts the edge with these limits, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(self, limits: &str) -> Edge {
        let file = LimitsFile::absent();
        file.write(limits);
        self.start_with(file)
    }

    /// The same with a file of the test's.
    ///
    /// # Panics
    /// When it does not serve.
    #[must_use]
    pub fn start_with(self, limits: LimitsFile) -> Edge {
        // Envoy's first health check is to find it ready: a change of health reaches Envoy's workers a little after its metrics.
        self.start_when(limits, |rls| until("mimir-rls is ready", || rls.readiness() == Some(200)))
    }

    /// Starts the programs without waiting until mimir-rls is ready.
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start_unready(self, limits: LimitsFile) -> Edge {
        self.start_when(limits, |_| ())
    }

    fn start_when(self, limits: LimitsFile, wait: impl FnOnce(&MimirRls)) -> Edge {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let sink = Sink::start();
        let rls = MimirRls::start(folder.path(), &limits.path(), &self.rls_arguments);
        wait(&rls);
        let settings = EnvoySettings {
            rls_grpc_port: rls.grpc_port(),
            upstream_port: Some(self.upstream_port.unwrap_or(sink.port())),
            max_request_bytes: self.max_request_bytes,
            failure_mode_allow: self.failure_mode_allow,
        };
        let envoy = Envoy::start(folder.path(), &settings);
        Edge { envoy, rls, sink, limits, folder }
    }
}

/// A running edge. Its programs are gone when it is dropped.
#[derive(Debug)]
pub struct Edge {
    /// In front.
    pub envoy: Envoy,
    /// What Envoy asks.
    pub rls: MimirRls,
    /// What stands for Mimir.
    pub sink: Sink,
    /// The limits in force.
    pub limits: LimitsFile,
    folder: TempDir,
}

impl Edge {
    /// The usual edge: fails closed, takes 16 MiB, and has the sink behind it.
    #[must_use]
    pub fn builder() -> EdgeBuilder {
        EdgeBuilder {
            failure_mode_allow: false,
            max_request_bytes: 16 << 20,
            upstream_port: None,
            rls_arguments: Vec::new(),
        }
    }

    /// Starts the usual edge with these limits.
    ///
    /// # Panics
    /// When it does not serve.
    #[must_use]
    pub fn start(limits: &str) -> Self {
        Self::builder().start(limits)
    }

    /// Where clients push.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.envoy.port()
    }

    /// A folder for files of the test, removed with the edge.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        send(self.port(), request)
    }

    /// Pushes a body for a tenant.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn push(&self, tenant: &str, body: &[u8]) -> Response {
        self.send(&push_request(tenant, body))
    }
}
