//! The differences of the two readers by class: one cause makes many documents differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::documents::Document;
use super::edge;
use super::mimir::RuntimeMimir;
use super::shrink::shrink;
use super::verdict::Verdict;

/// So many classes have their first document made small.
const SHRUNK: usize = 12;
const TRIES: u32 = 80;
const SHOWN_BYTES: usize = 1_500;

/// The classes seen so far.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    classes: BTreeMap<String, Class>,
}

#[derive(Debug)]
struct Class {
    documents: Vec<u64>,
    /// The first one, made small, with what both say of it.
    shown: String,
}

/// Both verdicts on a document, with the words for them.
struct Both {
    ours: Verdict,
    theirs: Verdict,
    problems: String,
    reason: String,
}

impl Both {
    fn of(mimir: &mut RuntimeMimir, name: &str, document: &[u8]) -> Self {
        let theirs = mimir.verdict_on(document).verdict;
        let reason = if theirs == Verdict::Rejected { mimir.reason(document) } else { String::new() };
        let ours = edge::verdict_on(name, document);
        let problems = if ours == Verdict::Rejected { edge::problems(name, document) } else { String::new() };
        Self { ours, theirs, problems, reason }
    }

    /// What documents of one cause have in common; `None` where both agree.
    fn class(&self) -> Option<String> {
        let differ = !self.ours.agrees(&self.theirs);
        let words = format!("edge {}, Mimir {}", self.ours.word(), self.theirs.word());
        differ.then(|| format!("{words}: {}{}", without_names(&self.reason), without_names(&self.problems)))
    }
}

impl Differences {
    pub(crate) fn count(&self) -> usize {
        self.classes.values().map(|class| class.documents.len()).sum()
    }

    /// Notes a document about which the readers seemed to differ, and keeps it whole.
    pub(crate) fn add(&mut self, seed: u64, document: &Document, mimir: &mut RuntimeMimir, name: &str) {
        save(seed, document);
        let both = Both::of(mimir, name, &document.bytes);
        let class = both.class().unwrap_or_else(|| "not again: one of them does not always say the same".to_owned());
        let is_shrunk = self.classes.len() < SHRUNK && !document.compressed;
        let entry = self.classes.entry(class.clone()).or_insert_with(|| {
            let mut small = document.bytes.clone();
            if is_shrunk {
                small =
                    shrink(&small, TRIES, |smaller| Both::of(mimir, name, smaller).class().as_ref() == Some(&class));
            }
            let both = Both::of(mimir, name, &small);
            Class { documents: Vec::new(), shown: show(document, &small, &both) }
        });
        entry.documents.push(document.number);
    }

    /// All of them, the most frequent first.
    pub(crate) fn report(&self) -> String {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(_, class)| std::cmp::Reverse(class.documents.len()));
        let line = |(key, Class { documents, shown }): &(&String, &Class)| {
            format!("==== {} documents {:?}: {key}\n{shown}\n", documents.len(), &documents[..documents.len().min(10)])
        };
        classes.iter().map(line).collect()
    }
}

/// A message without what differs from document to document: numbers, and what is quoted.
fn without_names(message: &str) -> String {
    let mut kept = String::new();
    let mut quote = None;
    for character in message.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => {
                kept.push('_');
                quote = Some(character);
            }
            (None, digit) if digit.is_ascii_digit() => {}
            (None, other) => kept.push(other),
        }
    }
    kept.lines().take(3).collect::<Vec<_>>().join(" | ")
}

fn show(document: &Document, small: &[u8], both: &Both) -> String {
    let Document { theme, compressed, .. } = document;
    let Both { ours, theirs, problems, reason } = both;
    let kind = if *compressed { ", compressed" } else { "" };
    let escaped: String = small.iter().take(SHOWN_BYTES).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
    let readable = std::str::from_utf8(small).ok().filter(|text| text.len() < SHOWN_BYTES);
    let readable = readable.map(|text| format!("{text}\n")).unwrap_or_default();
    format!("({theme}{kind}) {escaped}\n{readable}Mimir: {theirs}\n  {reason}\nedge: {ours}\n  {problems}\n")
}

fn save(seed: u64, document: &Document) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("verdicts");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let extension = if document.compressed { "yaml.gz" } else { "yaml" };
    let name = format!("{seed}-{}.{extension}", document.number);
    fs::write(folder.join(name), &document.bytes).expect("a document can be written");
}
