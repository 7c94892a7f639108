//! What the first pass makes of a document: values of anything, as Go's maps and slices of `interface{}`.

use std::collections::HashMap;
use std::rc::Rc;

use crate::node::Place;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    /// As RFC 3339 has it.
    Time(Rc<str>),
    List(Vec<Item>),
    Map(Map),
}

/// A map of so few entries is searched; a tenant's is, and an index would be as large as the map.
const SEARCHED: usize = 16;

/// A Go map: with texts as keys, or with anything that is no list and no map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) of_text: bool,
    pub(crate) entries: Vec<(Value, Place, Item)>,
    /// Where each key is, once there are many.
    places: HashMap<KeyId, usize>,
}

/// Two keys are the same where these are. A NaN has none: it is no other's, and not its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyId {
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(Rc<str>),
    Time(Rc<str>),
}

impl Value {
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        match self {
            Value::Null => Some(KeyId::Null),
            Value::Bool(value) => Some(KeyId::Bool(*value)),
            Value::Int(value) => Some(KeyId::Int(*value)),
            Value::Float(value) if value.is_nan() => None,
            // Zero is zero, whatever its sign.
            Value::Float(value) => Some(KeyId::Float((value + 0.0).to_bits())),
            Value::Text(text) => Some(KeyId::Text(Rc::clone(text))),
            Value::Time(text) => Some(KeyId::Time(Rc::clone(text))),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

impl Map {
    pub(crate) fn new(of_text: bool) -> Self {
        Map { of_text, ..Map::default() }
    }

    /// Puts a value under a key, over another one.
    pub(crate) fn put(&mut self, key: Value, place: Place, item: Item) {
        match self.place_of(&key).and_then(|at| self.entries.get_mut(at)) {
            Some(known) => *known = (key, place, item),
            None => {
                let at = self.entries.len();
                if at == SEARCHED {
                    let ids = self.entries.iter().map(|(key, ..)| key.key_id()).enumerate();
                    self.places = ids.filter_map(|(at, id)| Some((id?, at))).collect();
                }
                if at >= SEARCHED {
                    self.places.extend(key.key_id().map(|id| (id, at)));
                }
                self.entries.push((key, place, item));
            }
        }
    }

    pub(crate) fn get_mut(&mut self, key: &Value) -> Option<&mut Item> {
        let at = self.place_of(key)?;
        self.entries.get_mut(at).map(|(_, _, item)| item)
    }

    fn place_of(&self, key: &Value) -> Option<usize> {
        let id = key.key_id()?;
        if self.entries.len() > SEARCHED {
            return self.places.get(&id).copied();
        }
        self.entries.iter().position(|(known, ..)| known.key_id().as_ref() == Some(&id))
    }
}
