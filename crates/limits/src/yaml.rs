//! YAML and JSON text as a tree that remembers lines: the one module that knows the YAML library.
//!
//! Scalars keep their text, because what a text means depends on the field that reads it (`crate::value`). Aliases share
//! the node they name, and merge keys (`<<`) are resolved here by yaml.v3's rule: an own key beats a merged one, and of
//! several merged mappings the first one wins. Keys that occur twice are reported beside the tree, since Mimir's
//! documents and flat ones treat them differently.
//!
//! The tree is bounded: nodes, merged entries, depth and the text that aliases repeat each have a cap, so a small text cannot become a large tree, nor
//! large limits: each tenant has a copy of what it says by an alias.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Nodes and merged entries of one tree. A tenant with ten fields takes about 21.
const MAX_NODES: usize = 4_000_000;
/// Bytes of text that aliases repeat.
const MAX_REPEATED_BYTES: usize = 64 * 1024 * 1024;
/// Collections inside each other.
const MAX_DEPTH: usize = 64;
/// Repeated keys that are reported.
const MAX_DUPLICATES: usize = 100;

/// A value with the line it begins on, counted from 1.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) content: Content,
    /// Of text in it, aliases followed.
    bytes: usize,
}

#[derive(Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

/// A scalar's text as the document has it.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    /// Without quotes, block style or `!!str`: may be a number, a bool or null. With them it is text.
    pub(crate) plain: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    /// Where the key is, or where the mapping was merged in.
    pub(crate) line: u64,
    pub(crate) value: Rc<Node>,
}

/// A key that a mapping has twice.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) key: Rc<str>,
    pub(crate) line: u64,
    pub(crate) first_line: u64,
    /// How many collections it is inside of; 1 for a key of the document itself.
    pub(crate) depth: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// `None` for a text without any node.
    pub(crate) root: Option<Rc<Node>>,
    pub(crate) duplicates: Vec<Duplicate>,
    /// The line where a second document begins, which is not read.
    pub(crate) second_document: Option<u64>,
}

/// Why a text has no tree; line 0 is the whole document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) line: u64,
    pub(crate) message: String,
}

impl YamlError {
    fn new(line: u64, message: impl Into<String>) -> Self {
        YamlError { line, message: message.into() }
    }
}

/// Reads one YAML document, of which JSON is a part. Whatever a second one holds is not looked at: Go's decoder, and so
/// Mimir, stops where it begins.
///
/// # Errors
/// A syntax error, an alias into itself, a key or merge that is no scalar or mapping, or a cap.
pub(crate) fn parse(text: &str) -> Result<Tree, YamlError> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            YamlError::new(line(error.marker().line()), format!("is no valid YAML: {}", error.info()))
        })?;
        if matches!(event, Event::DocumentStart(..)) {
            if builder.documents > 0 {
                builder.tree.second_document = Some(line(span.start.line()));
                break;
            }
            builder.documents += 1;
        }
        builder.take(event, span)?;
    }
    Ok(builder.tree)
}

#[derive(Default)]
struct Builder {
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: usize,
    nodes: usize,
    repeated_bytes: usize,
}

/// A collection whose end has not come yet.
struct Open {
    line: u64,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, merges: Vec<Entry>, key: Option<Key> },
}

struct Key {
    text: Rc<str>,
    line: u64,
    merge: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = line(span.start.line());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = match tag.as_deref().and_then(granit_parser::Tag::core_suffix) {
                    Some("str" | "binary") => false,
                    Some("int" | "float" | "bool" | "null") => true,
                    _ => style == ScalarStyle::Plain,
                };
                let scalar = Scalar { text: text.as_ref().into(), plain };
                self.add(anchor, line, Content::Scalar(scalar))?;
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| {
                    YamlError::new(line, "an anchor contains an alias of itself: write the value out")
                })?;
                self.count(1, line)?;
                self.repeat(node.bytes, line)?;
                self.attach(node, line)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, Kind::Sequence(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                self.begin(line, anchor, Kind::Mapping { entries: Vec::new(), merges: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, line: u64) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(too_large(line)) } else { Ok(()) }
    }

    fn repeat(&mut self, bytes: usize, line: u64) -> Result<(), YamlError> {
        self.repeated_bytes = self.repeated_bytes.saturating_add(bytes);
        if self.repeated_bytes > MAX_REPEATED_BYTES { Err(too_large(line)) } else { Ok(()) }
    }

    fn begin(&mut self, line: u64, anchor: usize, kind: Kind) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError::new(line, format!("the document is nested more than {MAX_DEPTH} deep: flatten it")));
        }
        self.open.push(Open { line, anchor, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let depth = self.open.len();
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.kind {
            Kind::Sequence(items) => Content::Sequence(items),
            Kind::Mapping { entries, merges, .. } => {
                self.find_duplicates(&entries, &merges, depth);
                Content::Mapping(self.merge(entries, merges)?)
            }
        };
        self.add(open.anchor, open.line, content)
    }

    fn add(&mut self, anchor: usize, line: u64, content: Content) -> Result<(), YamlError> {
        self.count(1, line)?;
        let bytes = content.bytes();
        let node = Rc::new(Node { line, content, bytes });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, line)
    }

    /// Puts a finished node where the open collection wants it: an item, a key or the value of a key.
    fn attach(&mut self, node: Rc<Node>, line: u64) -> Result<(), YamlError> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.tree.root = Some(node),
            Some(Kind::Sequence(items)) => items.push(node),
            Some(Kind::Mapping { entries, merges, key }) => match key.take() {
                Some(Key { text, line, merge }) => {
                    let list = if merge { merges } else { entries };
                    list.push(Entry { key: text, line, value: node });
                }
                None => *key = Some(read_key(&node, line)?),
            },
        }
        Ok(())
    }

    fn find_duplicates(&mut self, entries: &[Entry], merges: &[Entry], depth: usize) {
        let mut seen = HashMap::new();
        for entry in entries.iter().chain(merges) {
            let first_line = *seen.entry(&entry.key).or_insert(entry);
            if !std::ptr::eq(first_line, entry) && self.tree.duplicates.len() < MAX_DUPLICATES {
                let (key, line, first_line) = (Rc::clone(&entry.key), entry.line, first_line.line);
                self.tree.duplicates.push(Duplicate { key, line, first_line, depth });
            }
        }
    }

    fn merge(&mut self, mut entries: Vec<Entry>, merges: Vec<Entry>) -> Result<Vec<Entry>, YamlError> {
        if merges.is_empty() {
            return Ok(entries);
        }
        let mut known: HashSet<Rc<str>> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
        for Entry { line, value, .. } in merges {
            for merged in merged_entries(&value, line)? {
                self.count(merged.len(), line)?;
                for entry in merged {
                    if known.insert(Rc::clone(&entry.key)) {
                        entries.push(Entry { line, ..entry.clone() });
                    }
                }
            }
        }
        Ok(entries)
    }
}

impl Content {
    /// Of text in it, where that of its parts is known.
    fn bytes(&self) -> usize {
        match self {
            Content::Scalar(scalar) => scalar.text.len(),
            Content::Sequence(items) => items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes)),
            Content::Mapping(entries) => entries
                .iter()
                .fold(0, |sum, Entry { key, value, .. }| sum.saturating_add(key.len()).saturating_add(value.bytes)),
        }
    }
}

fn too_large(line: u64) -> YamlError {
    YamlError::new(line, "the document is too large once its aliases are followed: use fewer of them")
}

/// The mappings that a merge key names.
fn merged_entries(value: &Node, line: u64) -> Result<Vec<&Vec<Entry>>, YamlError> {
    let error = || {
        YamlError::new(line, "the merge key `<<` has neither a mapping nor a list of mappings: write an alias of one")
    };
    match &value.content {
        Content::Mapping(entries) => Ok(vec![entries]),
        Content::Sequence(items) => items
            .iter()
            .map(|item| match &item.content {
                Content::Mapping(entries) => Ok(entries),
                _ => Err(error()),
            })
            .collect(),
        Content::Scalar(_) => Err(error()),
    }
}

fn read_key(node: &Node, line: u64) -> Result<Key, YamlError> {
    match &node.content {
        Content::Scalar(scalar) => {
            Ok(Key { text: Rc::from(&*scalar.text), line, merge: scalar.plain && &*scalar.text == "<<" })
        }
        _ => Err(YamlError::new(line, "a key is a list or a mapping: write it as text")),
    }
}

fn line(line: usize) -> u64 {
    u64::try_from(line).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
