use std::os::unix::fs::symlink;

use super::*;

const LIMITS: &str = "--limits";
const CACHE: &str = "--limits-cache";
const AUDIT: &str = "--audit-log";

/// Files `a` and `b`; `hard` is `a`, `link` leads to `a`, `dangling` to `missing`, and `folder/up` to this folder.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a"), "a").unwrap();
    fs::write(at("b"), "b").unwrap();
    fs::hard_link(at("a"), at("hard")).unwrap();
    symlink("a", at("link")).unwrap();
    symlink("./missing", at("dangling")).unwrap();
    symlink("link", at("chain")).unwrap();
    symlink("round", at("round")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink("..", at("folder/up")).unwrap();
    folder
}

/// What is wrong with a file that is read and one that is replaced, and with one that is appended to.
fn shared(read: &str, written: &str) -> [Option<String>; 2] {
    let folder = folder();
    let (read, written) = (folder.path().join(read), folder.path().join(written));
    [FlagFile::replaced(CACHE, &written), FlagFile::appended(AUDIT, &written)].map(|written| {
        reject_shared_files(&[FlagFile::read(LIMITS, &read), written]).err().map(|error| error.to_string())
    })
}

#[track_caller]
fn rejects(read: &str, written: &str) {
    for (flag, error) in [CACHE, AUDIT].into_iter().zip(shared(read, written)) {
        let error = error.unwrap_or_else(|| unreachable!("{flag} {written} goes with {read}"));
        assert!(error.starts_with(flag) && error.contains(LIMITS), "{error}");
    }
}

#[test]
fn a_written_file_is_never_shared_however_it_is_spelled() {
    for name in ["a", "./a", "folder/../a", "folder/up/a", "link", "chain", "hard", "folder/up/folder/up/link"] {
        rejects("a", name);
        rejects(name, "a");
    }
    for name in ["missing", "./missing", "folder/up/missing", "dangling"] {
        rejects("missing", name);
        rejects(name, "dangling");
    }
    rejects("link", "link");
    rejects("round", "folder/up/round");
    rejects("nowhere/at/all", "nowhere/./at/all");
}

#[test]
fn files_that_are_different_go_together() {
    for (read, written) in
        [("a", "b"), ("a", "missing"), ("a", "folder/a"), ("missing", "folder/missing"), ("a", "round")]
    {
        assert_eq!(shared(read, written), [None, None], "{read} {written}");
    }
}

#[test]
fn the_cache_takes_the_name_with_new_behind_it_too() {
    for (read, written) in [("a.new", "a"), ("folder/up/b.new", "b"), ("missing.new", "missing")] {
        let [cache, audit] = shared(read, written);
        let cache = cache.unwrap_or_else(|| unreachable!("{read} {written}"));
        assert!(cache.contains(CACHE) && cache.contains(LIMITS) && cache.contains(".new, which"), "{cache}");
        assert_eq!(audit, None, "{read} {written}");
    }
}

#[test]
fn files_that_are_only_read_may_be_the_same() {
    let path = Path::new("runtime.yaml");
    let files = [FlagFile::read(LIMITS, path), FlagFile::read("--edge-config", path)];
    assert!(reject_shared_files(&files).is_ok());
    let both = [FlagFile::replaced(CACHE, path), FlagFile::appended(AUDIT, path)];
    let error = reject_shared_files(&both).unwrap_err().to_string();
    assert_eq!(
        error,
        "--limits-cache runtime.yaml writes to runtime.yaml, which --audit-log names; give --limits-cache a file of its own"
    );
}
