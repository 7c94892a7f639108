//! The tree of a document that Go marshals and unmarshals again: keys in Go's order, scalars as Go formats them, each with
//! its line in the marshalled text. The text itself is not needed, and not written.

use std::collections::HashSet;
use std::rc::Rc;

use crate::error::{Error, ErrorKind};
use crate::node::{Content, Entry, Node, Position, Scalar, merged_entries};
use crate::value::{Item, Map, Value};

mod order;

/// A longer key gets a line of its own.
const LONGEST_SIMPLE_KEY: usize = 128;

/// The tree of the marshalled document.
///
/// # Errors
/// A value that Go marshals but cannot unmarshal.
pub(crate) fn encode(map: Map) -> Result<Rc<Node>, Error> {
    let mut encoder = Encoder { line: 1 };
    let content = encoder.mapping(map)?;
    let position = Position { line: 1, encoded_line: 1, source: 0 };
    Ok(Rc::new(Node { position, content }))
}

struct Encoder {
    /// The next line.
    line: u64,
}

impl Encoder {
    /// The node of a value that begins on this line, after its key or hyphen. Advances to the line after the value.
    fn node(&mut self, item: Item, is_in_list: bool) -> Result<Rc<Node>, Error> {
        let has_block = match &item.value {
            Value::List(items) => !items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            _ => false,
        };
        if has_block && !is_in_list {
            self.line += 1;
        }
        let position = Position { encoded_line: self.line, ..item.position };
        let content = match item.value {
            Value::List(items) if has_block => {
                Content::Sequence(items.into_iter().map(|item| self.node(item, true)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) if has_block => self.mapping(map)?,
            Value::List(_) => self.one_line(Content::Sequence(Vec::new())),
            Value::Map(_) => self.one_line(Content::Mapping(Vec::new())),
            value => {
                let scalar = scalar(&value);
                let lines = if scalar.plain { 1 } else { self.lines(&scalar.text, position)? };
                self.line += lines;
                Content::Scalar(scalar)
            }
        };
        Ok(Rc::new(Node { position, content }))
    }

    fn one_line(&mut self, content: Content) -> Content {
        self.line += 1;
        content
    }

    fn mapping(&mut self, map: Map) -> Result<Content, Error> {
        let entries = order::sort(map.entries, &|(key, ..)| key);
        let mut written = Vec::with_capacity(entries.len());
        for (key, position, item) in entries {
            let position = Position { encoded_line: self.line, ..position };
            let text = scalar(&key).text;
            self.lines(&text, position)?;
            if text.len() > LONGEST_SIMPLE_KEY {
                self.line += 1;
            }
            let value = self.node(item, text.len() > LONGEST_SIMPLE_KEY)?;
            written.push(Entry { key: text, is_null: matches!(key, Value::Null), position, value });
        }
        Ok(Content::Mapping(merge_quoted(written)?))
    }

    /// The number of lines of a text. A multi-line text is a literal block, unless it has characters that need quotes.
    fn lines(&self, text: &str, position: Position) -> Result<u64, Error> {
        if !text.contains('\n') || !block_allowed(text) {
            return Ok(1);
        }
        if text.starts_with('\t') {
            let message = "has a multi-line text that begins with a tab, which Mimir cannot read back: \
                           begin it otherwise";
            let go =
                format!("line {}: found a tab character where an indentation space is expected", position.encoded_line);
            return Err(Error::new(ErrorKind::Syntax, position.line, message, go));
        }
        let breaks = text.bytes().filter(|byte| *byte == b'\n').count();
        Ok(1 + u64::try_from(breaks).unwrap_or(u64::MAX - 1) + u64::from(!text.ends_with('\n')))
    }
}

/// The emitter quotes a text that ends in a blank or has unprintable characters.
fn block_allowed(text: &str) -> bool {
    let is_printable = |character: char| {
        matches!(character, '\n' | '\t' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    };
    !text.ends_with(' ') && text.chars().all(is_printable)
}

/// Go marshals a key `"<<"` without quotes, so that it becomes a merge key.
fn merge_quoted(mut entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
    let Some(at) = entries.iter().position(|entry| &*entry.key == "<<") else { return Ok(entries) };
    let Entry { value, position, .. } = entries.remove(at);
    let message = "has a key \"<<\" with neither a mapping nor a list of mappings, which Mimir takes for a merge: \
                   name it otherwise";
    let merged = merged_entries(&value, position.line, message)?;
    for merged in &merged {
        let mut seen = HashSet::new();
        if let Some(twice) = merged.iter().find(|entry| !seen.insert(&entry.key)) {
            let key = &twice.key;
            let message = format!("has the key {key} twice once it is merged: remove one");
            let go = format!("line {}: mapping key {key:?} already defined", twice.position.encoded_line);
            return Err(Error::unmarshal(ErrorKind::DuplicateKey, twice.position.line, message, &[go]));
        }
    }
    let mut known: HashSet<_> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
    entries.extend(merged.into_iter().flatten().filter(|entry| known.insert(Rc::clone(&entry.key))).cloned());
    Ok(entries)
}

pub(crate) fn scalar(value: &Value) -> Scalar {
    let plain = |text: &str| Scalar { text: text.into(), plain: true };
    match value {
        Value::Null => plain("null"),
        Value::Bool(true) => plain("true"),
        Value::Bool(false) => plain("false"),
        Value::Int(value) => plain(&value.to_string()),
        Value::Float(value) => plain(&float(*value)),
        Value::Timestamp(text) => Scalar { text: Rc::clone(text), plain: true },
        Value::Text(text) => Scalar { text: Rc::clone(text), plain: false },
        // No key is one of these.
        Value::List(_) | Value::Map(_) => plain("null"),
    }
}

/// A float as Go's shortest `%g` has it.
fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // `strconv.FormatFloat(value, 'g', -1, 64)` takes the precision for 6 where the shortest is asked for.
    if !(-4..6).contains(&exponent) {
        return format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    value.to_string()
}

#[cfg(test)]
mod tests;
