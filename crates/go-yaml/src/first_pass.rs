//! The first pass: a document decoded into Go's `map[string]interface{}`, as yaml.v3's `decode.go` does it. Duplicate keys,
//! merges, aliases and tags end here.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::aliases::Count;
use crate::error::{Error, Fault};
use crate::graph::{Graph, Kind, NodeId, Tag};
use crate::node::Place;
use crate::resolve::{Core, resolve_tagged};
use crate::value::{Item, KeyId, Map, Value};

/// Faults of the collected kind that are told.
const MAX_COLLECTED: usize = 100;

/// Decodes the document; `None` if it has no root, or a null.
pub(crate) fn decode(graph: &Graph, source: usize) -> Result<Option<Map>, Error> {
    let mut decoder =
        Decoder { graph, source, count: Count::default(), following: HashSet::new(), collected: Vec::new() };
    let root = decoder.root()?;
    let go: Vec<_> = decoder.collected.iter_mut().map(|collected| std::mem::take(&mut collected.go)).collect();
    match decoder.collected.into_iter().next() {
        Some(Collected { fault, line, message, .. }) => Err(Error::collected(fault, line, message, &go)),
        None => Ok(root),
    }
}

struct Decoder<'g> {
    graph: &'g Graph,
    source: usize,
    count: Count,
    /// Aliases that are being followed.
    following: HashSet<NodeId>,
    collected: Vec<Collected>,
}

/// A fault after which Go goes on, to tell it with others; the first one is told in our words.
struct Collected {
    fault: Fault,
    line: u64,
    message: String,
    go: String,
}

type Merged = HashSet<KeyId>;

impl Decoder<'_> {
    fn root(&mut self) -> Result<Option<Map>, Error> {
        let Some(root) = self.graph.root else { return Ok(None) };
        // The document is a node of its own.
        self.count.node(1, 0)?;
        self.count.node(1, 0)?;
        let node = self.graph.get(root);
        match &node.kind {
            Kind::Mapping { .. } => {
                let mut map = Map::new(true);
                self.mapping(root, &mut map, None)?;
                Ok(Some(map))
            }
            Kind::Sequence(_) => Err(self.no_map(root, "!!seq", "is a list")),
            Kind::Scalar { .. } => match self.scalar(root)? {
                Value::Null => Ok(None),
                value => Err(self.no_map(root, &tagged(&value), "is a single value")),
            },
            Kind::Alias { .. } => Ok(None),
        }
    }

    fn no_map(&self, root: NodeId, found: &str, words: &str) -> Error {
        let line = self.graph.get(root).line;
        let go = format!("line {line}: cannot unmarshal {found} into map[string]interface {{}}");
        let message = format!("{words}: write overrides: with the tenants below it");
        Error::collected(Fault::Root, line, message, &[go])
    }

    fn place(&self, id: NodeId) -> Place {
        Place { line: self.graph.get(id).line, encoded_line: 0, source: self.source }
    }

    fn item(&mut self, id: NodeId) -> Result<Item, Error> {
        Ok(Item { place: self.place(id), value: self.value(id)? })
    }

    /// Decodes into `interface{}`.
    fn value(&mut self, id: NodeId) -> Result<Value, Error> {
        let node = self.graph.get(id);
        match &node.kind {
            Kind::Alias { of, .. } => {
                self.count.node(node.line, 0)?;
                self.follow(id, |decoder| decoder.value(*of))
            }
            Kind::Scalar { .. } => self.scalar(id),
            Kind::Sequence(items) => {
                self.count.node(node.line, 0)?;
                Ok(Value::List(items.iter().map(|item| self.item(*item)).collect::<Result<_, _>>()?))
            }
            Kind::Mapping { .. } => {
                self.count.node(node.line, 0)?;
                let mut map = Map::new(self.is_text_map(id));
                self.mapping(id, &mut map, None)?;
                Ok(Value::Map(map))
            }
        }
    }

    fn follow<R>(&mut self, id: NodeId, step: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        if !self.following.insert(id) {
            let node = self.graph.get(id);
            let Kind::Alias { name, .. } = &node.kind else { return step(self) };
            let message = format!("has an anchor {name} that contains an alias of itself: write the value out");
            let go = format_args!("anchor '{name}' value contains itself");
            return Err(Error::new(Fault::Alias, node.line, message, go));
        }
        self.count.enter_alias();
        let done = step(self);
        self.count.leave_alias();
        self.following.remove(&id);
        done
    }

    fn scalar(&mut self, id: NodeId) -> Result<Value, Error> {
        let node = self.graph.get(id);
        let Kind::Scalar { text, tag, quoted } = &node.kind else { return Ok(Value::Null) };
        self.count.node(node.line, text.len())?;
        let wrong = |found: &str, core: &str| {
            let message = format!("has the value {text} with the tag !!{core}, which it cannot have: remove the tag");
            let go = format_args!("cannot decode {found} `{text}` as a !!{core}");
            Error::new(Fault::Tag, node.line, message, go)
        };
        let core = match tag {
            Tag::Other => return Ok(Value::Text(Rc::clone(text))),
            Tag::None if *quoted => return Ok(Value::Text(Rc::clone(text))),
            Tag::None => None,
            Tag::Core(core) => Some(&**core),
        };
        match core {
            Some("str") => return Ok(Value::Text(Rc::clone(text))),
            Some("binary") => {
                let packed: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
                let bytes = STANDARD.decode(packed).map_err(|_| {
                    let message = "has a !!binary value that is no base64: write it as text";
                    Error::new(Fault::Tag, node.line, message, "!!binary value contains invalid base64 data")
                })?;
                return Ok(Value::Text(String::from_utf8_lossy(&bytes).into()));
            }
            _ => {}
        }
        let asked = match core {
            None => None,
            Some("int") => Some(Core::Int),
            Some("float") => Some(Core::Float),
            Some("bool") => Some(Core::Bool),
            Some("null") => Some(Core::Null),
            Some("timestamp") => Some(Core::Timestamp),
            Some("merge") if &**text != "<<" => return Err(wrong("!!str", "merge")),
            // A tag that is none of a scalar, or of nothing, makes it a text.
            Some(_) => return Ok(Value::Text(Rc::clone(text))),
        };
        resolve_tagged(text, asked).map_err(|found| wrong(found, core.unwrap_or_default()))
    }

    /// Whether Go makes it a map of texts: all of its keys are texts, or merges.
    fn is_text_map(&self, id: NodeId) -> bool {
        let Kind::Mapping { pairs } = &self.graph.get(id).kind else { return false };
        pairs.iter().all(|(key, _)| match &self.graph.get(self.graph.target(*key)).kind {
            Kind::Scalar { text, tag, quoted } => match tag {
                Tag::Core(core) => &**core == "str" || &**core == "merge",
                Tag::Other => false,
                Tag::None => *quoted || matches!(resolve_tagged(text, None), Ok(Value::Text(_))),
            },
            _ => false,
        })
    }

    fn is_merge(&self, id: NodeId) -> bool {
        match &self.graph.get(id).kind {
            Kind::Scalar { text, tag, quoted } => {
                &**text == "<<"
                    && (matches!(tag, Tag::Core(core) if &**core == "merge") || *tag == Tag::None && !quoted)
            }
            _ => false,
        }
    }

    /// Puts the entries of a mapping into a map. With `merged` it is merged into it, and what is in there is passed over.
    fn mapping(&mut self, id: NodeId, map: &mut Map, mut merged: Option<&mut Merged>) -> Result<(), Error> {
        let Kind::Mapping { pairs } = &self.graph.get(id).kind else { return Ok(()) };
        if self.find_duplicates(pairs) {
            return Ok(());
        }
        let mut merge = None;
        for (key, value) in pairs {
            if self.is_merge(*key) {
                merge = Some(*value);
                continue;
            }
            let Some(decoded) = self.key(*key, map.of_text)? else { continue };
            if let (Some(merged), Some(id)) = (merged.as_deref_mut(), decoded.key_id())
                && !merged.insert(id)
            {
                continue;
            }
            let item = self.item(*value)?;
            // A NaN finds no value under itself.
            let item = if decoded.key_id().is_none() { Item { value: Value::Null, ..item } } else { item };
            map.put(decoded, self.place(*key), item);
        }
        let Some(merge) = merge else { return Ok(()) };
        match merged {
            Some(merged) => self.merge(merge, map, merged),
            None => {
                let mut own = Merged::new();
                for (key, _) in pairs {
                    own.extend(self.value(*key)?.key_id());
                }
                self.merge(merge, map, &mut own)
            }
        }
    }

    fn find_duplicates(&mut self, pairs: &[(NodeId, NodeId)]) -> bool {
        let mut seen = HashMap::new();
        let mut found = false;
        for (key, _) in pairs {
            let node = self.graph.get(*key);
            let identity = match &node.kind {
                Kind::Scalar { text, .. } => (0, Rc::clone(text)),
                Kind::Sequence(_) => (1, Rc::from("")),
                Kind::Mapping { .. } => (2, Rc::from("")),
                Kind::Alias { name, .. } => (3, Rc::clone(name)),
            };
            let text = Rc::clone(&identity.1);
            let Some(first) = seen.insert(identity, node.line) else { continue };
            found = true;
            let go = format!("line {}: mapping key {text:?} already defined at line {first}", node.line);
            let message = format!("has the key {text} twice, first on line {first}: remove one");
            self.collect(Fault::Duplicate, node.line, message, go);
        }
        found
    }

    fn collect(&mut self, fault: Fault, line: u64, message: String, go: String) {
        if self.collected.len() < MAX_COLLECTED {
            self.collected.push(Collected { fault, line, message, go });
        }
    }

    /// `None` for a key that is left out with its value.
    fn key(&mut self, id: NodeId, is_text: bool) -> Result<Option<Value>, Error> {
        let target = self.graph.target(id);
        let node = self.graph.get(target);
        let is_scalar = matches!(node.kind, Kind::Scalar { .. });
        let value = self.value(id)?;
        match (is_text, &node.kind) {
            (true, Kind::Scalar { text, tag, .. }) => Ok(match value {
                Value::Null => None,
                Value::Text(decoded) if matches!(tag, Tag::Core(core) if &**core == "binary") => {
                    Some(Value::Text(decoded))
                }
                _ => Some(Value::Text(Rc::clone(text))),
            }),
            (true, kind) => {
                let found = if matches!(kind, Kind::Sequence(_)) { "!!seq" } else { "!!map" };
                let go = format!("line {}: cannot unmarshal {found} into string", node.line);
                self.collect(
                    Fault::Key,
                    node.line,
                    "has a key that is a list or a mapping: write it as text".to_owned(),
                    go,
                );
                Ok(None)
            }
            (false, _) if is_scalar => Ok(Some(value)),
            (false, _) => {
                let go = format!("invalid map key: {}", go_syntax(&value, 0));
                let message = "has a key that is a list or a mapping: write it as text";
                Err(Error::new(Fault::Key, node.line, message, go))
            }
        }
    }

    fn merge(&mut self, from: NodeId, map: &mut Map, merged: &mut Merged) -> Result<(), Error> {
        match &self.graph.get(from).kind {
            Kind::Sequence(items) => {
                for item in items {
                    self.merge_one(*item, map, merged)?;
                }
                Ok(())
            }
            _ => self.merge_one(from, map, merged),
        }
    }

    fn merge_one(&mut self, from: NodeId, map: &mut Map, merged: &mut Merged) -> Result<(), Error> {
        let target = self.graph.target(from);
        let line = self.graph.get(from).line;
        if !matches!(self.graph.get(target).kind, Kind::Mapping { .. }) {
            let message = "has a merge key `<<` with neither a mapping nor a list of mappings: write an alias of one";
            let go = "map merge requires map or sequence of maps as the value";
            return Err(Error::new(Fault::Merge, line, message, go));
        }
        self.count.node(line, 0)?;
        if from == target {
            return self.mapping(target, map, Some(merged));
        }
        self.follow(from, |decoder| {
            decoder.count.node(line, 0)?;
            decoder.mapping(target, map, Some(merged))
        })
    }
}

/// A value with its tag, as Go's errors show it.
fn tagged(value: &Value) -> String {
    let (tag, text) = match value {
        Value::Null => ("!!null", "null".to_owned()),
        Value::Bool(value) => ("!!bool", value.to_string()),
        Value::Int(value) => ("!!int", value.to_string()),
        Value::Float(value) => ("!!float", crate::encode::float(*value)),
        Value::Text(text) => ("!!str", text.to_string()),
        Value::Time(text) => ("!!timestamp", text.to_string()),
        Value::List(_) => return "!!seq".to_owned(),
        Value::Map(_) => return "!!map".to_owned(),
    };
    let text = if text.len() > 10 { format!("{}...", text.chars().take(7).collect::<String>()) } else { text };
    format!("{tag} `{text}`")
}

/// A value as `%#v` prints it.
fn go_syntax(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => crate::encode::float(*value),
        Value::Text(text) | Value::Time(text) => format!("{text:?}"),
        _ if depth > 2 => "…".to_owned(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().take(10).map(|item| go_syntax(&item.value, depth + 1)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Map(map) => {
            let key = if map.of_text { "string" } else { "interface {}" };
            let entries: Vec<_> = (map.entries.iter().take(10))
                .map(|(key, _, item)| format!("{}:{}", go_syntax(key, depth + 1), go_syntax(&item.value, depth + 1)))
                .collect();
            format!("map[{key}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
