//! Log output: one line an event, on standard error, so that standard output stays free for what a program prints on purpose.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Which log lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a `tracing` filter such as `info,rls=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A filter of one word that is no level would be the name of a target, and silence everything else.
        let level = text.parse::<LevelFilter>().is_ok();
        if (level && !text.is_empty()) || (text.contains('=') && EnvFilter::try_new(text).is_ok()) {
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

/// Starts logging for the whole process.
///
/// # Errors
/// When logging was started before.
pub fn init_logs(filter: &LogFilter) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&filter.0)?)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logs cannot be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_levels_and_filters_and_nothing_that_would_silence_everything() {
        for good in ["info", "WARN", "off", "info,rls=debug", "rls=trace"] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["", "verbose", "rls", "nonsense=[", "rls=loud"] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
    }
}
