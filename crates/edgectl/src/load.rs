//! `edgectl load-remote-write`: sends remote-write pushes on a schedule and reports the answers.
//!
//! `pacer` schedules and `gate` waits, `payload` and `requests` build pushes, `connection` sends, `worker` combines these, `tally`
//! counts, `progress` and `report` print.

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod connection;
mod duration;
mod gate;
mod pacer;
mod payload;
mod progress;
mod report;
mod requests;
mod tally;
mod url;
mod worker;

pub(crate) use duration::{parse as parse_duration, written};
pub(crate) use remote_write::Protocol;
pub(crate) use url::Url;

use connection::Endpoint;
use gate::Gate;
use pacer::{Pacer, Schedule};
use progress::Progress;
use report::Report;
use requests::Requests;
use tally::Tally;
use worker::Worker;

use crate::args::{LoadArgs, Profile};
use crate::exit;
use crate::mimir;

impl LoadArgs {
    pub(crate) fn samples_per_push(&self) -> u64 {
        u64::from(self.series) * u64::from(self.samples_per_series)
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(self.rate, self.samples_per_push(), self.burst(), self.duration)
    }

    /// Pushes that are due at once.
    fn burst(&self) -> NonZeroU32 {
        if self.profile == Profile::Burst { self.burst_pushes } else { NonZeroU32::MIN }
    }

    fn workers(&self) -> u32 {
        self.concurrency.unwrap_or(self.burst().get())
    }
}

/// What the workers of one run share.
struct Run {
    args: LoadArgs,
    endpoint: Arc<Endpoint>,
    requests: Requests,
    pacer: Pacer,
    gate: Gate,
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
    let tls = mimir::tls(&args.credentials, &args.url.uri)?;
    let requests = Requests::new(&args)?;
    let tally = Tally::new(requests.tenants().len())?;
    exit::note(&target(&args, &requests));
    let (schedule, workers, progress) = (args.schedule(), args.workers(), Progress::new(args.progress));
    let start = Instant::now();
    let run = Arc::new(Run {
        endpoint: Arc::new(Endpoint::new(&args.url, tls)),
        tally: Mutex::new(tally),
        requests,
        pacer: Pacer::new(schedule),
        gate: Gate::start(schedule, start.into_std(), workers)?,
        start,
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
        args,
    });
    let mut background = JoinSet::new();
    // Before the first push: who sees one may press Ctrl-C.
    background.spawn(handle_signals(run.stop.clone(), run.abort.clone(), progress)?);
    let mut workers: JoinSet<()> = (0..workers).map(|number| Worker::new(Arc::clone(&run), number).run()).collect();
    background.spawn(progress.show(Arc::clone(&run)));
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker failed")?;
    }
    background.shutdown().await;
    progress.clear();
    let report = Report::new(&run.args, run.requests.tenants(), &run.tally(), run.stop.is_cancelled());
    Ok(report)
}

/// Where the pushes go, of which variables may have said a part. A query can hold a secret.
fn target(args: &LoadArgs, requests: &Requests) -> String {
    let url = args.url.to_string();
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let mut names = requests.tenants().map(|name| String::from_utf8_lossy(name.as_bytes()));
    match (requests.tenants().len(), names.next()) {
        (_, None) => format!("pushes to {url} without a tenant"),
        (1, Some(name)) => format!("pushes to {url} as tenant {name}"),
        (count, Some(name)) => format!("pushes to {url} as tenant {name} and {} more", count - 1),
    }
}

/// Cancels `stop` at the first Ctrl-C (or SIGTERM), and `abort` at the second. Listens from the call on.
fn handle_signals(
    stop: CancellationToken,
    abort: CancellationToken,
    progress: Progress,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    Ok(async move {
        for token in [stop, abort] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
            progress.clear();
            let message = "edgectl: stopping once the pushes under way are answered; Ctrl-C again doesn't wait";
            let _ = writeln!(io::stderr().lock(), "{message}");
        }
    })
}
