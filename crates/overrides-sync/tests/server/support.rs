//! A server in this process on free ports, with a limits file of the test's, and clients of its feed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use overrides_sync::{App, Args, Config};
use proto::edge::limits::v1::limits_feed_client::LimitsFeedClient;
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{ElectedPart, Heartbeat, Problem, Version, WatchRequest, WatchResponse};
use runtime::Shutdown;
pub(crate) use runtime::testing::until;
use runtime::testing::{DEADLINE, logs};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

pub(crate) struct Server {
    pub(crate) limits: PathBuf,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) channel: Channel,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    folder: TempDir,
}

impl Server {
    pub(crate) async fn start(limits: &str, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, Some(limits), flags).await
    }

    /// With the files of a folder; without `limits` there is no limits file.
    pub(crate) async fn start_in(folder: TempDir, limits: Option<&str>, flags: &[&str]) -> anyhow::Result<Self> {
        let path = folder.path().join("overrides.yaml");
        if let Some(limits) = limits {
            std::fs::write(&path, limits)?;
        }
        let source = format!("file:{}", path.display());
        let fixed = ["overrides-sync", "--http-listen=127.0.0.1:0", "--limits", &source];
        let listens = flags.iter().any(|flag| flag.starts_with("--grpc-listen"));
        let grpc = (!listens).then_some("--grpc-listen=127.0.0.1:0");
        let args = Args::try_parse_from(fixed.into_iter().chain(grpc).chain(flags.iter().copied()))?;
        let shutdown = Shutdown::default();
        let app = App::build(Config::try_from(args)?, logs()).await?;
        let grpc = app.grpc_address().tcp().unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let grpc = format!("http://{grpc}");
        Ok(Self {
            limits: path,
            channel: Endpoint::from_shared(grpc.clone())?.connect_lazy(),
            grpc,
            http: format!("http://{}", app.http_address()),
            running: tokio::spawn(app.run(shutdown.clone())),
            shutdown,
            folder,
        })
    }

    /// Replaces the limits at once, as Kubernetes does.
    pub(crate) fn write(&self, limits: &str) -> anyhow::Result<()> {
        let next = self.folder.path().join("next");
        std::fs::write(&next, limits)?;
        std::fs::rename(&next, &self.limits)?;
        Ok(())
    }

    pub(crate) async fn watch(&self, have: Option<Version>) -> Result<Client, tonic::Status> {
        Client::watch(self.channel.clone(), have).await
    }

    /// The value of a series of `/metrics`; `None` if there is no such series.
    pub(crate) async fn metric(&self, series: &str) -> anyhow::Result<Option<f64>> {
        let (_, text) = self.page("/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?)
    }

    /// Status and text of a page of the HTTP side.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let (status, body) = runtime::testing::get(format!("{}{path}", self.http)).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }
}

/// A client of the feed that keeps what it receives.
pub(crate) struct Client {
    stream: Streaming<WatchResponse>,
    /// Of the limits it has whole.
    pub(crate) version: Option<Version>,
    /// Tenants and their fields, while an update comes in parts.
    pub(crate) entries: BTreeMap<String, String>,
    pub(crate) problems: Option<Vec<Problem>>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) elected: Vec<ElectedPart>,
    /// Updates of limits: whether each was everything, and how many entries it had.
    pub(crate) updates: Vec<(bool, usize)>,
    in_update: usize,
}

impl Client {
    pub(crate) async fn watch(channel: Channel, have: Option<Version>) -> Result<Self, tonic::Status> {
        let mut feed = LimitsFeedClient::new(channel).max_decoding_message_size(1 << 20);
        let stream = feed.watch(WatchRequest { have: have.clone() }).await?.into_inner();
        Ok(Self {
            stream,
            version: have,
            entries: BTreeMap::new(),
            problems: None,
            heartbeats: Vec::new(),
            elected: Vec::new(),
            updates: Vec::new(),
            in_update: 0,
        })
    }

    /// The next message, taken in; `None` when the server ends the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Update>> {
        let message = timeout(DEADLINE, self.stream.message()).await??;
        let Some(message) = message else { return Ok(None) };
        let update = message.update.unwrap_or_else(|| unreachable!("a message that says nothing"));
        self.take(update.clone());
        Ok(Some(update))
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Heartbeat(heartbeat) => self.heartbeats.push(heartbeat),
            Update::Problems(list) => self.problems = Some(list.problems),
            Update::Elected(part) => self.elected.push(part),
            Update::Limits(part) => {
                if part.complete && self.in_update == 0 {
                    self.entries.clear();
                }
                self.in_update += part.put.len() + part.removed.len();
                self.entries.extend(part.put.into_iter().map(|entry| (entry.tenant, entry.fields)));
                self.entries.retain(|tenant, _| !part.removed.contains(tenant));
                if part.last {
                    self.version = part.version;
                    self.updates.push((part.complete, std::mem::take(&mut self.in_update)));
                }
            }
        }
    }

    /// Reads on until `found` says so.
    pub(crate) async fn until(&mut self, what: &str, found: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let reading = async {
            while !found(self) {
                anyhow::ensure!(self.next().await?.is_some(), "the stream ended before: {what}");
            }
            Ok(())
        };
        timeout(DEADLINE, reading).await.unwrap_or_else(|_| anyhow::bail!("still waiting for: {what}"))
    }

    /// Waits for the next update, and returns it.
    pub(crate) async fn update(&mut self) -> anyhow::Result<(bool, usize)> {
        let before = self.updates.len();
        self.until("an update", |client| client.updates.len() > before).await?;
        self.updates.get(before).copied().ok_or_else(|| unreachable!("one was waited for"))
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.version.as_ref().map_or(0, |version| version.sequence)
    }
}

/// A document with so many tenants, `tenant-0` with this rate.
pub(crate) fn document(tenants: usize, rate: u64) -> String {
    let first = format!("overrides:\n  tenant-0: {{ingestion_rate: {rate}}}\n");
    let others =
        (1..tenants).map(|tenant| format!("  tenant-{tenant}: {{ingestion_rate: 7, ingestion_burst_size: 9}}\n"));
    first + &others.collect::<String>()
}
