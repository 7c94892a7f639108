//! The limits cache: the last good limits on disk, so that a server restarts with limits while their source is away.
//!
//! The file is replaced whole or not at all. What is wrong with it, reading or writing, is a warning and a count, never a reason not to serve.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use limits::{ControlState, LimitsState, MAX_CACHE_BYTES, Snapshot, render_cache};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::stamp::Stamp;
use crate::watched_file::read_bounded;

/// How long after a failed write the next one is tried, if the limits do not change before.
const RETRY_EVERY: Duration = Duration::from_secs(30);

/// One file that belongs to this process: whatever is in it is written over.
#[derive(Debug)]
pub struct LimitsCache {
    path: PathBuf,
    faults: Arc<AtomicU64>,
    /// The content hash of what was loaded, which need not be written again.
    loaded: OnceLock<u64>,
    retry_every: Duration,
}

impl LimitsCache {
    /// A cache that has read nothing yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, faults: Arc::default(), loaded: OnceLock::new(), retry_every: RETRY_EVERY }
    }

    /// How many times the file could not be read or written; goes on counting while [`LimitsCache::keep`] runs.
    #[must_use]
    pub fn faults(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.faults)
    }

    /// Puts the cached limits into a state that has none, and tells how long ago they were written. `None` if there are none to be had;
    /// the log then says why.
    pub fn load(&self, state: &mut LimitsState) -> Option<Duration> {
        let path = self.path.display();
        match self.restore(state) {
            Ok((snapshot, age)) => {
                _ = self.loaded.set(snapshot.content_hash());
                tracing::info!(%path, tenants = snapshot.len(), ?age, "the cached limits hold until the source has been read");
                Some(age)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!(%path, "there is no limits cache yet");
                None
            }
            Err(error) => {
                self.faults.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("the limits cache {path} is not used: {error}");
                None
            }
        }
    }

    fn restore(&self, state: &mut LimitsState) -> io::Result<(Arc<Snapshot>, Duration)> {
        let stamp = Stamp::of(&self.path)?;
        let text = read_bounded(&self.path, stamp, MAX_CACHE_BYTES as u64)?;
        let snapshot = state.restore(&text).map_err(|error| io::Error::other(format!("it {error}")))?;
        // A clock that was set back makes it young, not an error.
        let age = SystemTime::now().duration_since(fs::metadata(&self.path)?.modified()?).unwrap_or_default();
        Ok((snapshot, age))
    }

    /// Writes the limits whenever they have changed, until `stop` is cancelled or the source ends; a write that has begun is finished.
    ///
    /// A write that fails is tried again with the next change, and every 30 seconds.
    pub async fn keep(self, mut states: watch::Receiver<ControlState>, stop: CancellationToken) {
        let mut kept = self.loaded.get().copied();
        let mut fault = None;
        loop {
            let limits = states.borrow_and_update().limits.clone();
            match limits.filter(|limits| Some(limits.content_hash()) != kept) {
                None => fault = None,
                Some(limits) => {
                    let hash = limits.content_hash();
                    fault = self.report(self.write(limits).await, fault);
                    kept = if fault.is_none() { Some(hash) } else { kept };
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                change = states.changed() => if change.is_err() { return },
                () = tokio::time::sleep(self.retry_every), if fault.is_some() => {}
            }
        }
    }

    /// The fault that there is now; one that there was before is not told again.
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
                self.faults.fetch_add(1, Ordering::Relaxed);
                let fault = error.to_string();
                if before.as_ref() != Some(&fault) {
                    tracing::warn!(
                        "the limits cache {path} cannot be written, and a restart finds older limits or none: {fault}"
                    );
                }
                Some(fault)
            }
        }
    }

    /// Off the async workers: rendering many tenants and waiting for a disk take long.
    async fn write(&self, limits: Arc<Snapshot>) -> io::Result<()> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let text = render_cache(&limits).map_err(|error| io::Error::other(format!("it {error}")))?;
            replace_file(&path, &text)
        });
        written.await.map_err(io::Error::other)?
    }
}

/// Puts `text` where `path` is, readable by its owner alone; after a crash the file is the old one or the new one.
fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?.to_owned();
    // One name, so that a process that is killed while it writes leaves at most one file behind.
    name.push(".new");
    let temporary = folder.join(name);
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A file that is there now is another's, and might be a link to anywhere.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
