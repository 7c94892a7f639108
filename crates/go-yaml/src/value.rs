//! The values of the first pass: Go's `interface{}`.

use std::collections::HashMap;
use std::rc::Rc;

use crate::node::Position;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) position: Position,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    /// In RFC 3339.
    Timestamp(Rc<str>),
    List(Vec<Item>),
    Map(Map),
}

/// Entries of a map without an index. A tenant's map has fewer, and an index would be as large as the map.
const MAX_LINEAR_SEARCH: usize = 16;

/// Go's `map[string]interface{}` or `map[interface{}]interface{}`, which has no list or map as a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) string_keys: bool,
    pub(crate) entries: Vec<(Value, Position, Item)>,
    /// The index of each key, of a map with many entries.
    indices: HashMap<KeyId, usize>,
}

/// The identity of a key. NaN has none, since it does not equal itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyId {
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(Rc<str>),
    Timestamp(Rc<str>),
}

impl Value {
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        match self {
            Value::Null => Some(KeyId::Null),
            Value::Bool(value) => Some(KeyId::Bool(*value)),
            Value::Int(value) => Some(KeyId::Int(*value)),
            Value::Float(value) if value.is_nan() => None,
            // -0 equals 0.
            Value::Float(value) => Some(KeyId::Float((value + 0.0).to_bits())),
            Value::Text(text) => Some(KeyId::Text(Rc::clone(text))),
            Value::Timestamp(text) => Some(KeyId::Timestamp(Rc::clone(text))),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

impl Map {
    pub(crate) fn new(string_keys: bool) -> Self {
        Map { string_keys, ..Map::default() }
    }

    /// Sets the value of a key.
    pub(crate) fn put(&mut self, key: Value, position: Position, item: Item) {
        match self.index_of(&key).and_then(|at| self.entries.get_mut(at)) {
            Some(known) => *known = (key, position, item),
            None => {
                let at = self.entries.len();
                if at == MAX_LINEAR_SEARCH {
                    let ids = self.entries.iter().map(|(key, ..)| key.key_id()).enumerate();
                    self.indices = ids.filter_map(|(at, id)| Some((id?, at))).collect();
                }
                if at >= MAX_LINEAR_SEARCH {
                    self.indices.extend(key.key_id().map(|id| (id, at)));
                }
                self.entries.push((key, position, item));
            }
        }
    }

    pub(crate) fn get_mut(&mut self, key: &Value) -> Option<&mut Item> {
        let at = self.index_of(key)?;
        self.entries.get_mut(at).map(|(_, _, item)| item)
    }

    fn index_of(&self, key: &Value) -> Option<usize> {
        let id = key.key_id()?;
        if self.entries.len() > MAX_LINEAR_SEARCH {
            return self.indices.get(&id).copied();
        }
        self.entries.iter().position(|(known, ..)| known.key_id().as_ref() == Some(&id))
    }
}
