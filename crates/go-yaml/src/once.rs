//! A document that is decoded once, strictly, into types: Mimir's main configuration, and documents of the edge's own.
//!
//! Merge keys (`<<`) are resolved by yaml.v3's rule: an own key beats a merged one, and of several merged mappings the first
//! one wins. Keys that occur twice are reported beside the tree, since not all documents treat them alike.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::error::{Error, Fault};
use crate::graph::{Graph, Kind, NodeId, Tag};
use crate::node::{Content, Entry, Node, Place, Scalar, merged_entries};
use crate::resolve::is_null;

/// Nodes of a tree once its aliases are followed.
const MAX_NODES: usize = 4_000_000;
/// Bytes of text of a tree once its aliases are followed.
const MAX_BYTES: usize = 64 << 20;
/// Repeated keys that are reported.
const MAX_DUPLICATES: usize = 100;

/// A key that a mapping has twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key's text.
    pub key: Rc<str>,
    /// The line of the second one.
    pub line: u64,
    /// The line of the first one.
    pub first_line: u64,
    /// How many collections it is inside of; 1 for a key of the document itself.
    pub depth: usize,
}

/// A document as a tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// `None` for a text without any node.
    pub root: Option<Rc<Node>>,
    /// Keys that are there twice, some hundred of them.
    pub duplicates: Vec<Duplicate>,
    /// The line where a second document begins, which is not read.
    pub second_document: Option<u64>,
}

pub(crate) fn decode(graph: &Graph) -> Result<Tree, Error> {
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
    /// What anchors may name, `None` while it is being built.
    built: HashMap<NodeId, Option<(Rc<Node>, Size)>>,
    /// Of all that was built.
    size: Size,
    duplicates: Vec<Duplicate>,
}

impl Builder<'_> {
    fn node(&mut self, id: NodeId, depth: usize) -> Result<Rc<Node>, Error> {
        let node = self.graph.get(id);
        let before = self.size;
        let content = match &node.kind {
            Kind::Alias { name, of } => return self.aliased(node.line, name, *of),
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
        let place = Place { line: node.line, encoded_line: 0, source: 0 };
        let built = Rc::new(Node { place, content });
        let size = Size { nodes: self.size.nodes - before.nodes, bytes: self.size.bytes - before.bytes };
        self.built.insert(id, Some((Rc::clone(&built), size)));
        Ok(built)
    }

    fn begin(&mut self, id: NodeId, line: u64) -> Result<(), Error> {
        self.built.insert(id, None);
        self.grow(line, Size { nodes: 1, bytes: 0 })
    }

    fn aliased(&mut self, line: u64, name: &str, of: NodeId) -> Result<Rc<Node>, Error> {
        match self.built.get(&of) {
            Some(Some((built, size))) => {
                let (built, size) = (Rc::clone(built), *size);
                self.grow(line, size)?;
                Ok(built)
            }
            _ => {
                let message = format!("has an anchor {name} that contains an alias of itself: write the value out");
                let go = format_args!("anchor '{name}' value contains itself");
                Err(Error::new(Fault::Alias, line, message, go))
            }
        }
    }

    fn grow(&mut self, line: u64, by: Size) -> Result<(), Error> {
        self.size.nodes = self.size.nodes.saturating_add(by.nodes);
        self.size.bytes = self.size.bytes.saturating_add(by.bytes);
        if self.size.nodes <= MAX_NODES && self.size.bytes <= MAX_BYTES {
            return Ok(());
        }
        let message = "is too large once its aliases are followed: use fewer of them";
        Err(Error::new(Fault::TooLarge, line, message, "document contains excessive aliasing"))
    }

    fn mapping(&mut self, pairs: &[(NodeId, NodeId)], depth: usize) -> Result<Vec<Entry>, Error> {
        let (mut entries, mut merges) = (Vec::with_capacity(pairs.len()), Vec::new());
        for (key, value) in pairs {
            let (text, is_merge, is_null) = self.key(*key)?;
            let place = Place { line: self.graph.get(*key).line, encoded_line: 0, source: 0 };
            let value = self.node(*value, depth + 1)?;
            let list = if is_merge { &mut merges } else { &mut entries };
            list.push(Entry { key: text, is_null, place, value });
        }
        self.find_duplicates(&entries, &merges, depth);
        self.merge(entries, merges)
    }

    /// The key's text, and whether it is a merge, or a null.
    fn key(&mut self, id: NodeId) -> Result<(Rc<str>, bool, bool), Error> {
        let node = self.graph.get(self.graph.target(id));
        let Kind::Scalar { text, tag, quoted } = &node.kind else {
            let message = "has a key that is a list or a mapping: write it as text";
            return Err(Error::new(Fault::Key, node.line, message, "invalid map key"));
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
                let (line, first_line) = (entry.place.line, first.place.line);
                self.duplicates.push(Duplicate { key: Rc::clone(&entry.key), line, first_line, depth });
            }
        }
    }

    fn merge(&mut self, mut entries: Vec<Entry>, merges: Vec<Entry>) -> Result<Vec<Entry>, Error> {
        if merges.is_empty() {
            return Ok(entries);
        }
        let mut known: HashSet<Rc<str>> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
        for Entry { place, value, .. } in merges {
            let message = "has a merge key `<<` with neither a mapping nor a list of mappings: write an alias of one";
            for merged in merged_entries(&value, place.line, message)? {
                self.grow(place.line, Size { nodes: merged.len(), bytes: 0 })?;
                for entry in merged {
                    if known.insert(Rc::clone(&entry.key)) {
                        entries.push(Entry { place, ..entry.clone() });
                    }
                }
            }
        }
        Ok(entries)
    }
}
