//! Files that are read again when they change: certificates, keys and tokens.
//!
//! Files are polled, so that a write in place, a rename and the symlink swap of a mounted Secret are the same. A change is loaded once two polls in a row
//! have read the same, so that neither a half-written file nor one of several files that change together is loaded. A bad change keeps the last good value.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use prometheus::IntCounter;
use tasks::blocking;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often files are read.
pub(crate) const POLL_EVERY: Duration = Duration::from_secs(1);
/// The largest file that is read: a bundle of CAs has some hundred kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// The contents of all files, or why one of them cannot be read.
pub(crate) type Contents = Result<Vec<Vec<u8>>, String>;

type Parse<T> = Box<dyn Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync>;

/// A value that is made of files.
pub(crate) struct Reloaded<T> {
    /// For logs: what the value is.
    what: &'static str,
    paths: Vec<PathBuf>,
    parse: Parse<T>,
    used: Contents,
    /// The result of the last poll.
    seen: Contents,
    value: watch::Sender<T>,
    bad: IntCounter,
}

impl<T> fmt::Debug for Reloaded<T> {
    /// Without the contents, which are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reloaded").field("what", &self.what).field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files. `bad` counts changes that could not be loaded.
    ///
    /// # Errors
    /// One of them cannot be read, or `parse` rejects them.
    pub(crate) fn load(
        what: &'static str,
        paths: Vec<PathBuf>,
        bad: IntCounter,
        parse: impl Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let used = read_all(&paths);
        let value = parse(used.as_ref().map_err(|error| anyhow!("{error}"))?)?;
        Ok(Self {
            what,
            paths,
            parse: Box::new(parse),
            seen: used.clone(),
            used,
            value: watch::Sender::new(value),
            bad,
        })
    }

    /// The value, now and after each change.
    pub(crate) fn value(&self) -> watch::Receiver<T> {
        self.value.subscribe()
    }

    /// Follows the files. Never returns.
    pub(crate) async fn follow(mut self) {
        let mut polls = interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            polls.tick().await;
            let paths = self.paths.clone();
            let seen = blocking(move || read_all(&paths)).await;
            self.on_poll(seen);
        }
    }

    fn on_poll(&mut self, seen: Contents) {
        if seen == self.seen && seen != self.used {
            self.reload(seen.clone());
        }
        self.seen = seen;
    }

    fn reload(&mut self, seen: Contents) {
        let parsed = seen.as_ref().map_err(|error| anyhow!("{error}")).and_then(|contents| (self.parse)(contents));
        match parsed {
            Ok(value) => {
                self.value.send_replace(value);
                tracing::info!("{} was reloaded", self.what);
            }
            Err(error) => {
                self.bad.inc();
                tracing::warn!(
                    "{} has changed and cannot be loaded, and the last good one stays: {error:#}",
                    self.what
                );
            }
        }
        // A bad change is not retried either.
        self.used = seen;
    }
}

fn read_all(paths: &[PathBuf]) -> Contents {
    paths.iter().map(|path| read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))).collect()
}

/// A regular file of at most a mebibyte.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        // A read of a pipe or a device can block forever.
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > MAX_BYTES) {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
