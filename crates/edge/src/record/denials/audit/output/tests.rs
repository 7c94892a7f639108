use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use prometheus::Registry;

use super::*;
use crate::record::DenialRecord;
use crate::record::denials::tests::denied_push;

fn counters() -> AuditCounters {
    AuditCounters::new(&Registry::new()).unwrap()
}

fn line(tenant: &str) -> DenialRecord {
    denied_push(tenant)
}

/// The tenants of the lines in a file; every line must be JSON.
fn tenants(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let tenant =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["tenant"].as_str().unwrap().into();
    text.lines().map(tenant).collect()
}

/// An output to a file in a folder of its own, and the means to write to it at a time.
struct Fixture {
    folder: tempfile::TempDir,
    output: Output,
    counters: AuditCounters,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        let (folder, counters, start) = (tempfile::tempdir().unwrap(), counters(), Instant::now());
        let target = AuditTarget::File(folder.path().join("audit"));
        let output = Output::open(target, counters.clone(), start).unwrap();
        Self { folder, output, counters, start }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&mut self, tenant: &str, after: Duration) {
        self.output.add(&line(tenant), self.start + after);
        self.output.flush(self.start + after);
    }
}

#[test]
fn lines_are_appended_to_a_group_readable_file() {
    let mut fixture = Fixture::new();
    fixture.write("a", Duration::ZERO);
    let again = AuditTarget::File(fixture.path("audit"));
    fixture.output = Output::open(again, fixture.counters.clone(), fixture.start).unwrap();
    fixture.write("b", Duration::ZERO);
    assert_eq!(tenants(&fixture.path("audit")), ["a", "b"]);
    assert_eq!(fs::metadata(fixture.path("audit")).unwrap().permissions().mode() & 0o137, 0);
    assert_eq!(fixture.counters.written.get(), 2);
}

#[test]
fn a_rotated_file_is_reopened_within_a_second() {
    let mut fixture = Fixture::new();
    fs::rename(fixture.path("audit"), fixture.path("audit.1")).unwrap();
    fixture.write("a", CHECK_PATH_EVERY / 2);
    fixture.write("b", CHECK_PATH_EVERY);
    assert_eq!(tenants(&fixture.path("audit.1")), ["a"]);
    assert_eq!(tenants(&fixture.path("audit")), ["b"]);

    fs::write(fixture.path("next"), "").unwrap();
    fs::rename(fixture.path("next"), fixture.path("audit")).unwrap();
    fixture.write("c", CHECK_PATH_EVERY * 2);
    assert_eq!(tenants(&fixture.path("audit")), ["c"]);

    fs::remove_file(fixture.path("audit")).unwrap();
    fixture.write("d", CHECK_PATH_EVERY * 3);
    assert_eq!(tenants(&fixture.path("audit")), ["d"]);
}

#[test]
fn a_failed_reopen_keeps_the_old_file() {
    let mut fixture = Fixture::new();
    fs::rename(fixture.path("audit"), fixture.path("audit.1")).unwrap();
    fs::create_dir(fixture.path("audit")).unwrap();
    fixture.write("a", CHECK_PATH_EVERY);
    assert_eq!(tenants(&fixture.path("audit.1")), ["a"]);
    fs::remove_dir(fixture.path("audit")).unwrap();
    fixture.write("b", CHECK_PATH_EVERY * 2);
    assert_eq!(tenants(&fixture.path("audit")), ["b"]);
}

#[test]
fn an_unopenable_path_fails_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/audit");
    let error = Output::open(AuditTarget::File(path.clone()), counters(), Instant::now()).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot append to {}", path.display()));
}

fn pipe() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    (folder, path)
}

#[test]
fn a_pipe_without_a_reader_is_an_error_at_once() {
    let (_folder, path) = pipe();
    let error = Output::open(AuditTarget::File(path.clone()), counters(), Instant::now()).err().unwrap();
    let text = format!("{error:#}");
    assert!(text.starts_with(&format!("cannot append to {}: it is a pipe without a reader", path.display())), "{text}");
}

#[test]
fn a_pipe_that_is_read_gets_every_line() {
    let ((_folder, path), counters) = (pipe(), counters());
    // Opened for both, so that neither side waits for the other to open.
    let both = File::options().read(true).write(true).open(&path).unwrap();
    let mut output = Output::open(AuditTarget::File(path.clone()), counters.clone(), Instant::now()).unwrap();
    let mut reader = File::open(&path).unwrap();
    drop(both);
    // More than a pipe holds.
    let lines = 2_000;
    let written = std::thread::spawn(move || {
        for _ in 0..lines {
            output.add(&line("a"), Instant::now());
        }
        output.flush(Instant::now());
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    written.join().unwrap();
    assert_eq!(text.lines().count(), 2_000);
    assert_eq!((counters.written.get(), counters.write_error.get()), (lines, 0));
}

#[test]
fn a_full_disk_drops_and_counts_lines_without_stopping() {
    let counters = counters();
    let mut output = Output::open(AuditTarget::File("/dev/full".into()), counters.clone(), Instant::now()).unwrap();
    for round in 1..=3 {
        output.add(&line("a"), Instant::now());
        output.add(&line("b"), Instant::now());
        output.flush(Instant::now());
        assert_eq!((counters.written.get(), counters.write_error.get()), (0, round * 2));
    }
}

#[test]
fn much_is_written_at_once_without_being_asked() {
    let mut fixture = Fixture::new();
    for _ in 0..1_000 {
        fixture.output.add(&line("a"), fixture.start);
        assert!(fixture.output.buffer.len() < WRITE_AT_BYTES);
    }
    let written = fixture.counters.written.get();
    assert!(written > 0 && written < 1_000, "{written}");
    fixture.output.flush(fixture.start);
    assert_eq!(tenants(&fixture.path("audit")).len(), 1_000);
}

/// Takes so many bytes, then fails until it is given room.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

impl Disk {
    fn give(&self, room: usize) {
        self.0.lock().unwrap().1 = room;
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (text, room) = &mut *self.0.lock().unwrap();
        let taken = bytes.len().min(*room);
        if taken == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        *room -= taken;
        text.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_truncated_line_does_not_spoil_the_next() {
    let (disk, counters) = (Disk::default(), counters());
    let mut output = Output::to(disk.clone(), counters.clone());
    let mut write = |tenant: &str| {
        output.add(&line(tenant), Instant::now());
        output.flush(Instant::now());
    };
    disk.give(10);
    write("a");
    write("b");
    disk.give(1);
    write("c");
    disk.give(usize::MAX);
    write("d");
    let text = disk.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0].len(), 10);
    assert!(lines[1].contains(r#""tenant":"d""#) && lines[1].ends_with('}'), "{text}");
    assert_eq!((counters.written.get(), counters.write_error.get()), (1, 3));
}
