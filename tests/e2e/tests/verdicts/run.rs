//! Gives documents to both readers, and compares the verdicts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::report;

use super::differences::Differences;
use super::documents::{Document, Generator};
use super::edge;
use super::mimir::{RuntimeMimir, TimedVerdict};
use super::verdict::Verdict;

const PLAIN: &str = "document.yaml";
const COMPRESSED: &str = "document.yaml.gz";

/// Two Mimirs: the file name says whether it is compressed.
pub(crate) struct Readers {
    plain: RuntimeMimir,
    compressed: RuntimeMimir,
}

impl Readers {
    pub(crate) fn start(folder: &Path) -> Self {
        Self {
            plain: RuntimeMimir::start(&folder.join("plain"), PLAIN),
            compressed: RuntimeMimir::start(&folder.join("compressed"), COMPRESSED),
        }
    }

    fn of(&mut self, compressed: bool) -> (&mut RuntimeMimir, &'static str) {
        if compressed { (&mut self.compressed, COMPRESSED) } else { (&mut self.plain, PLAIN) }
    }
}

/// What was seen of the documents of a theme.
#[derive(Debug, Default)]
struct Seen {
    accepted: u32,
    rejected: u32,
    died: u32,
    different: u32,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) documents: u64,
    themes: BTreeMap<&'static str, Seen>,
    /// How many documents Mimir rejected that have one wrong value of a kind.
    pub(crate) wrong: BTreeMap<String, u32>,
    pub(crate) differences: Differences,
    mimir: Duration,
    ours: Duration,
    /// The document that took the edge longest, and Mimir for the same.
    slowest: (u64, Duration, Duration),
}

impl Tally {
    /// Puts one document to both.
    pub(crate) fn compare(&mut self, readers: &mut Readers, seed: u64, document: &Document) {
        let (mimir, name) = readers.of(document.compressed);
        let TimedVerdict { verdict: theirs, took } = mimir.verdict_on(&document.bytes);
        let started = Instant::now();
        let ours = edge::verdict_on(name, &document.bytes);
        self.time(document.number, started.elapsed(), took);
        self.count(document, &theirs);
        if ours.agrees(&theirs) {
            return;
        }
        self.themes.entry(document.theme).or_default().different += 1;
        self.differences.add(seed, document, mimir, name);
    }

    fn time(&mut self, number: u64, ours: Duration, mimir: Duration) {
        self.documents += 1;
        self.ours += ours;
        self.mimir += mimir;
        if ours > self.slowest.1 {
            self.slowest = (number, ours, mimir);
        }
    }

    fn count(&mut self, document: &Document, theirs: &Verdict) {
        let seen = self.themes.entry(document.theme).or_default();
        match theirs {
            Verdict::Accepted(_) => seen.accepted += 1,
            Verdict::Rejected => seen.rejected += 1,
            Verdict::Died => seen.died += 1,
        }
        if let (Some(kind), Verdict::Rejected) = (&document.wrong, theirs) {
            *self.wrong.entry(kind.clone()).or_default() += 1;
        }
    }

    /// Prints the figures of a run, also when the test passes.
    pub(crate) fn print(&self, seed: u64, started: Instant) {
        let Self { documents, themes, mimir, ours, slowest: (number, slow, of_mimir), .. } = self;
        let mut text = String::from("\n accepted rejected died different\n");
        for (theme, Seen { accepted, rejected, died, different }) in themes {
            text += &format!("{accepted:>9} {rejected:>7} {died:>4} {different:>9} {theme}\n");
        }
        text += &format!(
            "{documents} documents of SEED={seed} in {:.1?}: {} differ; {} kinds of fields were rejected for a wrong value\n\
             the edge took {ours:.1?} for them, Mimir {mimir:.1?} at most; the slowest (document {number}) {slow:.1?}, Mimir {of_mimir:.1?}",
            started.elapsed(),
            self.differences.count(),
            self.wrong.len()
        );
        report(&text);
    }
}

/// The documents of a seed, one after the other, until there are enough or the time is over.
pub(crate) fn run(
    generator: &Generator,
    readers: &mut Readers,
    seed: u64,
    numbers: Range<u64>,
    time: Duration,
) -> Tally {
    let (mut tally, started) = (Tally::default(), Instant::now());
    for number in numbers {
        if started.elapsed() > time {
            break;
        }
        tally.compare(readers, seed, &generator.document(number));
    }
    tally.print(seed, started);
    tally
}
