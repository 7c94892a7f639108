//! A file that is read whenever it changes.
//!
//! The file is polled, because inotify hears nothing on some network and overlay mounts and because a poll treats a write in place, a rename and
//! a symlink swap alike. A change is read once two polls in a row saw the same [`Stamp`], and only kept if the stamp is still the same after
//! reading, so that a file in the middle of being written is not taken for a shorter document.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use limits::{Code, Problem, Severity};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::stamp::Stamp;

/// A larger file is not read: Kubernetes holds at most 1 MiB in a ConfigMap, and a file that others write must not fill our memory.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

const POLL_EVERY: Duration = Duration::from_millis(100);

/// How long a start waits for the first reading: a file system that hangs must not keep probes and signals unanswered.
const FIRST_READING: Duration = Duration::from_secs(5);

/// One file, and what was last seen of it.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    pub(crate) path: PathBuf,
    /// The stamp of the file as it was last read, good or bad.
    read: Option<Stamp>,
    /// A stamp seen once that differs from `read`: it may still be being written.
    settling: Option<Stamp>,
    /// The last error of the file system, so that it is reported once and not ten times a second.
    fault: Option<String>,
}

/// What a look at the file brought to light.
#[derive(Debug)]
pub(crate) enum Seen {
    /// What it says now.
    Text(String),
    /// It cannot be read.
    Fault(io::Error),
}

impl WatchedFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: None, settling: None, fault: None }
    }

    /// The name that the document goes by in problems.
    pub(crate) fn document_name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    /// What is new since the last look.
    pub(crate) fn look(&mut self) -> Option<Seen> {
        match self.changed_text() {
            Ok(text) => {
                let text = text?;
                self.fault = None;
                Some(Seen::Text(text))
            }
            Err(error) => {
                (self.read, self.settling) = (None, None);
                let told = self.fault.replace(error.to_string());
                (told != self.fault).then_some(Seen::Fault(error))
            }
        }
    }

    /// A problem that says why the file cannot be read, and what holds meanwhile.
    pub(crate) fn problem(&self, error: &io::Error, meanwhile: &str) -> Problem {
        let message = format!("the file cannot be read: {error}; {meanwhile}");
        Problem::of_document(Code::UnreadableSource, self.document_name(), Severity::Kept, message)
    }

    fn changed_text(&mut self) -> io::Result<Option<String>> {
        let stamp = Stamp::of(&self.path)?;
        if self.read == Some(stamp) {
            self.settling = None;
            return Ok(None);
        }
        let first_look = self.read.is_none() && self.settling.is_none() && self.fault.is_none();
        if !first_look && self.settling != Some(stamp) {
            self.settling = Some(stamp);
            return Ok(None);
        }
        let text = read_bounded(&self.path, stamp, MAX_FILE_BYTES)?;
        if Stamp::of(&self.path)? != stamp {
            self.settling = None;
            return Ok(None);
        }
        (self.read, self.settling) = (Some(stamp), None);
        Ok(Some(text))
    }
}

/// Reads a file that has this stamp, if it has at most `most` bytes.
pub(crate) fn read_bounded(path: &Path, stamp: Stamp, most: u64) -> io::Result<String> {
    if stamp.bytes() > most {
        return Err(io::Error::other(format!("it has {} bytes, more than the {most} that are read", stamp.bytes())));
    }
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// Runs `poll` ten times a second until `stop` is cancelled, and waits for the first state that it publishes to `states`, for up to 5 seconds.
/// `what` is the file in logs.
pub(crate) async fn start<T>(
    what: &'static str,
    path: &Path,
    poll: impl FnMut() + Send + 'static,
    states: &mut watch::Receiver<T>,
    stop: CancellationToken,
) {
    tokio::spawn(stop.run_until_cancelled_owned(watch_file(what, poll)));
    if timeout(FIRST_READING, states.changed()).await.is_err() {
        tracing::warn!(path = %path.display(), "the {what} could not be read within {FIRST_READING:?}; still trying");
    }
}

/// Polls off the async workers: reading and parsing a large document takes long.
async fn watch_file(what: &'static str, poll: impl FnMut() + Send + 'static) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut poll = Some(poll);
    while let Some(mut current) = poll.take() {
        ticks.tick().await;
        let step = tokio::task::spawn_blocking(move || {
            current();
            current
        });
        poll = step.await.ok();
    }
    tracing::error!("the {what} is no longer watched: a step of the watch failed");
}
