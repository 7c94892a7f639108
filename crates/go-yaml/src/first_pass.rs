//! The first pass: decodes a document into Go's `map[string]interface{}`, as yaml.v3's `decode.go` does. Resolves merges,
//! aliases and tags, and rejects duplicate keys.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::aliases::AliasRatio;
use crate::error::{Error, ErrorKind};
use crate::graph::{Graph, Kind, NodeId, Tag};
use crate::node::Position;
use crate::resolve::resolve_tagged;
use crate::value::{Item, KeyId, Map, Value};

/// Errors in one `TypeError`.
const MAX_TYPE_ERRORS: usize = 100;

/// Decodes the document; `None` if it is empty or null.
pub(crate) fn decode(graph: &Graph, source: usize) -> Result<Option<Map>, Error> {
    let mut decoder =
        Decoder { graph, source, ratio: AliasRatio::default(), following: HashSet::new(), type_errors: Vec::new() };
    let root = decoder.root()?;
    let go: Vec<_> = decoder.type_errors.iter_mut().map(|error| std::mem::take(&mut error.go)).collect();
    match decoder.type_errors.into_iter().next() {
        Some(TypeError { kind, line, message, .. }) => Err(Error::unmarshal(kind, line, message, &go)),
        None => Ok(root),
    }
}

struct Decoder<'g> {
    graph: &'g Graph,
    source: usize,
    ratio: AliasRatio,
    /// Aliases that are being followed.
    following: HashSet<NodeId>,
    type_errors: Vec<TypeError>,
}

/// An error after which Go continues, to report it with others. Only the first has our message too.
struct TypeError {
    kind: ErrorKind,
    line: u64,
    message: String,
    go: String,
}

type MergedKeys = HashSet<KeyId>;

impl Decoder<'_> {
    fn root(&mut self) -> Result<Option<Map>, Error> {
        let Some(root) = self.graph.root else { return Ok(None) };
        // The document is a node of its own.
        self.ratio.node(1, 0)?;
        self.ratio.node(1, 0)?;
        let node = self.graph.get(root);
        match &node.kind {
            Kind::Mapping { .. } => {
                let mut map = Map::new(true);
                self.mapping(root, &mut map, None)?;
                Ok(Some(map))
            }
            Kind::Sequence(_) => Err(self.not_a_map(root, "!!seq", "is a list")),
            Kind::Scalar { .. } => match self.scalar(root)? {
                Value::Null => Ok(None),
                value => Err(self.not_a_map(root, &tagged(&value), "is a single value")),
            },
            Kind::Alias { .. } => Ok(None),
        }
    }

    fn not_a_map(&self, root: NodeId, found: &str, words: &str) -> Error {
        let line = self.graph.get(root).line;
        let go = format!("line {line}: cannot unmarshal {found} into map[string]interface {{}}");
        let message = format!("{words}: write overrides: with the tenants below it");
        Error::unmarshal(ErrorKind::Root, line, message, &[go])
    }

    fn position(&self, id: NodeId) -> Position {
        Position { line: self.graph.get(id).line, encoded_line: 0, source: self.source }
    }

    fn item(&mut self, id: NodeId) -> Result<Item, Error> {
        Ok(Item { position: self.position(id), value: self.value(id)? })
    }

    /// Decodes into `interface{}`.
    fn value(&mut self, id: NodeId) -> Result<Value, Error> {
        let node = self.graph.get(id);
        match &node.kind {
            Kind::Alias { of, .. } => {
                self.ratio.node(node.line, 0)?;
                self.follow_alias(id, |decoder| decoder.value(*of))
            }
            Kind::Scalar { .. } => self.scalar(id),
            Kind::Sequence(items) => {
                self.ratio.node(node.line, 0)?;
                Ok(Value::List(items.iter().map(|item| self.item(*item)).collect::<Result<_, _>>()?))
            }
            Kind::Mapping { .. } => {
                self.ratio.node(node.line, 0)?;
                let mut map = Map::new(self.has_string_keys(id));
                self.mapping(id, &mut map, None)?;
                Ok(Value::Map(map))
            }
        }
    }

    fn follow_alias<R>(&mut self, id: NodeId, step: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        if !self.following.insert(id) {
            let node = self.graph.get(id);
            let Kind::Alias { name, .. } = &node.kind else { return step(self) };
            return Err(Error::recursive_alias(node.line, name));
        }
        self.ratio.enter_alias();
        let done = step(self);
        self.ratio.leave_alias();
        self.following.remove(&id);
        done
    }

    fn scalar(&mut self, id: NodeId) -> Result<Value, Error> {
        let node = self.graph.get(id);
        let Kind::Scalar { text, tag, quoted } = &node.kind else { return Ok(Value::Null) };
        self.ratio.node(node.line, text.len())?;
        let wrong = |found: &str, core: &str| {
            let message = format!("has the value {text} with the tag !!{core}, which it cannot have: remove the tag");
            let go = format_args!("cannot decode {found} `{text}` as a !!{core}");
            Error::new(ErrorKind::Tag, node.line, message, go)
        };
        let core = match tag {
            Tag::Other => return Ok(Value::Text(Rc::clone(text))),
            Tag::None if *quoted => return Ok(Value::Text(Rc::clone(text))),
            Tag::None => None,
            Tag::Core(core) => Some(&**core),
        };
        match core {
            None => resolve_tagged(text, None),
            Some("binary") => {
                let packed: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
                let bytes = STANDARD.decode(packed).map_err(|_| {
                    let message = "has a !!binary value that is no base64: write it as text";
                    Error::new(ErrorKind::Tag, node.line, message, "!!binary value contains invalid base64 data")
                })?;
                return Ok(Value::Text(String::from_utf8_lossy(&bytes).into()));
            }
            Some(core @ ("int" | "float" | "bool" | "null" | "timestamp")) => {
                resolve_tagged(text, Some(&format!("!!{core}")))
            }
            Some("merge") if &**text != "<<" => Err("!!str"),
            // Go decodes a scalar with any other tag as a string.
            Some(_) => return Ok(Value::Text(Rc::clone(text))),
        }
        .map_err(|found| wrong(found, core.unwrap_or_default()))
    }

    /// Whether Go decodes it into `map[string]interface{}`: all keys are strings or merge keys.
    fn has_string_keys(&self, id: NodeId) -> bool {
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

    /// Puts the entries of a mapping into a map. With `merged` they are merged into it, without the keys in `merged`.
    fn mapping(&mut self, id: NodeId, map: &mut Map, mut merged: Option<&mut MergedKeys>) -> Result<(), Error> {
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
            let Some(decoded) = self.key(*key, map.string_keys)? else { continue };
            if let (Some(merged), Some(id)) = (merged.as_deref_mut(), decoded.key_id())
                && !merged.insert(id)
            {
                continue;
            }
            let item = self.item(*value)?;
            // A NaN finds no value under itself.
            let item = if decoded.key_id().is_none() { Item { value: Value::Null, ..item } } else { item };
            map.put(decoded, self.position(*key), item);
        }
        let Some(merge) = merge else { return Ok(()) };
        match merged {
            Some(merged) => self.merge(merge, map, merged),
            None => {
                let mut own = MergedKeys::new();
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
            self.add_type_error(ErrorKind::DuplicateKey, node.line, message, go);
        }
        found
    }

    fn add_type_error(&mut self, kind: ErrorKind, line: u64, message: String, go: String) {
        if self.type_errors.len() < MAX_TYPE_ERRORS {
            self.type_errors.push(TypeError { kind, line, message, go });
        }
    }

    /// `None` for a key that Go skips.
    fn key(&mut self, id: NodeId, string_keys: bool) -> Result<Option<Value>, Error> {
        let target = self.graph.target(id);
        let node = self.graph.get(target);
        let is_scalar = matches!(node.kind, Kind::Scalar { .. });
        let value = self.value(id)?;
        let message = "has a key that is a list or a mapping: write it as text";
        match (string_keys, &node.kind) {
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
                self.add_type_error(ErrorKind::Key, node.line, message.to_owned(), go);
                Ok(None)
            }
            (false, _) if is_scalar => Ok(Some(value)),
            (false, _) => {
                let go = format!("invalid map key: {}", go_syntax(&value, 0));
                Err(Error::new(ErrorKind::Key, node.line, message, go))
            }
        }
    }

    fn merge(&mut self, from: NodeId, map: &mut Map, merged: &mut MergedKeys) -> Result<(), Error> {
        match &self.graph.get(from).kind {
            Kind::Sequence(items) => items.iter().try_for_each(|item| self.merge_one(*item, map, merged)),
            _ => self.merge_one(from, map, merged),
        }
    }

    fn merge_one(&mut self, from: NodeId, map: &mut Map, merged: &mut MergedKeys) -> Result<(), Error> {
        let target = self.graph.target(from);
        let line = self.graph.get(from).line;
        if !matches!(self.graph.get(target).kind, Kind::Mapping { .. }) {
            let message = "has a merge key `<<` with neither a mapping nor a list of mappings: write an alias of one";
            let go = "map merge requires map or sequence of maps as the value";
            return Err(Error::new(ErrorKind::Merge, line, message, go));
        }
        self.ratio.node(line, 0)?;
        if from == target {
            return self.mapping(target, map, Some(merged));
        }
        self.follow_alias(from, |decoder| {
            decoder.ratio.node(line, 0)?;
            decoder.mapping(target, map, Some(merged))
        })
    }
}

/// A value with its tag as in Go's errors.
fn tagged(value: &Value) -> String {
    let tag = match value {
        Value::Null => "!!null",
        Value::Bool(_) => "!!bool",
        Value::Int(_) => "!!int",
        Value::Float(_) => "!!float",
        Value::Text(_) => "!!str",
        Value::Timestamp(_) => "!!timestamp",
        Value::List(_) => return "!!seq".to_owned(),
        Value::Map(_) => return "!!map".to_owned(),
    };
    let text = crate::encode::scalar(value).text;
    let shown =
        if text.len() > 10 { format!("{}...", text.chars().take(7).collect::<String>()) } else { text.to_string() };
    format!("{tag} `{shown}`")
}

/// A value as `%#v` prints it.
fn go_syntax(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => crate::encode::scalar(value).text.to_string(),
        Value::Text(text) | Value::Timestamp(text) => format!("{text:?}"),
        _ if depth > 2 => "…".to_owned(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().take(10).map(|item| go_syntax(&item.value, depth + 1)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Map(map) => {
            let key = if map.string_keys { "string" } else { "interface {}" };
            let entries: Vec<_> = (map.entries.iter().take(10))
                .map(|(key, _, item)| format!("{}:{}", go_syntax(key, depth + 1), go_syntax(&item.value, depth + 1)))
                .collect();
            format!("map[{key}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
