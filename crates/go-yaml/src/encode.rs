//! A document as Go writes it again and reads it once more: keys in Go's order, scalars in Go's spelling, each with the
//! line that it has in that text. The text itself is nobody's to see, so it is not made.

use std::rc::Rc;

use crate::error::{Error, Fault};
use crate::node::{Content, Entry, Node, Place, Scalar, merged_entries};
use crate::value::{Item, Map, Value};

mod order;

/// A longer key stands on a line of its own.
const LONGEST_SIMPLE_KEY: usize = 128;

/// Writes the document, and reads what was written.
///
/// # Errors
/// A text that Go can write and not read back.
pub(crate) fn encode(map: Map) -> Result<Rc<Node>, Error> {
    let mut encoder = Encoder { line: 1 };
    let content = encoder.mapping(map)?;
    let place = Place { line: 1, encoded_line: 1, source: 0 };
    Ok(Rc::new(Node { place, content }))
}

struct Encoder {
    /// The line that is written next.
    line: u64,
}

impl Encoder {
    /// The node of a value that begins on this line, behind its key or hyphen; ends on the line after it.
    fn node(&mut self, item: Item, is_in_list: bool) -> Result<Rc<Node>, Error> {
        let has_block = match &item.value {
            Value::List(items) => !items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            _ => false,
        };
        if has_block && !is_in_list {
            self.line += 1;
        }
        let place = Place { encoded_line: self.line, ..item.place };
        let content = match item.value {
            Value::List(items) if has_block => {
                Content::Sequence(items.into_iter().map(|item| self.node(item, true)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) if has_block => self.mapping(map)?,
            Value::List(_) => self.one_line(Content::Sequence(Vec::new())),
            Value::Map(_) => self.one_line(Content::Mapping(Vec::new())),
            value => {
                let scalar = scalar(&value);
                let lines = if scalar.plain { 1 } else { self.lines(&scalar.text, place)? };
                self.line += lines;
                Content::Scalar(scalar)
            }
        };
        Ok(Rc::new(Node { place, content }))
    }

    fn one_line(&mut self, content: Content) -> Content {
        self.line += 1;
        content
    }

    fn mapping(&mut self, map: Map) -> Result<Content, Error> {
        let entries = order::sort(map.entries, &|(key, ..)| key);
        let mut written = Vec::with_capacity(entries.len());
        for (key, place, item) in entries {
            let place = Place { encoded_line: self.line, ..place };
            let text = scalar(&key).text;
            self.lines(&text, place)?;
            if text.len() > LONGEST_SIMPLE_KEY {
                self.line += 1;
            }
            let value = self.node(item, text.len() > LONGEST_SIMPLE_KEY)?;
            written.push(Entry { key: text, is_null: matches!(key, Value::Null), place, value });
        }
        Ok(Content::Mapping(merge_quoted(written)?))
    }

    /// How many lines a text takes. One of several lines is a literal block, unless characters are in it that only quotes can hold.
    fn lines(&self, text: &str, place: Place) -> Result<u64, Error> {
        if !text.contains('\n') || !block_allowed(text) {
            return Ok(1);
        }
        if text.starts_with('\t') {
            let message = "has a text of several lines that begins with a tab, which Mimir cannot read back: \
                           begin it otherwise";
            let go =
                format!("line {}: found a tab character where an indentation space is expected", place.encoded_line);
            return Err(Error::new(Fault::Syntax, place.line, message, go));
        }
        let breaks = text.bytes().filter(|byte| *byte == b'\n').count();
        Ok(1 + u64::try_from(breaks).unwrap_or(u64::MAX - 1) + u64::from(!text.ends_with('\n')))
    }
}

/// The emitter quotes what ends in a blank, and what cannot be printed.
fn block_allowed(text: &str) -> bool {
    let is_printable = |character: char| {
        matches!(character, '\n' | '\t' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    };
    !text.ends_with(' ') && text.chars().all(is_printable)
}

/// A key `"<<"` comes back without its quotes, so its mapping is merged then.
fn merge_quoted(entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
    let Some(at) = entries.iter().position(|entry| &*entry.key == "<<") else { return Ok(entries) };
    let mut entries = entries;
    let Entry { value, place, .. } = entries.remove(at);
    let message = "has a key \"<<\" with neither a mapping nor a list of mappings, which Mimir takes for a merge: \
                   name it otherwise";
    let merged = merged_entries(&value, place.line, message)?;
    for merged in &merged {
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = merged.iter().find(|entry| !seen.insert(&entry.key)) {
            let key = &twice.key;
            let message = format!("has the key {key} twice once it is merged: remove one");
            let go = format!("line {}: mapping key {key:?} already defined", twice.place.encoded_line);
            return Err(Error::collected(Fault::Duplicate, twice.place.line, message, &[go]));
        }
    }
    let mut known: std::collections::HashSet<_> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
    for entry in merged.into_iter().flatten() {
        if known.insert(Rc::clone(&entry.key)) {
            entries.push(entry.clone());
        }
    }
    Ok(entries)
}

fn scalar(value: &Value) -> Scalar {
    let plain = |text: &str| Scalar { text: text.into(), plain: true };
    match value {
        Value::Null => plain("null"),
        Value::Bool(true) => plain("true"),
        Value::Bool(false) => plain("false"),
        Value::Int(value) => plain(&value.to_string()),
        Value::Float(value) => plain(&float(*value)),
        Value::Time(text) => Scalar { text: Rc::clone(text), plain: true },
        Value::Text(text) => Scalar { text: Rc::clone(text), plain: false },
        // No key is one of these.
        Value::List(_) | Value::Map(_) => plain("null"),
    }
}

/// A float as Go's shortest `%g` has it.
pub(crate) fn float(value: f64) -> String {
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
