//! A document that is decoded in one pass into types: Mimir's main configuration, and the edge's own documents.
//!
//! Merge keys (`<<`) follow yaml.v3: an own key overrides a merged one, and of several merged mappings the first wins.
//! Duplicate keys are reported apart from the tree, since not all documents treat them alike.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::error::{Error, ErrorKind};
use crate::graph::{Graph, Kind, NodeId, Tag};
use crate::node::{Content, Entry, Node, Position, Scalar, merged_entries};
use crate::resolve::is_null;

/// Nodes of a tree with its aliases expanded.
const MAX_NODES: usize = 4_000_000;
/// Bytes of text of a tree with its aliases expanded.
const MAX_BYTES: usize = 64 << 20;
/// Duplicate keys that are reported.
const MAX_DUPLICATES: usize = 100;

/// A key that occurs twice in a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The key's text.
    pub key: Rc<str>,
    /// The line of the second occurrence.
    pub line: u64,
    /// The line of the first occurrence.
    pub first_line: u64,
    /// The nesting depth; 1 for a key at the root.
    pub depth: usize,
}

/// A document as a tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// `None` for a document without a node.
    pub root: Option<Rc<Node>>,
    /// Duplicate keys, at most a hundred.
    pub duplicates: Vec<DuplicateKey>,
    /// The line of a second document, which is ignored.
    pub second_document: Option<u64>,
}

pub(crate) fn build(graph: &Graph) -> Result<Tree, Error> {
    let mut builder = Builder { graph, built: HashMap::new(), size: Size::default(), duplicates: Vec::new() };
    let root = graph.root.map(|root| builder.node(root, 1)).transpose()?;
    Ok(Tree { root, duplicates: builder.duplicates, second_document: graph.second_document })
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

struct Builder<'g> {
    graph: &'g Graph,
    /// The targets of anchors; `None` while one is being built.
    built: HashMap<NodeId, Option<(Rc<Node>, Size)>>,
    /// The size of the whole tree so far.
    size: Size,
    duplicates: Vec<DuplicateKey>,
}

impl Builder<'_> {
    fn node(&mut self, id: NodeId, depth: usize) -> Result<Rc<Node>, Error> {
        let node = self.graph.get(id);
        let before = self.size;
        let content = match &node.kind {
            Kind::Alias { name, of } => return self.alias(node.line, name, *of),
            Kind::Scalar { text, tag, quoted } => {
                self.grow(node.line, Size { nodes: 1, bytes: text.len() })?;
                let plain = match tag {
                    Tag::None => !quoted,
                    Tag::Core(core) => !matches!(&**core, "str" | "binary"),
                    Tag::Other => false,
                };
                Content::Scalar(Scalar { text: Rc::clone(text), plain })
            }
            Kind::Sequence(items) => {
                self.begin(id, node.line)?;
                Content::Sequence(items.iter().map(|item| self.node(*item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Kind::Mapping { pairs } => {
                self.begin(id, node.line)?;
                Content::Mapping(self.mapping(pairs, depth)?)
            }
        };
        let position = Position { line: node.line, encoded_line: 0, source: 0 };
        let built = Rc::new(Node { position, content });
        let size = Size { nodes: self.size.nodes - before.nodes, bytes: self.size.bytes - before.bytes };
        self.built.insert(id, Some((Rc::clone(&built), size)));
        Ok(built)
    }

    fn begin(&mut self, id: NodeId, line: u64) -> Result<(), Error> {
        self.built.insert(id, None);
        self.grow(line, Size { nodes: 1, bytes: 0 })
    }

    fn alias(&mut self, line: u64, name: &str, of: NodeId) -> Result<Rc<Node>, Error> {
        match self.built.get(&of) {
            Some(Some((built, size))) => {
                let (built, size) = (Rc::clone(built), *size);
                self.grow(line, size)?;
                Ok(built)
            }
            _ => Err(Error::recursive_alias(line, name)),
        }
    }

    fn grow(&mut self, line: u64, by: Size) -> Result<(), Error> {
        self.size.nodes = self.size.nodes.saturating_add(by.nodes);
        self.size.bytes = self.size.bytes.saturating_add(by.bytes);
        if self.size.nodes <= MAX_NODES && self.size.bytes <= MAX_BYTES {
            return Ok(());
        }
        Err(Error::expanded_too_large(line))
    }

    fn mapping(&mut self, pairs: &[(NodeId, NodeId)], depth: usize) -> Result<Vec<Entry>, Error> {
        let (mut entries, mut merges) = (Vec::with_capacity(pairs.len()), Vec::new());
        for (key, value) in pairs {
            let (text, is_merge, is_null) = self.key(*key)?;
            let position = Position { line: self.graph.get(*key).line, encoded_line: 0, source: 0 };
            let value = self.node(*value, depth + 1)?;
            let list = if is_merge { &mut merges } else { &mut entries };
            list.push(Entry { key: text, is_null, position, value });
        }
        self.find_duplicates(&entries, &merges, depth);
        self.merge(entries, merges)
    }

    /// The key's text, whether it is a merge key, and whether it is null.
    fn key(&mut self, id: NodeId) -> Result<(Rc<str>, bool, bool), Error> {
        let node = self.graph.get(self.graph.target(id));
        let Kind::Scalar { text, tag, quoted } = &node.kind else {
            let message = "has a key that is a list or a mapping: write it as text";
            return Err(Error::new(ErrorKind::Key, node.line, message, "invalid map key"));
        };
        self.grow(node.line, Size { nodes: 1, bytes: text.len() })?;
        let is_plain = *tag == Tag::None && !quoted;
        let is_null = is_plain && is_null(text);
        Ok((Rc::clone(text), is_plain && &**text == "<<", is_null))
    }

    fn find_duplicates(&mut self, entries: &[Entry], merges: &[Entry], depth: usize) {
        let mut seen = HashMap::new();
        for entry in entries.iter().chain(merges) {
            let first = *seen.entry(&entry.key).or_insert(entry);
            if !std::ptr::eq(first, entry) && self.duplicates.len() < MAX_DUPLICATES {
                let (line, first_line) = (entry.position.line, first.position.line);
                self.duplicates.push(DuplicateKey { key: Rc::clone(&entry.key), line, first_line, depth });
            }
        }
    }

    fn merge(&mut self, mut entries: Vec<Entry>, merges: Vec<Entry>) -> Result<Vec<Entry>, Error> {
        if merges.is_empty() {
            return Ok(entries);
        }
        let mut known: HashSet<Rc<str>> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
        for Entry { position, value, .. } in merges {
            let message = "has a merge key `<<` with neither a mapping nor a list of mappings: write an alias of one";
            for merged in merged_entries(&value, position.line, message)? {
                self.grow(position.line, Size { nodes: merged.len(), bytes: 0 })?;
                let new = merged.iter().filter(|entry| known.insert(Rc::clone(&entry.key)));
                entries.extend(new.map(|entry| Entry { position, ..entry.clone() }));
            }
        }
        Ok(entries)
    }
}
