//! `edgectl load-remote-write`: sends remote-write pushes on a schedule and reports the answers.
//!
//! `pacer` schedules, `payload` builds bodies, `connection` sends, `worker` combines these, `tally` counts, `report` prints.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod connection;
mod duration;
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

use crate::args::LoadArgs;
use crate::exit;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl LoadArgs {
    pub(crate) fn samples_per_push(&self) -> u64 {
        u64::from(self.series) * u64::from(self.samples_per_series)
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(self.rate, self.samples_per_push(), self.duration)
    }
}

/// What the workers of one run share.
struct Run {
    args: LoadArgs,
    endpoint: Arc<Endpoint>,
    pacer: Pacer,
    start: Instant,
    tally: Mutex<Tally>,
    /// Stops sending.
    stop: CancellationToken,
    /// Stops waiting for answers too.
    abort: CancellationToken,
}

impl Run {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        // A panic leaves no counter inconsistent.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the load to its end and prints the report.
pub(crate) fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the workers")?;
    let json = args.json;
    let report = runtime.block_on(generate(args))?;
    let mut out = io::stdout().lock();
    if json { report.write_json(&mut out) } else { report.write_text(&mut out) }.context("print the report")?;
    match report.failure() {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => {
            writeln!(io::stderr().lock(), "edgectl: {failure}").context("print the reason")?;
            Ok(ExitCode::from(exit::PROBLEMS))
        }
    }
}

async fn generate(args: LoadArgs) -> anyhow::Result<Report> {
    let run = Arc::new(Run {
        endpoint: Arc::new(Endpoint::new(&args.url)?),
        pacer: Pacer::new(args.schedule()),
        tally: Mutex::new(Tally::new(args.tenants.len())?),
        start: Instant::now(),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
        args,
    });
    let mut workers: JoinSet<()> =
        (0..run.args.concurrency).map(|number| Worker::new(Arc::clone(&run), number).run()).collect();
    let mut background = JoinSet::new();
    background.spawn(handle_signals(run.stop.clone(), run.abort.clone())?);
    if run.args.progress || io::stderr().is_terminal() {
        background.spawn(show_progress(Arc::clone(&run)));
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker failed")?;
    }
    background.shutdown().await;
    let report = Report::new(&run.args, &run.tally(), run.stop.is_cancelled());
    Ok(report)
}

/// Cancels `stop` at the first Ctrl-C (or SIGTERM), and `abort` at the second. Listens from the call on.
fn handle_signals(stop: CancellationToken, abort: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    Ok(async move {
        for token in [stop, abort] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
            let message = "edgectl: stopping once the pushes under way are answered; Ctrl-C again doesn't wait";
            let _ = writeln!(io::stderr().lock(), "{message}");
        }
    })
}

async fn show_progress(run: Arc<Run>) {
    let mut tick = tokio::time::interval_at(run.start + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        tick.tick().await;
        let line = run.tally().progress(run.start.elapsed(), run.args.samples_per_push());
        // A closed terminal does not end the run.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}
