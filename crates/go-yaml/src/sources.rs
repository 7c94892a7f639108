//! Several documents merged from left to right, as Mimir merges the files of its `-runtime-config.file` (dskit
//! `runtimeconfig`, `mergeConfigMaps`).

use crate::error::{Error, Fault};
use crate::value::{Item, Map, Value};

/// Lays `over` on `map`. `name` is that of the document that comes.
pub(crate) fn merge(map: &mut Map, over: Map, name: &str, path: &str) -> Result<(), Error> {
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
