//! Documents that are read whenever one of them changes: files and URLs.
//!
//! Files are polled, because inotify misses changes on some network and overlay mounts, and because a poll treats a write in place, a rename and a
//! symlink swap alike. A change is read once two polls in a row saw the same [`Stamp`] of every file, and applied only if the stamps are the same after
//! the read, so that neither a half-written file nor one of several files that change together is applied.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use limits::{Code, Problem, Severity};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};

use crate::fetched::Fetched;

/// The largest file that is read. A ConfigMap holds at most 1 MiB, and a file must not exhaust the memory.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

const POLL_EVERY: Duration = Duration::from_millis(100);

/// How long a start waits for the first read: probes and signals are to be answered even if a file system hangs.
const FIRST_READ: Duration = Duration::from_secs(5);

/// One document that is watched.
#[derive(Debug)]
pub(crate) struct Document {
    /// The name that problems have.
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Where a document is.
#[derive(Debug)]
pub(crate) enum Place {
    File(PathBuf),
    /// A URL: its index among those that are fetched.
    Url(usize),
}

/// Identity and times of the file that a path leads to.
///
/// Symbolic links are followed, so swapping a link (as Kubernetes does with `..data`) changes the inode; a rename changes the inode; a write
/// in place changes the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            // A read of a pipe or a device can block forever.
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Changes whenever a document changes.
#[derive(Clone, Debug, PartialEq)]
enum Mark {
    File(Stamp),
    Url(u64),
}

/// Documents that are read together, and what was last seen of them.
#[derive(Debug)]
pub(crate) struct Watched {
    documents: Vec<Document>,
    /// The last responses of the URLs among them.
    fetched: Fetched,
    /// The number of fetches at the last poll, and at the last confirmation.
    round: u64,
    confirmed_round: u64,
    /// The marks of the documents as they were last read, good or bad.
    read: Option<Vec<Mark>>,
    /// Marks seen once that differ from `read`: a write may still be in progress.
    settling: Option<Vec<Mark>>,
    /// The last faults, so that each is reported once and not ten times a second.
    faults: Option<String>,
}

/// The result of a poll.
#[derive(Debug)]
pub(crate) enum Polled {
    /// The content of all documents, in their order.
    Documents(Vec<Bytes>),
    /// Some cannot be read.
    Faults(Vec<Fault>),
}

/// Why a document cannot be read.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The document's name.
    pub(crate) name: String,
    /// `file` or `URL`.
    pub(crate) what: &'static str,
    pub(crate) error: io::Error,
}

impl Fault {
    /// The problem of this fault. `meanwhile` says what is in force until it is fixed.
    pub(crate) fn problem(&self, meanwhile: &str) -> Problem {
        let message = format!("the {} cannot be read: {}; {meanwhile}", self.what, self.error);
        Problem::of_document(Code::UnreadableSource, &*self.name, Severity::Kept, message)
    }
}

impl Watched {
    pub(crate) fn new(documents: Vec<Document>, fetched: Fetched) -> Self {
        Self { documents, fetched, round: 0, confirmed_round: 0, read: None, settling: None, faults: None }
    }

    /// One file, under its name.
    pub(crate) fn file(path: PathBuf) -> Self {
        let name = file_name(&path);
        Self::new(vec![Document { name, place: Place::File(path) }], Fetched::default())
    }

    /// The names of the documents, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.name.as_str())
    }

    /// What changed since the last poll.
    pub(crate) fn poll(&mut self) -> Option<Polled> {
        self.round = self.fetched.rounds();
        match self.changed() {
            Ok(documents) => {
                let documents = documents?;
                self.faults = None;
                Some(Polled::Documents(documents))
            }
            Err(faults) => {
                (self.read, self.settling) = (None, None);
                let before = self.faults.replace(format!("{faults:?}"));
                (before != self.faults).then_some(Polled::Faults(faults))
            }
        }
    }

    /// Whether the last poll confirmed the documents: every poll confirms files, and each fetch confirms URLs once.
    pub(crate) fn is_confirmed(&mut self) -> bool {
        let has_urls = self.documents.iter().any(|document| matches!(document.place, Place::Url(_)));
        if self.settling.is_some() {
            return false;
        }
        let before = std::mem::replace(&mut self.confirmed_round, self.round);
        !has_urls || before != self.round
    }

    fn changed(&mut self) -> Result<Option<Vec<Bytes>>, Vec<Fault>> {
        let Some(marks) = self.marks()? else { return Ok(None) };
        if self.read.as_ref() == Some(&marks) {
            self.settling = None;
            return Ok(None);
        }
        let is_first = self.read.is_none() && self.settling.is_none() && self.faults.is_none();
        if !is_first && self.settling.as_ref() != Some(&marks) {
            self.settling = Some(marks);
            return Ok(None);
        }
        let bytes =
            self.each(self.documents.iter().zip(&marks).map(|(document, mark)| document.read(mark, &self.fetched)))?;
        if self.marks()?.as_ref() != Some(&marks) {
            self.settling = None;
            return Ok(None);
        }
        (self.read, self.settling) = (Some(marks), None);
        Ok(Some(bytes))
    }

    /// The marks of all documents; `Ok(None)` while a URL has no response yet.
    fn marks(&self) -> Result<Option<Vec<Mark>>, Vec<Fault>> {
        let marks = self.each(self.documents.iter().map(|document| document.mark(&self.fetched)))?;
        Ok(marks.into_iter().collect())
    }

    /// The values of all documents, or the faults of those that failed.
    fn each<T>(&self, results: impl Iterator<Item = io::Result<T>>) -> Result<Vec<T>, Vec<Fault>> {
        let (mut good, mut faults) = (Vec::new(), Vec::new());
        for (document, result) in self.documents.iter().zip(results) {
            match result {
                Ok(value) => good.push(value),
                Err(error) => faults.push(Fault { name: document.name.clone(), what: document.place.what(), error }),
            }
        }
        if faults.is_empty() { Ok(good) } else { Err(faults) }
    }
}

impl Document {
    fn mark(&self, fetched: &Fetched) -> io::Result<Option<Mark>> {
        match &self.place {
            Place::File(path) => Stamp::of(path).map(|stamp| Some(Mark::File(stamp))),
            Place::Url(place) => fetched.version(*place).map(|version| version.map(Mark::Url)),
        }
    }

    /// Reads the document, which has this mark.
    fn read(&self, mark: &Mark, fetched: &Fetched) -> io::Result<Bytes> {
        match (&self.place, mark) {
            (Place::File(path), Mark::File(stamp)) => read_bounded(path, *stamp, MAX_FILE_BYTES).map(Bytes::from),
            (Place::Url(place), _) => fetched.read(*place),
            (Place::File(_), Mark::Url(_)) => Err(io::Error::other("it was not polled")),
        }
    }
}

impl Place {
    fn what(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Url(_) => "URL",
        }
    }
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Reads a file with this stamp, of at most `most` bytes.
pub(crate) fn read_bounded(path: &Path, stamp: Stamp, most: u64) -> io::Result<Vec<u8>> {
    if stamp.bytes() > most {
        return Err(io::Error::other(format!("it has {} bytes, more than the {most} that are read", stamp.bytes())));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or has more than `most` bytes.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= most) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("it has more than {most} bytes")))
}

/// Decodes UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Runs `poll` ten times a second until `tasks` are stopped, and waits up to 5 seconds for the first state that it publishes to `states`. `what` and
/// `place` are for logs: what is watched, and where it is.
pub(crate) async fn start<T>(
    what: &'static str,
    place: &str,
    poll: impl FnMut() + Send + 'static,
    states: &mut watch::Receiver<T>,
    tasks: &Tasks,
) {
    tasks.spawn(what, keep_polling(what, poll));
    if timeout(FIRST_READ, states.changed()).await.is_err() {
        tracing::warn!(%place, "the {what} could not be read within {FIRST_READ:?}; still trying");
    }
}

/// Polls on blocking threads: a large document takes long to read and parse.
async fn keep_polling(what: &'static str, poll: impl FnMut() + Send + 'static) {
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
    tracing::error!("the {what} is no longer watched: a poll failed");
}
