//! A runtime configuration of one or several documents: merged from left to right, as Mimir merges the files of its
//! `-runtime-config.file` (dskit `runtimeconfig`, `mergeConfigMaps`), and as the tree of the second pass.

use std::rc::Rc;

use crate::document::Document;
use crate::encode;
use crate::error::{Error, Fault};
use crate::node::Node;
use crate::value::{Item, Map, Value};

/// Documents that are merged, one after another.
#[derive(Debug, Default)]
pub struct RuntimeConfig {
    merged: Option<Map>,
    count: usize,
}

impl RuntimeConfig {
    /// Decodes a document, and lays it over those before it; [`crate::Place::source`] counts them.
    ///
    /// # Errors
    /// Mimir refuses it. The error's `go` begins as Mimir's does, with what it was about to do.
    pub fn add(&mut self, document: &Document) -> Result<(), Error> {
        let map = document.first_pass(self.count).map_err(|error| of_source(document.name(), error))?;
        self.count += 1;
        match (&mut self.merged, map) {
            (Some(merged), Some(map)) => merge(merged, map, document.name(), ""),
            (merged @ None, map) => {
                *merged = map;
                Ok(())
            }
            (Some(_), None) => Ok(()),
        }
    }

    /// The tree of the second pass; `None` if no document has a root.
    ///
    /// # Errors
    /// A text that Go can write and not read back.
    pub fn into_tree(self) -> Result<Option<Rc<Node>>, Error> {
        self.merged.map(encode::encode).transpose()
    }
}

/// An error with what Mimir was about to do.
#[must_use]
pub fn of_source(name: &str, error: Error) -> Error {
    let packed = if name.ends_with(".gz") && error.fault != Fault::Gzip && !error.go.starts_with("uncompress/") {
        "uncompress/unmarshal gzipped file: "
    } else {
        ""
    };
    Error { go: format!("unmarshal {name:?}: {packed}{}", error.go), ..error }
}

/// Lays `over` on `map`. `name` is that of the document that comes.
fn merge(map: &mut Map, over: Map, name: &str, path: &str) -> Result<(), Error> {
    for (key, place, item) in over.entries {
        let inner = |key: &Value| format!("{path}.{}", key_text(key));
        match map.get_mut(&key) {
            None => map.put(key, place, item),
            Some(known) => match (&mut known.value, item.value) {
                (Value::Map(known), Value::Map(over)) if known.of_text && over.of_text => {
                    merge(known, over, name, &inner(&key))?;
                }
                (Value::Map(known), Value::Null) if known.of_text => {}
                (Value::Null, over) => *known = Item { value: over, ..item },
                (under, over) if is_text_map(under) != is_text_map(&over) && !matches!(over, Value::Null) => {
                    return Err(conflict(name, &inner(&key), item.place.line, (under, &over)));
                }
                (_, value) => *known = Item { value, ..item },
            },
        }
    }
    Ok(())
}

fn is_text_map(value: &Value) -> bool {
    matches!(value, Value::Map(map) if map.of_text)
}

fn conflict(name: &str, path: &str, line: u64, (under, over): (&Value, &Value)) -> Error {
    let message =
        format!("has {path} as {}, and a document before it as {}: write both alike", words(over), words(under));
    let go = format!(
        "can't merge {name:?} on top of the previous providers: conflicting types for {path:?}: {} != {}",
        go_type(under),
        go_type(over)
    );
    Error { go, ..Error::new(Fault::Conflict, line, message, "") }
}

fn key_text(key: &Value) -> &str {
    match key {
        Value::Text(text) => text,
        _ => "",
    }
}

fn words(value: &Value) -> &'static str {
    match value {
        Value::Map(map) if map.of_text => "a mapping",
        Value::Map(_) => "a mapping with keys that are no texts",
        Value::List(_) => "a list",
        _ => "a single value",
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::Time(_) => "time.Time",
        Value::List(_) => "[]interface {}",
        Value::Map(map) if map.of_text => "map[string]interface {}",
        Value::Map(_) => "map[interface {}]interface {}",
    }
}
