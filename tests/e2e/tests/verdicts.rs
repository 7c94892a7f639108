//! The edge accepts the runtime configurations that Mimir accepts, and rejects those that Mimir rejects.
//!
//! Documents are drawn from a seed that is printed, and each is put to a real Mimir and to the edge's own reader. `SEED=N` draws others than the
//! usual ones, `DOCUMENTS=N` says how many there are, and `DOCUMENT=N` shows one of them and puts it alone to both. What differs is shown small,
//! and kept whole in the build's folder for temporary files.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{built, repository};
use tempfile::tempdir;

mod bombs;
mod differences;
mod documents;
mod edge;
mod keys;
mod mimir;
mod mutate;
mod node;
mod rules;
mod run;
mod runtime_config_page;
mod scalars;
mod schema;
mod shrink;
mod spelling;
mod stream;
mod values;
mod verdict;

use documents::Generator;
use mimir::RuntimeMimir;
use run::{Readers, run};

/// The default seed. It is fixed, so that chance fails no change.
const SEED: u64 = 1_796_000_415_013;
/// The default number of documents, or as many of them as this time allows: always the same ones, however fast the machine is.
const DOCUMENTS: u64 = 1_000;
const TIME: Duration = Duration::from_secs(20);

/// Generous: the machine may compile meanwhile.
const AT_WORST: Duration = Duration::from_secs(20);

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| unreachable!("{name} is {text:?}: write a whole number")))
}

/// The documents that a real Mimir was seen with: what is damaged is like them.
fn known() -> Vec<Vec<u8>> {
    let folder = fs::read_dir(repository().join("tests/golden/runtime-config")).expect("there are known documents");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a document can be read")).collect()
}

#[test]
fn edge_and_mimir_accept_and_reject_the_same_documents() {
    let seed = setting("SEED").unwrap_or(SEED);
    let generator = Generator::new(seed, known());
    let folder = tempdir().expect("a folder can be made");
    let mut readers = Readers::start(folder.path());
    let (numbers, time) = match (setting("DOCUMENT"), setting("DOCUMENTS")) {
        (Some(number), _) => (number..number + 1, Duration::MAX),
        (None, Some(count)) => (0..count, Duration::MAX),
        (None, None) => (0..DOCUMENTS, TIME),
    };
    if let Some(number) = setting("DOCUMENT") {
        eprintln!("{}", String::from_utf8_lossy(&generator.document(number).bytes));
    }
    let tally = run(&generator, &mut readers, seed, numbers, time);
    assert!(tally.differences.count() == 0, "SEED={seed}: they differ\n{}", tally.differences.report());
    if setting("DOCUMENT").is_none() && tally.documents >= 200 {
        let unseen: Vec<_> = generator.schema.kinds.keys().filter(|kind| !tally.wrong.contains_key(*kind)).collect();
        assert!(unseen.is_empty(), "SEED={seed}: no document was rejected for a wrong {unseen:?}");
    }
}

/// A configuration of Mimir's is small; what it can be blown up to is not.
#[test]
fn growing_documents_cost_no_more_than_in_mimir() {
    let folder = tempdir().expect("a folder can be made");
    let mut mimir = RuntimeMimir::start(&folder.path().join("mimir"), "document.yaml");
    let file = folder.path().join("document.yaml");
    for (what, text) in bombs::worst() {
        let theirs = mimir.verdict_on(text.as_bytes());
        let started = Instant::now();
        let ours = edge::verdict_on("document.yaml", text.as_bytes());
        let took = started.elapsed();
        eprintln!("{what}: {} bytes, {}, edge {took:.1?}, Mimir {:.1?}", text.len(), ours.word(), theirs.took);
        assert!(ours.agrees(&theirs.verdict), "{what}: edge {ours}, Mimir {}", theirs.verdict);
        assert!(took < AT_WORST, "{what}: {took:?}");
        fs::write(&file, &text).expect("a document can be written");
        assert_fits(what, &file);
    }
}

/// Reads a document in a process that can have 256 MiB, its program and its libraries included.
fn assert_fits(what: &str, file: &Path) {
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -v 262144; exec \"$0\" check \"$1\""]).arg(built("edgectl")).arg(file);
    let output = command.output().expect("edgectl runs");
    let code = output.status.code();
    assert!(matches!(code, Some(0..=2)), "{what}: {:?} {}", output.status, String::from_utf8_lossy(&output.stderr));
}
