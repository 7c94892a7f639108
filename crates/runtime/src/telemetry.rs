//! Log output: one line an event, on standard error, so that standard output stays free for what a program prints on purpose.
//!
//! Which lines are written can be changed while the program runs, through the [`LogHandle`].

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The most bytes that a filter may have; one that is changed at run time comes from outside.
const MAX_FILTER_BYTES: usize = 1_024;

/// Libraries that write a line for each failed request, several a second while the API server is away. Who uses them says once what is wrong; they
/// speak if the filter names them.
const OWN_WORDS: [&str; 2] = ["kube_client", "kube_runtime"];

/// The most lines that wait to be written.
const QUEUED_LINES: usize = 10_000;

/// Which log lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a `tracing` filter such as `info,rls=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    fn parse(text: &str) -> anyhow::Result<EnvFilter> {
        // Without regular expressions: a short one can be costly.
        let filter = EnvFilter::builder().with_regex(false).parse(text)?;
        let unnamed = OWN_WORDS.iter().filter(|target| !text.contains(*target));
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
        // A filter of one word that is no level would be the name of a target, and silence everything else.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, target, message and `name=value` fields.
    #[default]
    Text,
    /// One JSON object: `timestamp`, `level`, `target`, `message` and each field under its own name.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("write text or json".to_owned()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What a program's logs start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which lines are written until [`LogHandle::set`] changes it.
    pub filter: LogFilter,
    /// How they are written.
    pub format: LogFormat,
}

/// The logs of a process. What is not written yet when this is dropped gets another second.
#[derive(Debug)]
pub struct Logs {
    /// Changes them.
    pub handle: LogHandle,
    _writing: WorkerGuard,
}

/// Changes which log lines are written while the program runs. Clones change the same logs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<LogFilter>>,
    dropped: ErrorCounter,
}

impl LogHandle {
    /// Writes the lines that `filter` lets through from now on.
    ///
    /// # Errors
    /// When the logs are gone.
    pub fn set(&self, filter: &LogFilter) -> anyhow::Result<()> {
        let parsed = LogFilter::parse(&filter.0)?;
        // Held until both are changed, so that they never tell of different filters.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(parsed).context("the log filter cannot be changed")?;
        *current = filter.clone();
        Ok(())
    }

    /// How many lines were thrown away because nobody read those before them.
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
/// When logging was started before.
pub fn init_logs(settings: &LogSettings) -> anyhow::Result<Logs> {
    let (subscriber, logs) = logs_to(std::io::stderr(), settings)?;
    subscriber.try_init().map_err(|error| anyhow!("logs cannot be started: {error}"))?;
    Ok(logs)
}

/// Lines go through a bounded queue to a thread of their own: whoever logs does not wait for a reader of standard error that has stopped.
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
