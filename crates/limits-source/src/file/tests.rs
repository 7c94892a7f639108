use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use limits::TenantLimits;
use tempfile::TempDir;

use super::*;
use crate::MAX_FILE_BYTES;

fn state() -> LimitsState {
    LimitsState::new(TenantLimits::default(), false)
}

fn list(path: &std::path::Path) -> DocumentList {
    path.display().to_string().parse().unwrap()
}

struct Watched {
    folder: TempDir,
    /// The only file, or the first of several.
    path: PathBuf,
    source: FileSource,
}

impl Watched {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runtime.yaml");
        fs::write(&path, text).unwrap();
        Self { source: FileSource::new(list(&path), state(), Freshness::default()).unwrap(), path, folder }
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    /// Tenants and problems of the state that a poll publishes, if it publishes one.
    fn poll(&mut self) -> Option<(usize, usize)> {
        let state = self.source.poll()?;
        Some((state.limits.map_or(0, |limits| limits.len()), state.problems.len()))
    }
}

#[test]
fn only_the_first_poll_reads_an_unchanged_file() {
    let mut watched = Watched::new("overrides: { a: {}, b: {} }");
    assert_eq!(watched.poll(), Some((2, 0)));
    assert_eq!(watched.poll(), None);
    assert!(watched.source.in_force);
}

#[test]
fn a_change_is_read_only_once_it_has_settled() {
    let mut watched = Watched::new("overrides: { a: {}, b: {} }");
    watched.poll();
    watched.write("overrides: {");
    assert_eq!(watched.poll(), None, "seen for the first time");
    watched.write("overrides: { a: {}, b: {}, c: {} }");
    assert_eq!(watched.poll(), None, "still changing");
    assert_eq!(watched.poll(), Some((3, 0)));
    assert_eq!(watched.poll(), None);
}

#[test]
fn a_broken_document_keeps_the_limits_and_is_reported_once() {
    let mut watched = Watched::new("overrides: { a: {} }");
    watched.poll();
    watched.write("overrides: { a: { ingestion_rate: much } }");
    watched.poll();
    assert_eq!(watched.poll(), Some((1, 1)));
    assert!(!watched.source.in_force, "what is on disk is not what holds");
    assert_eq!(watched.poll(), None);
}

#[test]
fn a_missing_file_is_one_problem_until_it_returns() {
    let mut watched = Watched::new("overrides: { a: {} }");
    watched.poll();
    fs::rename(&watched.path, watched.folder.path().join("away")).unwrap();
    assert_eq!(watched.poll(), Some((1, 1)));
    assert_eq!(watched.poll(), None);
    fs::rename(watched.folder.path().join("away"), &watched.path).unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((1, 0)));
    assert!(watched.source.in_force);
}

#[test]
fn a_file_too_large_or_not_text_is_a_problem() {
    let mut watched = Watched::new("overrides: { a: {} }");
    watched.poll();
    fs::File::create(&watched.path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((1, 1)));
    fs::write(&watched.path, b"overrides: \xff").unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((1, 1)));
    assert_eq!(watched.source.state.current().map(|limits| limits.len()), Some(1));
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let mut watched = Watched::new("overrides: { a: {} }");
    watched.poll();
    fs::remove_file(&watched.path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&watched.path).status().unwrap();
    assert!(made.success());
    assert_eq!(watched.poll(), Some((1, 1)), "a read of a pipe without a writer would never end");
    fs::remove_file(&watched.path).unwrap();
    fs::create_dir(&watched.path).unwrap();
    assert_eq!(watched.poll(), None, "the same problem is reported once");
}

#[test]
fn a_missing_file_keeps_the_problems_of_limits_in_force() {
    let mut watched = Watched::new("a.ingestion_rate: much\n");
    assert_eq!(watched.poll(), Some((1, 1)));
    fs::remove_file(&watched.path).unwrap();
    assert_eq!(watched.poll(), Some((1, 2)));
}

#[test]
fn nothing_is_in_force_until_the_first_good_document() {
    let mut watched = Watched::new("overrides: [");
    assert_eq!(watched.poll(), Some((0, 1)));
    assert!(!watched.source.in_force);
    watched.write("overrides: { a: {} }");
    watched.poll();
    assert_eq!(watched.poll(), Some((1, 0)));
}

#[test]
fn a_broken_document_keeps_restored_limits_without_confirming_them() {
    let mut state = state();
    state.apply(&[SourceDocument::new("cache", "overrides: { a: {}, b: {} }")]);
    let mut watched = Watched::new("overrides: [");
    let hour = Duration::from_secs(3600);
    watched.source = FileSource::new(list(&watched.path), state, Freshness::confirmed_ago(hour)).unwrap();
    let sender = watch::Sender::new(LoadedLimits::default());
    watched.source.step(&sender);
    assert_eq!(sender.borrow().limits.as_ref().map(|limits| limits.len()), Some(2));
    assert!(watched.source.freshness.age() >= hour);
}

/// Two files that make up one source.
fn two(first: &str, second: &str) -> Watched {
    let mut watched = Watched::new(first);
    let both = [watched.path.clone(), watched.folder.path().join("more.yaml")];
    fs::write(&both[1], second).unwrap();
    let both: DocumentList = both.map(|path| path.display().to_string()).join(",").parse().unwrap();
    watched.source = FileSource::new(both, state(), Freshness::default()).unwrap();
    watched
}

#[test]
fn a_change_of_one_file_applies_the_whole_set() {
    let mut watched = two("overrides: { a: { ingestion_rate: 1 } }", "overrides: { b: { ingestion_rate: 2 } }");
    assert_eq!(watched.poll(), Some((2, 0)));
    assert_eq!(watched.poll(), None);
    fs::write(watched.folder.path().join("more.yaml"), "overrides: { b: {}, c: {} }").unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((3, 0)), "the first file holds still");
    assert_eq!(watched.poll(), None);
}

#[test]
fn files_that_change_together_are_never_applied_half() {
    let mut watched = two("overrides: { a: {} }", "overrides: { b: {} }");
    watched.poll();
    watched.write("overrides: { a: {}, c: {} }");
    assert_eq!(watched.poll(), None, "the first has changed");
    fs::write(watched.folder.path().join("more.yaml"), "overrides: { b: {}, d: {} }").unwrap();
    assert_eq!(watched.poll(), None, "so has the second");
    assert_eq!(watched.poll(), Some((4, 0)));
}

#[test]
fn nothing_changes_while_one_of_several_files_is_missing() {
    let mut watched = two("overrides: { a: {} }", "overrides: { b: {} }");
    watched.poll();
    fs::remove_file(watched.folder.path().join("more.yaml")).unwrap();
    watched.write("overrides: { a: {}, c: {}, d: {} }");
    let state = watched.source.poll().unwrap();
    assert_eq!(state.limits.map(|limits| limits.len()), Some(2));
    let problems: Vec<_> = state.problems.iter().map(ToString::to_string).collect();
    assert!(problems.len() == 1 && problems[0].starts_with("more.yaml: the file cannot be read: "), "{problems:?}");
    assert!(!watched.source.in_force);
    fs::write(watched.folder.path().join("more.yaml"), "overrides: { b: {} }").unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((4, 0)));
    fs::remove_file(&watched.path).unwrap();
    fs::remove_file(watched.folder.path().join("more.yaml")).unwrap();
    assert_eq!(watched.poll(), Some((4, 2)), "each missing file is a problem");
}
