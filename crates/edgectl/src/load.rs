//! `edgectl load-remote-write`: sends real remote-write pushes on a schedule and reports what became of them.
//!
//! `pacer` says when, `payload` what, `connection` how, `worker` does it, `tally` counts and `report` tells.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use http::{HeaderName, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod connection;
mod duration;
mod interrupt;
mod pacer;
mod payload;
mod report;
mod tally;
mod url;
mod worker;

pub(crate) use duration::parse as parse_duration;
pub(crate) use remote_write::Protocol;
pub(crate) use url::Url;

use connection::Endpoint;
use pacer::{Pacer, Schedule};
use report::Report;
use tally::Tally;
use worker::Worker;

use crate::exit;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A run, as the command line asks for it, validated.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) url: Url,
    pub(crate) protocol: Protocol,
    /// Values of `X-Scope-OrgID`, used in turn; none: the header is not sent.
    pub(crate) tenants: Vec<HeaderValue>,
    /// Workers: at least 1.
    pub(crate) concurrency: u32,
    pub(crate) duration: Duration,
    /// Samples per second over all workers, above 0; `None`: as fast as it goes.
    pub(crate) rate: Option<f64>,
    /// Series per push: at least 1.
    pub(crate) series: u32,
    /// At least 1.
    pub(crate) samples_per_series: u32,
    /// Value of the `job` label of every series.
    pub(crate) job: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) timeout: Duration,
    pub(crate) json: bool,
    pub(crate) progress: bool,
}

impl Config {
    pub(crate) fn samples_per_push(&self) -> u64 {
        u64::from(self.series) * u64::from(self.samples_per_series)
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(self.rate, self.samples_per_push(), self.duration)
    }
}

/// What the workers of one run share.
struct Run {
    config: Config,
    endpoint: Arc<Endpoint>,
    pacer: Pacer,
    start: Instant,
    tally: Mutex<Tally>,
    /// No new pushes.
    stop: CancellationToken,
    /// No waiting for answers either.
    abort: CancellationToken,
}

impl Run {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        // Counters stay true whoever panicked while it held them.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the load to its end and prints the report.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the workers")?;
    let json = config.json;
    let report = runtime.block_on(generate(config))?;
    let mut out = io::stdout().lock();
    if json { report.write_json(&mut out) } else { report.write_text(&mut out) }.context("print the report")?;
    match report.fault() {
        None => Ok(ExitCode::SUCCESS),
        Some(fault) => {
            writeln!(io::stderr().lock(), "edgectl: {fault}").context("print the reason")?;
            Ok(ExitCode::from(exit::PROBLEMS))
        }
    }
}

async fn generate(config: Config) -> anyhow::Result<Report> {
    let run = Arc::new(Run {
        endpoint: Arc::new(Endpoint::new(&config.url)?),
        pacer: Pacer::new(config.schedule()),
        tally: Mutex::new(Tally::new(config.tenants.len())?),
        start: Instant::now(),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
        config,
    });
    let mut workers: JoinSet<()> =
        (0..run.config.concurrency).map(|number| Worker::new(Arc::clone(&run), number).run()).collect();
    let mut background = JoinSet::new();
    background.spawn(interrupt::Interrupts::listen()?.obey(run.stop.clone(), run.abort.clone()));
    if run.config.progress || io::stderr().is_terminal() {
        background.spawn(show_progress(Arc::clone(&run)));
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker failed")?;
    }
    background.shutdown().await;
    let report = Report::new(&run.config, &run.tally(), run.stop.is_cancelled());
    Ok(report)
}

async fn show_progress(run: Arc<Run>) {
    let mut tick = tokio::time::interval_at(run.start + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        tick.tick().await;
        let line = run.tally().progress(run.start.elapsed(), run.config.samples_per_push());
        // A terminal that has gone away does not end the run.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}
