//! The file source: one overrides document on disk, read again whenever it changes.
//!
//! The file is polled, because inotify hears nothing on some network and overlay mounts and because a poll treats a write in place, a rename and
//! a symlink swap alike. A change is read once two polls in a row saw the same [`Stamp`], and only kept if the stamp is still the same after
//! reading, so that a file in the middle of being written is not taken for a shorter document.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use limits::{Applied, ControlState, LimitsState, Problem, Severity, SourceDocument};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::stamp::Stamp;
use crate::{Freshness, LimitsFeed};

/// A larger file is not read: Kubernetes holds at most 1 MiB in a ConfigMap, and a file that others write must not fill our memory.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

const POLL_EVERY: Duration = Duration::from_millis(100);

/// How long a start waits for the first reading: a file system that hangs must not keep probes and signals unanswered.
const FIRST_READING: Duration = Duration::from_secs(5);

/// Reads and watches one file.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    state: LimitsState,
    /// The stamp of the file as it was last read, good or bad.
    read: Option<Stamp>,
    /// A stamp seen once that differs from `read`: it may still be being written.
    settling: Option<Stamp>,
    /// Whether what was last read is what is in force.
    in_force: bool,
    /// What was wrong with the document that was last read.
    problems: Arc<[Problem]>,
    /// The last error of the file system, so that it is reported once and not ten times a second.
    fault: Option<String>,
}

impl FileSource {
    /// A source that has read nothing yet.
    #[must_use]
    pub fn new(path: PathBuf, state: LimitsState) -> Self {
        Self { path, state, read: None, settling: None, in_force: false, problems: Arc::default(), fault: None }
    }

    /// Reads the file, which this waits for up to 5 seconds, and keeps watching it until `stop` is cancelled.
    ///
    /// A file that is missing or bad is no error: the feed then shows problems, and limits as soon as there are good ones.
    pub async fn start(self, stop: CancellationToken) -> LimitsFeed {
        let freshness = Freshness::default();
        let sender = watch::Sender::new(ControlState::default());
        let mut feed = LimitsFeed { states: sender.subscribe(), freshness: freshness.clone() };
        let path = self.path.clone();
        tokio::spawn(stop.run_until_cancelled_owned(watch_file(self, sender, freshness)));
        if timeout(FIRST_READING, feed.states.changed()).await.is_err() {
            tracing::warn!(path = %path.display(), "the limits file could not be read within {FIRST_READING:?}; still trying");
        }
        feed
    }

    /// One poll, off the async workers: reading and parsing a large document takes long.
    async fn step(mut self, sender: watch::Sender<ControlState>, freshness: Freshness) -> Option<Self> {
        let step = tokio::task::spawn_blocking(move || {
            if let Some(state) = self.poll() {
                sender.send_replace(state);
            }
            if self.in_force {
                freshness.confirm();
            }
            self
        });
        step.await.ok()
    }

    /// Looks at the file; a new state when it was read or its fault changed.
    fn poll(&mut self) -> Option<ControlState> {
        match self.poll_file() {
            Ok(Some(state)) => {
                self.fault = None;
                Some(state)
            }
            Ok(None) => None,
            Err(error) => self.report_fault(&error),
        }
    }

    fn poll_file(&mut self) -> io::Result<Option<ControlState>> {
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
        let text = read_bounded(&self.path, stamp)?;
        if Stamp::of(&self.path)? != stamp {
            self.settling = None;
            return Ok(None);
        }
        (self.read, self.settling) = (Some(stamp), None);
        Ok(Some(self.apply(&text)))
    }

    fn apply(&mut self, text: &str) -> ControlState {
        let name = document_name(&self.path);
        let before = self.state.current();
        let applied = self.state.apply(&[SourceDocument { name: &name, text }]);
        self.in_force = applied.accepted;
        log_applied(&self.path, before.as_deref(), &applied);
        self.problems = applied.problems.into();
        ControlState { limits: applied.snapshot, problems: Arc::clone(&self.problems) }
    }

    fn report_fault(&mut self, error: &io::Error) -> Option<ControlState> {
        (self.read, self.settling, self.in_force) = (None, None, false);
        let message = format!("the file cannot be read: {error}; the last good limits stay in force");
        if self.fault.as_ref() == Some(&message) {
            return None;
        }
        tracing::warn!(path = %self.path.display(), %error, "limits file cannot be read, the last good limits stay in force");
        let problem = Problem {
            document: document_name(&self.path),
            tenant: None,
            field: None,
            line: None,
            severity: Severity::Kept,
            message: message.clone(),
        };
        self.fault = Some(message);
        let problems = self.problems.iter().cloned().chain([problem]).collect();
        Some(ControlState { limits: self.state.current(), problems })
    }
}

async fn watch_file(source: FileSource, sender: watch::Sender<ControlState>, freshness: Freshness) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut source = Some(source);
    while let Some(current) = source.take() {
        ticks.tick().await;
        source = current.step(sender.clone(), freshness.clone()).await;
    }
    tracing::error!("the limits file is no longer watched: a step of the watch failed");
}

fn read_bounded(path: &Path, stamp: Stamp) -> io::Result<String> {
    if stamp.bytes() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it has {} bytes, more than the {MAX_FILE_BYTES} that are read",
            stamp.bytes()
        )));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn document_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn log_applied(path: &Path, before: Option<&limits::Snapshot>, applied: &Applied) {
    for problem in &applied.problems {
        tracing::warn!(path = %path.display(), "limits problem: {problem}");
    }
    let Some(snapshot) = applied.snapshot.as_deref().filter(|_| applied.changed) else { return };
    let Some(older) = before else {
        tracing::info!(path = %path.display(), tenants = snapshot.len(), problems = applied.problems.len(), "the first limits are in force");
        return;
    };
    let diff = snapshot.diff(older);
    tracing::info!(
        path = %path.display(), version = snapshot.version(), tenants = snapshot.len(), problems = applied.problems.len(),
        added = diff.added.len(), changed = diff.changed.len(), removed = diff.removed.len(), "limits are in force",
    );
}

#[cfg(test)]
mod tests;
