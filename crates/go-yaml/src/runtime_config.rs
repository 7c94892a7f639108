//! A runtime configuration of one or several documents, merged from left to right as Mimir merges the files of
//! `-runtime-config.file` (dskit `runtimeconfig`, `mergeConfigMaps`), as the tree of the second pass.

use std::rc::Rc;

use crate::document::Document;
use crate::encode;
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::value::{Item, Map, Value};

/// Documents that are merged in order.
#[derive(Debug, Default)]
pub struct RuntimeConfig {
    merged: Option<Map>,
    count: usize,
}

impl RuntimeConfig {
    /// Decodes a document and merges it over those before it; [`crate::Position::source`] is its index.
    ///
    /// # Errors
    /// Mimir rejects it. The error's `go` begins as Mimir's error does.
    pub fn add(&mut self, document: &Document) -> Result<(), Error> {
        let map = document.first_pass(self.count).map_err(|error| unmarshal_error(document.name(), error))?;
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

    /// The tree of the second pass; `None` if all documents are empty.
    ///
    /// # Errors
    /// A value that Go marshals but cannot unmarshal.
    pub fn into_tree(self) -> Result<Option<Rc<Node>>, Error> {
        self.merged.map(encode::encode).transpose()
    }
}

/// An error with Mimir's prefix for a file.
#[must_use]
pub fn unmarshal_error(name: &str, error: Error) -> Error {
    let packed = if name.ends_with(".gz") && error.kind != ErrorKind::Gzip && !error.go.starts_with("uncompress/") {
        "uncompress/unmarshal gzipped file: "
    } else {
        ""
    };
    Error { go: format!("unmarshal {name:?}: {packed}{}", error.go), ..error }
}

/// Merges `over`, from the document `name`, over `map`.
fn merge(map: &mut Map, over: Map, name: &str, path: &str) -> Result<(), Error> {
    for (key, position, item) in over.entries {
        let inner = |key: &Value| format!("{path}.{}", key_text(key));
        match map.get_mut(&key) {
            None => map.put(key, position, item),
            Some(known) => match (&mut known.value, item.value) {
                (Value::Map(known), Value::Map(over)) if known.string_keys && over.string_keys => {
                    merge(known, over, name, &inner(&key))?;
                }
                (Value::Map(known), Value::Null) if known.string_keys => {}
                (Value::Null, over) => *known = Item { value: over, ..item },
                (under, over) if has_string_keys(under) != has_string_keys(&over) && !matches!(over, Value::Null) => {
                    return Err(conflict(name, &inner(&key), item.position.line, (under, &over)));
                }
                (_, value) => *known = Item { value, ..item },
            },
        }
    }
    Ok(())
}

fn has_string_keys(value: &Value) -> bool {
    matches!(value, Value::Map(map) if map.string_keys)
}

fn conflict(name: &str, path: &str, line: u64, (under, over): (&Value, &Value)) -> Error {
    let message =
        format!("has {path} as {}, and an earlier document as {}: write both alike", describe(over), describe(under));
    let go = format!(
        "can't merge {name:?} on top of the previous providers: conflicting types for {path:?}: {} != {}",
        go_type(under),
        go_type(over)
    );
    Error { go, ..Error::new(ErrorKind::Conflict, line, message, "") }
}

fn key_text(key: &Value) -> &str {
    match key {
        Value::Text(text) => text,
        _ => "",
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Map(map) if map.string_keys => "a mapping",
        Value::Map(_) => "a mapping with keys that are not text",
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
        Value::Timestamp(_) => "time.Time",
        Value::List(_) => "[]interface {}",
        Value::Map(map) if map.string_keys => "map[string]interface {}",
        Value::Map(_) => "map[interface {}]interface {}",
    }
}
