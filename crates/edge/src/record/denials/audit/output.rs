//! The output of the audit thread: a buffer in front of standard output or of a file, which may be rotated.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use serde::Serialize;

use super::{AuditCounters, AuditTarget};

/// The buffer is written at this size, and whenever nothing more is queued.
const WRITE_AT_BYTES: usize = 64 << 10;
/// How often to check whether the path is still the open file.
const CHECK_PATH_EVERY: Duration = Duration::from_secs(1);
/// How often a lasting error is logged.
const LOG_ERROR_EVERY: Duration = Duration::from_secs(10);
/// The owner writes, and the group, such as a log shipper's, reads.
const PERMISSIONS: u32 = 0o640;

enum Sink {
    StandardOutput,
    File(RotatedFile),
    #[cfg(test)]
    Other(Box<dyn Write + Send>),
}

pub(super) struct Output {
    sink: Sink,
    buffer: Vec<u8>,
    /// Whether the last write ended within a line.
    mid_line: bool,
    error_logged_at: Option<Instant>,
    counters: AuditCounters,
}

impl Output {
    pub(super) fn open(target: AuditTarget, counters: AuditCounters, now: Instant) -> anyhow::Result<Self> {
        let sink = match target {
            AuditTarget::StandardOutput => Sink::StandardOutput,
            AuditTarget::File(path) => Sink::File(RotatedFile::open(path, now)?),
        };
        Ok(Self::new(sink, counters))
    }

    #[cfg(test)]
    pub(super) fn to(writer: impl Write + Send + 'static, counters: AuditCounters) -> Self {
        Self::new(Sink::Other(Box::new(writer)), counters)
    }

    fn new(sink: Sink, counters: AuditCounters) -> Self {
        Self { sink, buffer: Vec::with_capacity(WRITE_AT_BYTES), mid_line: false, error_logged_at: None, counters }
    }

    /// Adds one line. It is written with the next [`Output::flush`], or now if the buffer is full.
    pub(super) fn add(&mut self, line: &impl Serialize, now: Instant) {
        let start = self.buffer.len();
        match serde_json::to_writer(&mut self.buffer, line) {
            Ok(()) => self.buffer.push(b'\n'),
            Err(error) => {
                self.buffer.truncate(start);
                self.counters.write_error.inc();
                self.log_error(&error.into(), now);
            }
        }
        if self.buffer.len() >= WRITE_AT_BYTES {
            self.flush(now);
        }
    }

    /// Writes the buffer. Lines that cannot be written are counted and dropped.
    pub(super) fn flush(&mut self, now: Instant) {
        let mut buffer = mem::take(&mut self.buffer);
        if buffer.is_empty() {
            return;
        }
        if let Sink::File(file) = &mut self.sink {
            match file.follow_path(now) {
                Ok(true) => self.mid_line = false,
                Ok(false) => {}
                Err(error) => self.log_error(&error, now),
            }
        }
        if let Err(error) = self.write(&buffer) {
            self.log_error(&error.into(), now);
        }
        buffer.clear();
        self.buffer = buffer;
    }

    /// Writes whole lines, and first a line break if an earlier error cut off a line.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = match &mut self.sink {
            Sink::StandardOutput => write_counted(&mut io::stdout().lock(), lines, &mut self.mid_line),
            Sink::File(file) => write_counted(&mut file.file, lines, &mut self.mid_line),
            #[cfg(test)]
            Sink::Other(writer) => write_counted(writer, lines, &mut self.mid_line),
        };
        let (written, result) = result;
        let (written, all) = (count_lines(lines.get(..written).unwrap_or_default()), count_lines(lines));
        self.counters.written.inc_by(written);
        self.counters.write_error.inc_by(all.saturating_sub(written));
        result
    }

    fn log_error(&mut self, error: &anyhow::Error, now: Instant) {
        if self.error_logged_at.is_none_or(|last| now.saturating_duration_since(last) >= LOG_ERROR_EVERY) {
            self.error_logged_at = Some(now);
            tracing::warn!("the audit log cannot be written: {error:#}");
        }
    }
}

/// Writes `lines` up to the first error. Returns how many bytes of them were written, and the error.
fn write_counted(sink: &mut impl Write, lines: &[u8], mid_line: &mut bool) -> (usize, io::Result<()>) {
    let mut written = 0;
    let result = loop {
        let rest = lines.get(written..).unwrap_or_default();
        let next = if *mid_line { b"\n".as_slice() } else { rest };
        if next.is_empty() {
            break sink.flush();
        }
        match sink.write(next) {
            Ok(0) => break Err(ErrorKind::WriteZero.into()),
            Ok(_) if *mid_line => *mid_line = false,
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    if written > 0 {
        *mid_line = lines.get(..written).is_some_and(|written| !written.ends_with(b"\n"));
    }
    (written, result)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// A file that is reopened when its path is another file, or none, after log rotation.
struct RotatedFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    checked_at: Instant,
}

/// Device and inode.
type Identity = (u64, u64);

impl RotatedFile {
    fn open(path: PathBuf, now: Instant) -> anyhow::Result<Self> {
        let (file, identity) = open_to_append(&path)?;
        Ok(Self { path, file, identity, checked_at: now })
    }

    /// Reopens the file if it was rotated; whether it was. After an error, lines still go to the old file.
    fn follow_path(&mut self, now: Instant) -> anyhow::Result<bool> {
        if now.saturating_duration_since(self.checked_at) < CHECK_PATH_EVERY {
            return Ok(false);
        }
        self.checked_at = now;
        match std::fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => return Ok(false),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read the metadata of {}", self.path.display()));
            }
            Ok(_) | Err(_) => {}
        }
        (self.file, self.identity) = open_to_append(&self.path)?;
        Ok(true)
    }
}

fn open_to_append(path: &Path) -> anyhow::Result<(File, Identity)> {
    open_nonblocking(path).with_context(|| format!("cannot append to {}", path.display()))
}

/// Opens without blocking, or the start of a server would wait for the reader of a pipe. Writes block.
fn open_nonblocking(path: &Path) -> anyhow::Result<(File, Identity)> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().append(true).create(true).mode(PERMISSIONS).custom_flags(nonblocking).open(path);
    let file = match opened {
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            return Err(error)
                .context("it is a pipe without a reader, or a socket; start its reader first, or name a file");
        }
        opened => opened?,
    };
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        fcntl_setfl(&file, fcntl_getfl(&file)?.difference(OFlags::NONBLOCK))?;
    }
    Ok((file, identity(&metadata)))
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests;
