//! The limits cache: the last good limits and number of distributors on disk, so that a server can restart while their source is unavailable.
//!
//! The file is replaced completely or not at all. An error of a read or a write is logged and counted, and never stops the server. The file's modification
//! time is when the source last confirmed its limits, so that a restart knows how old they are.
//!
//! Invariant: a file that is not a limits cache is never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use limits::{CACHE_TITLE, LimitsState, MAX_CACHE_BYTES, Restored, Snapshot, render_cache};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::watched::{self, Stamp, read_bounded};
use crate::{Count, Freshness, LimitsFeed};

/// How long after a failed write the next one is tried, if the limits do not change before.
const RETRY_EVERY: Duration = Duration::from_secs(30);
/// How often the modification time is updated while the limits stay the same: limits from the cache can be that much fresher than their age.
const DATE_EVERY: Duration = Duration::from_secs(60);

/// The cache file of this process. Anything else at its path stays as it is.
#[derive(Debug)]
pub struct LimitsCache {
    path: PathBuf,
    faults: Arc<Count>,
    /// What was loaded, which need not be written again.
    loaded: OnceLock<Content>,
    retry_every: Duration,
    date_every: Duration,
}

/// What a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    /// The content sum of the limits.
    limits: u64,
    distributors: Option<NonZeroU32>,
}

impl Content {
    fn of(limits: &Snapshot, distributors: Option<NonZeroU32>) -> Self {
        Self { limits: limits.content_sum(), distributors }
    }
}

/// What a cache has beside the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedCache {
    /// How long ago the source last confirmed the limits.
    pub age: Duration,
    /// The last known number of Mimir's distributors, if any.
    pub distributors: Option<NonZeroU32>,
}

/// The state of the file.
struct Kept {
    content: Option<Content>,
    /// When the file was last written or its modification time updated.
    dated: Option<Instant>,
}

impl LimitsCache {
    /// A cache that has read nothing yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, faults: Arc::default(), loaded: OnceLock::new(), retry_every: RETRY_EVERY, date_every: DATE_EVERY }
    }

    /// How many times the file could not be read or written.
    #[must_use]
    pub fn faults(&self) -> Arc<Count> {
        Arc::clone(&self.faults)
    }

    /// Restores the cached limits into a state that has none; returns what the cache has beside them. `None` if there are none, which is logged.
    pub fn load(&self, state: &mut LimitsState) -> Option<LoadedCache> {
        let path = self.path.display();
        match self.restore(state) {
            Ok((Restored { limits, distributors }, age)) => {
                _ = self.loaded.set(Content::of(&limits, distributors));
                tracing::info!(%path, tenants = limits.len(), distributors, ?age, "the cached limits are in force until the source has been read");
                Some(LoadedCache { age, distributors })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!(%path, "there is no limits cache yet");
                None
            }
            Err(error) => {
                self.faults.add();
                tracing::warn!("the limits cache {path} is not used: {error}");
                None
            }
        }
    }

    fn restore(&self, state: &mut LimitsState) -> io::Result<(Restored, Duration)> {
        let stamp = Stamp::of(&self.path)?;
        let text = watched::text(read_bounded(&self.path, stamp, MAX_CACHE_BYTES as u64)?)?;
        let restored = state.restore(&text).map_err(|error| io::Error::other(format!("it {error}")))?;
        // If the clock was set back, the limits count as just confirmed.
        let age = SystemTime::now().duration_since(fs::metadata(&self.path)?.modified()?).unwrap_or_default();
        Ok((restored, age))
    }

    /// Writes the limits of a source and the number of distributors whenever they change, until `stop` is cancelled or the source of the limits ends; changes
    /// before that are still written. While they stay the same and the source confirms them, the modification time is updated once a minute.
    ///
    /// A failure is retried with the next change, and every 30 seconds.
    pub async fn keep(
        self,
        mut feed: LimitsFeed,
        mut distributors: watch::Receiver<Option<NonZeroU32>>,
        stop: CancellationToken,
    ) {
        let mut kept = Kept { content: self.loaded.get().copied(), dated: None };
        let (mut fault, mut is_counted) = (None, true);
        loop {
            // Read before the limits, so that a change from before the stop is not missed.
            let ends = stop.is_cancelled();
            let limits = feed.states.borrow_and_update().limits.clone();
            let count = *distributors.borrow_and_update();
            let done = match limits {
                Some(limits) => self.bring_up_to_date(limits, count, &feed.freshness, &mut kept).await,
                None => Ok(()),
            };
            fault = self.report(done, fault);
            if ends {
                return;
            }
            let next = if fault.is_some() { self.retry_every } else { self.date_every };
            tokio::select! {
                () = stop.cancelled() => {}
                change = feed.states.changed() => if change.is_err() { return },
                change = distributors.changed(), if is_counted => is_counted = change.is_ok(),
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    async fn bring_up_to_date(
        &self,
        limits: Arc<Snapshot>,
        distributors: Option<NonZeroU32>,
        freshness: &Freshness,
        kept: &mut Kept,
    ) -> io::Result<()> {
        let content = Some(Content::of(&limits, distributors));
        if kept.content == content {
            if !self.is_to_be_dated(kept, freshness) {
                return Ok(());
            }
            if self.on_disk(freshness, date).await.is_ok() {
                kept.dated = Some(Instant::now());
                return Ok(());
            }
            // The file was removed or replaced.
            kept.content = None;
        }
        let write = move |path: &Path, confirmed| {
            let text = render_cache(&limits, distributors).map_err(|error| io::Error::other(format!("it {error}")))?;
            replace_file(path, &text, confirmed)
        };
        self.on_disk(freshness, write).await?;
        *kept = Kept { content, dated: Some(Instant::now()) };
        Ok(())
    }

    fn is_to_be_dated(&self, kept: &Kept, freshness: &Freshness) -> bool {
        kept.dated.is_none_or(|dated| {
            let before = dated.elapsed();
            before >= self.date_every && freshness.age() < before
        })
    }

    /// Runs `task` with the path and the time of the last confirmation on a blocking thread: rendering many tenants and writing them takes long.
    async fn on_disk(
        &self,
        freshness: &Freshness,
        task: impl FnOnce(&Path, SystemTime) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (path, freshness) = (self.path.clone(), freshness.clone());
        let done = tokio::task::spawn_blocking(move || {
            let now = SystemTime::now();
            task(&path, now.checked_sub(freshness.age()).unwrap_or(now))
        });
        done.await.map_err(io::Error::other)?
    }

    /// Logs and counts the result; returns the fault, if any. A fault that lasts is logged once.
    fn report(&self, written: io::Result<()>, before: Option<String>) -> Option<String> {
        let path = self.path.display();
        match written {
            Ok(()) => {
                if before.is_some() {
                    tracing::info!(%path, "the limits cache is written again");
                }
                None
            }
            Err(error) => {
                self.faults.add();
                let fault = error.to_string();
                if before.as_ref() != Some(&fault) {
                    tracing::warn!(
                        "the limits cache {path} cannot be written, so a restart has older limits or none: {fault}"
                    );
                }
                Some(fault)
            }
        }
    }
}

/// Sets the modification time to the last confirmation.
fn date(path: &Path, confirmed: SystemTime) -> io::Result<()> {
    reject_foreign(path)?;
    File::open(path)?.set_modified(confirmed)
}

/// Replaces the file by `text`, readable by its owner only. After a crash, it is the old or the new file.
fn replace_file(path: &Path, text: &str, confirmed: SystemTime) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?.to_owned();
    // Always the same name, so that killed processes leave at most one file behind.
    name.push(".new");
    let temporary = folder.join(name);
    reject_foreign(path)?;
    reject_foreign(&temporary)?;
    let written = write_new(&temporary, text, confirmed).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Rejects what this process cannot have written: a file that does not start like a limits cache, and anything but a regular file.
fn reject_foreign(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let foreign = |what| {
        let path = path.display();
        io::Error::other(format!(
            "{path} is {what} and stays as it is; move it away, or give the limits cache another path"
        ))
    };
    if !found.is_file() {
        return Err(foreign("no regular file"));
    }
    let mut start = Vec::new();
    File::open(path)?.take(CACHE_TITLE.len() as u64).read_to_end(&mut start)?;
    // A killed process can leave a partial file.
    if CACHE_TITLE.as_bytes().starts_with(&start) { Ok(()) } else { Err(foreign("no limits cache")) }
}

fn write_new(path: &Path, text: &str, confirmed: SystemTime) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Anything that exists now was created by another process, and might be a link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_modified(confirmed)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
