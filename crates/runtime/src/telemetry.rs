//! Logs: one line per event on standard error, so that standard output stays free for requested output.
//!
//! The [`LogHandle`] changes the filter while the program runs.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The most bytes of a filter: at run time, a request sets it.
const MAX_FILTER_BYTES: usize = 1_024;

/// Libraries that log each failed request, several a second while the API server is unreachable. Their callers log the failure once, so these are off
/// unless the filter names them.
const NOISY_TARGETS: [&str; 2] = ["kube_client", "kube_runtime"];

/// The most lines in the queue of the writing thread.
const QUEUED_LINES: usize = 10_000;

/// Which log lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a `tracing` filter such as `info,rls=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    fn parse(text: &str) -> anyhow::Result<EnvFilter> {
        // Without regular expressions: a short one can be costly.
        let filter = EnvFilter::builder().with_regex(false).parse(text)?;
        let unnamed = NOISY_TARGETS.iter().filter(|target| !text.contains(*target));
        unnamed
            .map(|target| Ok(format!("{target}=off").parse()?))
            .try_fold(filter, |filter, directive| directive.map(|directive| filter.add_directive(directive)))
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(format!("the filter has {} bytes; write at most {MAX_FILTER_BYTES}", text.len()));
        }
        // A single word that is no level would be a target, and silence everything else.
        let level = text.parse::<LevelFilter>().is_ok();
        if (level && !text.is_empty()) || (text.contains('=') && Self::parse(text).is_ok()) {
            return Ok(Self(text.to_owned()));
        }
        Err("write error, warn, info, debug, trace or off, or a filter such as info,rls=debug".to_owned())
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: time, level, target, message and `name=value` fields.
    Text,
    /// One JSON object: `timestamp`, `level`, `target`, `message` and each field under its own name.
    Json,
}

/// The flags of a program's logs.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How log lines are written to standard error
    #[arg(long = "log-format", value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,

    /// error, warn, info, debug, trace or off, or a filter such as info,rls=debug; mimir-rls changes it at run time with PUT /api/v1/log-level
    #[arg(long = "log-level", value_name = "LEVEL", default_value = "info")]
    pub filter: LogFilter,
}

/// The logs of a process. When this is dropped, lines in the queue get another second to be written.
#[derive(Debug)]
pub struct Logs {
    /// Changes the filter.
    pub handle: LogHandle,
    _writing: WorkerGuard,
}

/// Changes the filter of the logs while the program runs. Clones change the same logs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<LogFilter>>,
    dropped: ErrorCounter,
}

impl LogHandle {
    /// Sets the filter.
    ///
    /// # Errors
    /// The logs were dropped.
    pub fn set(&self, filter: &LogFilter) -> anyhow::Result<()> {
        let parsed = LogFilter::parse(&filter.0)?;
        // Held until both are changed, so that both always have the same filter.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(parsed).context("the log filter cannot be changed")?;
        *current = filter.clone();
        Ok(())
    }

    /// How many lines were dropped because the queue was full.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX)
    }

    /// The filter that is in force.
    #[must_use]
    pub fn current(&self) -> LogFilter {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts logging for the whole process.
///
/// # Errors
/// Logging was started before.
pub fn init_logs(settings: &LogSettings) -> anyhow::Result<Logs> {
    let (subscriber, logs) = logs_to(std::io::stderr(), settings)?;
    subscriber.try_init().map_err(|error| anyhow!("logs cannot be started: {error}"))?;
    Ok(logs)
}

/// Lines go through a bounded queue to a thread, so that logging never waits for standard error.
fn logs_to<W>(writer: W, settings: &LogSettings) -> anyhow::Result<(impl Subscriber + Send + Sync + use<W>, Logs)>
where
    W: Write + Send + 'static,
{
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUED_LINES);
    let (writer, writing) = queue.thread_name("logs").finish(writer);
    let dropped = writer.error_counter();
    let (filter, handle) = reload::Layer::new(LogFilter::parse(&settings.filter.0)?);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    let current = Arc::new(Mutex::new(settings.filter.clone()));
    let handle = LogHandle { filter: handle, current, dropped };
    Ok((tracing_subscriber::registry().with(filter).with(lines), Logs { handle, _writing: writing }))
}

#[cfg(test)]
mod tests;
