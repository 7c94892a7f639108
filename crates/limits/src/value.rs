//! Reads values from nodes as yaml.v3 decodes them into Go's types and Mimir's own. As in Go, null leaves a scalar unchanged and
//! empties a list.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::duration::{self, DurationError};
use crate::model::{LabelValueStrategy, NameScheme};
use crate::yaml::{Content, Entry, Node, Scalar};
use go_yaml::{Resolved, resolve};

/// 2^63 and 2^64, the first numbers that Go's `int64` and `uint64` do not hold.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// What to write for an `int`.
pub(crate) const WHOLE: &str = "a whole number such as 200000";
/// A number of the edge's own, for [`mismatch`].
pub(crate) const NUMBER: &str = "number";

/// Why a value cannot be read; completes a sentence that begins with the field's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ValueError(pub(crate) String);

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        ValueError(message.into())
    }
}

/// A type that a field of the limits can have.
pub(crate) trait FieldValue: PartialEq {
    /// Reads the node's value; on an error `self` is unchanged.
    fn read(&mut self, node: &Node) -> Result<(), ValueError>;
    /// The value as YAML that reads back the same.
    fn render(&self) -> String;
    /// Equality under which a value always equals itself, NaN included.
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl FieldValue for f64 {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        set(self, node, as_float, "float64", "a number such as 10000")
    }

    fn render(&self) -> String {
        match *self {
            value if value.is_nan() => ".nan".to_owned(),
            f64::INFINITY => ".inf".to_owned(),
            f64::NEG_INFINITY => "-.inf".to_owned(),
            value if value != 0.0 && !(1e-5..1e21).contains(&value.abs()) => format!("{value:e}"),
            // Without the fraction it would be read as a whole number, and lose its sign.
            value if value == 0.0 && value.is_sign_negative() => "-0.0".to_owned(),
            value => value.to_string(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        self == other || self.is_nan() && other.is_nan()
    }
}

impl FieldValue for i64 {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        set(self, node, as_int, "int", WHOLE)
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl FieldValue for bool {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        set(self, node, as_bool, "bool", "true or false")
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl FieldValue for Arc<str> {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        if let Some(text) = text(node)? {
            *self = text.into();
        }
        Ok(())
    }

    fn render(&self) -> String {
        quote(self)
    }
}

impl FieldValue for Arc<[Arc<str>]> {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        let mut texts = Vec::new();
        for item in list(node)? {
            // yaml.v3 skips a null in a list of strings.
            texts.extend(text(item)?.map(Arc::from));
        }
        *self = texts.into();
        Ok(())
    }

    fn render(&self) -> String {
        let items: Vec<_> = self.iter().map(|item| quote(item)).collect();
        format!("[{}]", items.join(", "))
    }
}

impl FieldValue for Duration {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        if let Some(text) = text(node)? {
            *self = duration::parse(text).map_err(|error| match error {
                DurationError::Malformed(_) => mismatch(node, "string", "a duration such as 30s, 10m or 1h30m"),
                DurationError::TooLong(_) => ValueError::new("is too long: write a duration under 292 years"),
            })?;
        }
        Ok(())
    }

    fn render(&self) -> String {
        duration::render(*self)
    }
}

impl FieldValue for LabelValueStrategy {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        set(self, node, as_label_value_strategy, "string", "error, truncate or drop")
    }

    fn render(&self) -> String {
        self.as_str().to_owned()
    }
}

fn as_label_value_strategy(node: &Node) -> Option<LabelValueStrategy> {
    match as_text(node)? {
        "" => Some(LabelValueStrategy::Error),
        text => LabelValueStrategy::named(text),
    }
}

impl FieldValue for NameScheme {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        if as_text(node) == Some("") {
            return Ok(());
        }
        set(self, node, |node| Self::named(as_text(node)?), "string", "legacy or utf8")
    }

    fn render(&self) -> String {
        self.as_str().to_owned()
    }
}

/// Sets a field to the value of a node, unless that is null.
pub(crate) fn set<T>(
    field: &mut T,
    node: &Node,
    read: fn(&Node) -> Option<T>,
    go: &str,
    wanted: &str,
) -> Result<(), ValueError> {
    if !is_null(node) {
        *field = read(node).ok_or_else(|| mismatch(node, go, wanted))?;
    }
    Ok(())
}

/// Whether it is null.
pub(crate) fn is_null(node: &Node) -> bool {
    resolved(node) == Some(Resolved::Null)
}

/// The value of a scalar.
pub(crate) fn resolved(node: &Node) -> Option<Resolved<'_>> {
    match &node.content {
        Content::Scalar(scalar) => Some(resolve(scalar)),
        _ => None,
    }
}

/// What yaml.v3 decodes into a `string`, except for null: numbers and bools as they are spelled.
pub(crate) fn as_text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Scalar(scalar) if !is_null(node) => Some(&scalar.text),
        _ => None,
    }
}

/// What yaml.v3 decodes into a `bool`.
pub(crate) fn as_bool(node: &Node) -> Option<bool> {
    match resolved(node)? {
        Resolved::Bool(value) => Some(value),
        Resolved::Text("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        Resolved::Text("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        _ => None,
    }
}

/// What yaml.v3 decodes into an `int`. Floats up to 2^63 pass, and lose their fraction. What Go makes of those that an `int64`
/// does not hold depends on the machine; this is the result on amd64.
pub(crate) fn as_int(node: &Node) -> Option<i64> {
    match resolved(node)? {
        Resolved::Int(whole) => i64::try_from(whole).ok(),
        Resolved::Float(TWO_TO_63) => Some(i64::MIN),
        Resolved::Float(value) if value < TWO_TO_63 => Some(value as i64),
        _ => None,
    }
}

/// What yaml.v3 decodes into a `uint64`. Floats up to 2^64 pass; those whose result depends on the machine become 0 here.
pub(crate) fn as_uint(node: &Node) -> Option<u64> {
    match resolved(node)? {
        Resolved::Int(whole) => u64::try_from(whole).ok(),
        Resolved::Float(TWO_TO_64) => Some(0),
        Resolved::Float(value) if value < TWO_TO_64 => Some(value as u64),
        _ => None,
    }
}

/// What yaml.v3 decodes into a `float64`.
pub(crate) fn as_float(node: &Node) -> Option<f64> {
    match resolved(node)? {
        Resolved::Int(whole) => Some(whole as f64),
        Resolved::Float(value) => Some(value),
        _ => None,
    }
}

/// The node's text if it is a scalar; `None` for null.
pub(crate) fn text(node: &Node) -> Result<Option<&str>, ValueError> {
    match &node.content {
        Content::Scalar(_) => Ok(as_text(node)),
        _ => Err(mismatch(node, "string", "text")),
    }
}

/// The node's items; none for null.
pub(crate) fn list(node: &Node) -> Result<&[Rc<Node>], ValueError> {
    match &node.content {
        Content::Sequence(items) => Ok(items),
        _ if is_null(node) => Ok(&[]),
        _ => Err(mismatch(node, "[]string", "a list such as [pod, node]")),
    }
}

/// The node's entries; `None` for null. `of` is what they are.
pub(crate) fn mapping<'n>(node: &'n Node, of: &str) -> Result<Option<&'n [Entry]>, ValueError> {
    match &node.content {
        Content::Mapping(entries) => Ok(Some(entries)),
        _ if is_null(node) => Ok(None),
        _ => Err(mismatch(node, "map", &format!("a mapping of {of}"))),
    }
}

/// A node that the type `go` cannot hold. Says so when only the quotes make a value unreadable.
pub(crate) fn mismatch(node: &Node, go: &str, wanted: &str) -> ValueError {
    let scalar = match &node.content {
        Content::Sequence(_) => return ValueError(format!("is a list: write {wanted}")),
        Content::Mapping(_) => return ValueError(format!("is a mapping: write {wanted}")),
        Content::Scalar(scalar) => scalar,
    };
    let is_go_number = matches!(go, "int" | "int64" | "uint64" | "float64");
    let (text, quoted) = (shortened(&scalar.text), quote(&shortened(&scalar.text)));
    let unquoted = Scalar { text: Rc::clone(&scalar.text), plain: true };
    ValueError(match (resolve(scalar), resolve(&unquoted)) {
        (Resolved::Null, _) => format!("is empty: write {wanted}"),
        (Resolved::Text(_), Resolved::Int(_) | Resolved::Float(_)) if is_go_number || go == NUMBER => {
            format!("is the text {quoted}, not a number: write it without quotes")
        }
        (Resolved::Text(_), Resolved::Bool(_)) if go == "bool" => {
            format!("is the text {quoted}, not true or false: write it without quotes")
        }
        (Resolved::Text(_), _) => format!("is {quoted}: write {wanted}"),
        (Resolved::Int(_) | Resolved::Float(_), _) if is_go_number => {
            format!("is {text}, which is out of range: write {wanted}")
        }
        _ => format!("is {text}: write {wanted}"),
    })
}

/// The first 60 characters, so that a message stays one line.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A YAML and JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Other control characters, YAML's line breaks, and noncharacters.
            _ if character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
