//! The whole edge: a limits file, mimir-rls, Envoy, and an upstream behind them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::envoy::{Envoy, EnvoySettings, RLS_NAME};
use crate::helm::{BOOTSTRAP, envoy_files};
use crate::http_side::Https;
use crate::http1::{Request, Response, send};
use crate::mimir_rls::{Disk, MimirRls};
use crate::push::push_request;
use crate::secrets::{MOUNT_PATH, Program, Secrets};
use crate::upstream::{Bodies, Upstream};
use crate::wait::until;
use crate::watched_file::WatchedFile;

/// How an edge differs from the usual one.
#[derive(Clone, Debug)]
pub struct EdgeBuilder {
    failure_mode_allow: bool,
    max_request_bytes: usize,
    upstream_ports: Vec<u16>,
    rls_arguments: Vec<String>,
    edge_config: Option<String>,
    limits_from: Option<String>,
    environment: Vec<(String, PathBuf)>,
    disk: Option<Disk>,
    replicas: u8,
    charge_samples_in_rate_limit: bool,
    max_heap_bytes: Option<u64>,
    max_pushes: Option<u64>,
    chart_values: Vec<(&'static str, &'static str)>,
    envoy_edits: Vec<(&'static str, &'static str)>,
    bodies: Bodies,
    /// What Envoy has at [`MOUNT_PATH`].
    envoy_secrets: Option<PathBuf>,
    https: Option<Https>,
}

impl EdgeBuilder {
    /// Envoy, mimir-rls and the feed, which is to have https, show each other what these Secrets have; the HTTP side of mimir-rls has TLS and a token.
    ///
    /// # Panics
    /// When a chart does not render.
    #[must_use]
    #[track_caller]
    pub fn secured(mut self, secrets: &Secrets) -> Self {
        self.rls_arguments.extend(secrets.arguments(Program::MimirRls));
        self.https = Some(secrets.https().clone());
        self.envoy_secrets = Some(secrets.place(Program::Envoy));
        self.envoy_value("tls.enabled", "true").envoy_value("mimirRls.host", RLS_NAME)
    }

    /// Envoy's configuration is rendered with this value of its chart.
    #[must_use]
    pub fn envoy_value(mut self, name: &'static str, value: &'static str) -> Self {
        self.chart_values.push((name, value));
        self
    }

    /// Envoy's configuration has this text in place of one that the chart renders: for times that a test cannot wait for.
    #[must_use]
    pub fn envoy_edit(mut self, rendered: &'static str, instead: &'static str) -> Self {
        self.envoy_edits.push((rendered, instead));
        self
    }

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

    /// Envoy forwards to this port instead of the edge's own upstream.
    #[must_use]
    pub fn upstream(mut self, port: u16) -> Self {
        self.upstream_ports = vec![port];
        self
    }

    /// Several stand behind the edge, and get pushes in turn.
    #[must_use]
    pub fn upstreams(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.upstream_ports = ports.into_iter().collect();
        self
    }

    /// More arguments for mimir-rls.
    #[must_use]
    pub fn rls_arguments(mut self, arguments: &[&str]) -> Self {
        self.rls_arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// An edge config for mimir-rls.
    #[must_use]
    pub fn edge_config(mut self, document: &str) -> Self {
        self.edge_config = Some(document.to_owned());
        self
    }

    /// mimir-rls takes its limits from this source, and not from the edge's file.
    #[must_use]
    pub fn limits_from(mut self, source: &str) -> Self {
        self.limits_from = Some(source.to_owned());
        self
    }

    /// mimir-rls has this file, or another value, in this environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, file: &Path) -> Self {
        self.environment.push((name.to_owned(), file.to_owned()));
        self
    }

    /// mimir-rls has a disk of its own.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// So many mimir-rls behind the Envoy, all with the same documents.
    #[must_use]
    pub fn replicas(mut self, count: u8) -> Self {
        self.replicas = count;
        self
    }

    /// The settings of a mirror: Envoy fails open and takes whatever Mimir takes, 100 MiB.
    #[must_use]
    pub fn mirror(self) -> Self {
        self.failing_open().max_request_bytes(100 << 20)
    }

    /// Samples are charged by Envoy's ratelimit filter and not by Check.
    #[must_use]
    pub fn charge_samples_in_rate_limit(mut self) -> Self {
        self.charge_samples_in_rate_limit = true;
        self.rls_arguments(&["--charge-samples-in=rate-limit"])
    }

    /// The upstream keeps no bodies: for many large pushes.
    #[must_use]
    pub fn forgetting_bodies(mut self) -> Self {
        self.bodies = Bodies::Forget;
        self
    }

    /// Near so much memory Envoy denies pushes.
    #[must_use]
    pub fn max_heap_bytes(mut self, bytes: u64) -> Self {
        self.max_heap_bytes = Some(bytes);
        self
    }

    /// So many pushes may wait for mimir-rls or the upstream at once.
    #[must_use]
    pub fn max_pushes(mut self, count: u64) -> Self {
        self.max_pushes = Some(count);
        self
    }

    /// Envoy sends mimir-rls no bodies (chart value `limits.enforceBodyParsing`).
    #[must_use]
    pub fn without_bodies(self) -> Self {
        self.envoy_value("limits.enforceBodyParsing", "false")
    }

    /// Starts the edge with these limits, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(self, limits: &str) -> Edge {
        self.start_with(WatchedFile::of(limits))
    }

    /// The same with a file of the test's.
    ///
    /// # Panics
    /// When it does not serve.
    #[must_use]
    pub fn start_with(self, limits: WatchedFile) -> Edge {
        // Envoy's first health check is to find it ready: a change of health reaches Envoy's workers a little after its metrics.
        self.start_when(limits, |rls| until("mimir-rls is ready", || rls.readiness() == Some(200)))
    }

    /// Starts the programs without waiting until mimir-rls is ready.
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start_unready(self, limits: WatchedFile) -> Edge {
        self.start_when(limits, |_| ())
    }

    /// What the chart renders, in `folder`, where the committed configuration will not do.
    fn rendered(&self, folder: &Path) -> Option<PathBuf> {
        let large = (self.max_request_bytes > 16 << 20).then_some(("limits.maxRequestBytes", "104857600"));
        let values: Vec<_> = self.chart_values.iter().copied().chain(large).collect();
        if values.is_empty() && self.envoy_edits.is_empty() {
            return None;
        }
        let mut files = envoy_files(&values);
        let bootstrap = files.get_mut(BOOTSTRAP).expect("the chart renders a bootstrap");
        for (rendered, instead) in &self.envoy_edits {
            assert!(bootstrap.contains(rendered), "the chart does not render {rendered}");
            *bootstrap = bootstrap.replace(rendered, instead);
        }
        let place = folder.join("rendered");
        fs::create_dir(&place).expect("a folder can be made");
        for (name, text) in files {
            let text = text.replace("/etc/envoy/", &format!("{}/", place.display()));
            let text = match &self.envoy_secrets {
                Some(secrets) => text.replace(MOUNT_PATH, &secrets.display().to_string()),
                None => text,
            };
            fs::write(place.join(name), text).expect("a file can be written");
        }
        Some(place.join(BOOTSTRAP))
    }

    fn start_when(mut self, limits: WatchedFile, wait: impl Fn(&MimirRls)) -> Edge {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let upstream = Upstream::start_with(self.bodies);
        let edge_config = WatchedFile::absent();
        if let Some(document) = &self.edge_config {
            edge_config.write(document);
            self.rls_arguments.push(format!("--edge-config={}", edge_config.path().display()));
        }
        let source = self.limits_from.take().unwrap_or_else(|| limits.source());
        let start = |number: u8| {
            let rls_folder = folder.path().join(format!("mimir-rls-{number}"));
            fs::create_dir(&rls_folder).expect("a folder can be made");
            let (arguments, environment) = (&self.rls_arguments, &self.environment);
            let rls =
                MimirRls::start_on(self.disk.clone(), self.https.clone(), &rls_folder, &source, arguments, environment);
            wait(&rls);
            rls
        };
        let rls = start(0);
        let replicas: Vec<MimirRls> = (1..self.replicas).map(start).collect();
        let settings = EnvoySettings {
            upstream_port: Some(self.upstream_ports.first().copied().unwrap_or(upstream.port())),
            more_upstream_ports: self.upstream_ports.iter().skip(1).copied().collect(),
            max_request_bytes: self.max_request_bytes,
            failure_mode_allow: self.failure_mode_allow,
            charge_samples_in_rate_limit: self.charge_samples_in_rate_limit,
            ..EnvoySettings::with_rls(std::iter::once(&rls).chain(&replicas).map(MimirRls::grpc_port).collect())
        };
        let settings = EnvoySettings {
            bootstrap: self.rendered(folder.path()),
            max_heap_bytes: self.max_heap_bytes.unwrap_or(settings.max_heap_bytes),
            max_pushes: self.max_pushes.unwrap_or(settings.max_pushes),
            ..settings
        };
        let envoy = Envoy::start(folder.path(), &settings);
        if !replicas.is_empty() && std::iter::once(&rls).chain(&replicas).all(|rls| rls.get("/ready").status == 200) {
            // Before that, a tenant's pushes go to a replica that is not its own.
            envoy.wait_for_healthy_rls(self.replicas);
        }
        Edge { envoy, rls, replicas, upstream, limits, edge_config, folder }
    }
}

/// A running edge. Its programs are gone when it is dropped.
#[derive(Debug)]
pub struct Edge {
    /// Where clients push.
    pub envoy: Envoy,
    /// The first mimir-rls that Envoy sends Checks to.
    pub rls: MimirRls,
    /// The other mimir-rls behind Envoy, if there are several.
    pub replicas: Vec<MimirRls>,
    /// The upstream in place of Mimir.
    pub upstream: Upstream,
    /// The limits in force.
    pub limits: WatchedFile,
    /// The edge config in force; absent and not watched unless the edge was built with one.
    pub edge_config: WatchedFile,
    folder: TempDir,
}

impl Edge {
    /// The usual edge: it fails closed, takes pushes of at most 16 MiB, and has an upstream in place of Mimir.
    #[must_use]
    pub fn builder() -> EdgeBuilder {
        EdgeBuilder {
            failure_mode_allow: false,
            max_request_bytes: 16 << 20,
            upstream_ports: Vec::new(),
            rls_arguments: Vec::new(),
            edge_config: None,
            limits_from: None,
            environment: Vec::new(),
            disk: None,
            replicas: 1,
            charge_samples_in_rate_limit: false,
            max_heap_bytes: None,
            max_pushes: None,
            chart_values: Vec::new(),
            envoy_edits: Vec::new(),
            bodies: Bodies::Keep,
            envoy_secrets: None,
            https: None,
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

    /// Each mimir-rls behind Envoy.
    pub fn all_rls(&self) -> impl Iterator<Item = &MimirRls> {
        std::iter::once(&self.rls).chain(&self.replicas)
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
