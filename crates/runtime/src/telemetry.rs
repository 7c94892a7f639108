//! Log output: one line an event, on standard error, so that standard output stays free for what a program prints on purpose.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts logging for the whole process.
///
/// `level` is a level (`error`, `warn`, `info`, `debug`, `trace`) or a `tracing` filter such as `info,rls=debug`.
///
/// # Errors
/// When `level` cannot be read, or when logging was started before.
pub fn init_logs(level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("--log-level {level:?} is no log filter"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logs cannot be started: {error}"))
}
