//! How a field's value is read from a node, by Go's types: what yaml.v3 takes for a `float64`, an `int`, a `bool`, a
//! `string`, a list, and Mimir's own kinds. A null leaves a scalar as it was and empties a list, as in Go.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::duration::{self, DurationError};
use crate::model::{LabelValueStrategy, NameScheme};
use crate::yaml::{Content, Entry, Node};
use go_yaml::{Resolved, resolve};

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
    /// Takes the node's value over; on an error `self` is unchanged.
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
        *self = match scalar(node, "a number such as 10000")? {
            Resolved::Null => return Ok(()),
            Resolved::Int(whole) => whole as f64,
            Resolved::Float(value) => value,
            other => return Err(no_number(other, "a number such as 10000")),
        };
        Ok(())
    }

    fn render(&self) -> String {
        match *self {
            value if value.is_nan() => ".nan".to_owned(),
            f64::INFINITY => ".inf".to_owned(),
            f64::NEG_INFINITY => "-.inf".to_owned(),
            value if value != 0.0 && !(1e-5..1e21).contains(&value.abs()) => format!("{value:e}"),
            // Without the fraction it would be read as a whole number, which has no sign at zero.
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
        let out_of_range = || ValueError::new("is out of range: write a whole number below 9223372036854775808");
        *self = match scalar(node, "a whole number such as 200000")? {
            Resolved::Null => return Ok(()),
            Resolved::Int(whole) => i64::try_from(whole).map_err(|_| out_of_range())?,
            // yaml.v3 cuts a fraction off.
            Resolved::Float(value) if (-TWO_TO_63..TWO_TO_63).contains(&value) => value as i64,
            // It takes others up to 2^63 too. What they become depends on the machine: this, where Mimir runs on amd64.
            Resolved::Float(value) if value <= TWO_TO_63 => i64::MIN,
            Resolved::Float(_) => return Err(out_of_range()),
            other => return Err(no_number(other, "a whole number such as 200000")),
        };
        Ok(())
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

impl FieldValue for bool {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        *self = match scalar(node, "true or false")? {
            Resolved::Null => return Ok(()),
            Resolved::Bool(value) => value,
            Resolved::Text("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => true,
            Resolved::Text("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => false,
            other => return Err(wants("true or false", other)),
        };
        Ok(())
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
            // yaml.v3 leaves a null out of a list of strings.
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
                DurationError::Malformed(_) => wants("a duration such as 30s, 10m or 1h30m", Resolved::Text(text)),
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
        match text(node)? {
            None => {}
            Some("") => *self = LabelValueStrategy::Error,
            Some(text) => {
                *self = Self::named(text).ok_or_else(|| wants("error, truncate or drop", Resolved::Text(text)))?;
            }
        }
        Ok(())
    }

    fn render(&self) -> String {
        self.as_str().to_owned()
    }
}

impl FieldValue for NameScheme {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        if let Some(text) = text(node)?.filter(|text| !text.is_empty()) {
            *self = Self::named(text).ok_or_else(|| wants("legacy or utf8", Resolved::Text(text)))?;
        }
        Ok(())
    }

    fn render(&self) -> String {
        self.as_str().to_owned()
    }
}

/// Whether it is a null.
pub(crate) fn is_null(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar) if resolve(scalar) == Resolved::Null)
}

/// The node's text if it is a scalar; `None` for null. Go's strings take numbers and bools as they are spelled.
pub(crate) fn text(node: &Node) -> Result<Option<&str>, ValueError> {
    match &node.content {
        Content::Scalar(scalar) => Ok(Some(&*scalar.text).filter(|_| !is_null(node))),
        content => Err(wants_kind("text", content)),
    }
}

/// The node's items; none for null.
pub(crate) fn list(node: &Node) -> Result<&[Rc<Node>], ValueError> {
    match &node.content {
        Content::Sequence(items) => Ok(items),
        _ if is_null(node) => Ok(&[]),
        content => Err(wants_kind("a list such as [pod, node]", content)),
    }
}

/// The node's entries; `None` for null. `of` is what they are.
pub(crate) fn mapping<'n>(node: &'n Node, of: &str) -> Result<Option<&'n Vec<Entry>>, ValueError> {
    let wanted = format!("a mapping of {of}");
    match &node.content {
        Content::Mapping(entries) => Ok(Some(entries)),
        Content::Scalar(scalar) => match resolve(scalar) {
            Resolved::Null => Ok(None),
            found => Err(wants(&wanted, found)),
        },
        content => Err(wants_kind(&wanted, content)),
    }
}

pub(crate) fn scalar<'n>(node: &'n Node, wanted: &str) -> Result<Resolved<'n>, ValueError> {
    match &node.content {
        Content::Scalar(scalar) => Ok(resolve(scalar)),
        content => Err(wants_kind(wanted, content)),
    }
}

/// Says so when only the quotes make a number unreadable.
pub(crate) fn no_number(found: Resolved<'_>, wanted: &str) -> ValueError {
    if let Resolved::Text(text) = found {
        let unquoted = crate::yaml::Scalar { text: text.into(), plain: true };
        if matches!(resolve(&unquoted), Resolved::Int(_) | Resolved::Float(_)) {
            return ValueError::new(format!("is the text {}, not a number: write it without quotes", quote(text)));
        }
    }
    wants(wanted, found)
}

pub(crate) fn wants(wanted: &str, found: Resolved<'_>) -> ValueError {
    let found = match found {
        Resolved::Null => "empty".to_owned(),
        Resolved::Bool(value) => value.to_string(),
        Resolved::Int(value) => value.to_string(),
        Resolved::Float(value) => value.render(),
        Resolved::Text(text) | Resolved::Time(text) => quote(&shortened(text)),
    };
    ValueError::new(format!("is {found}: write {wanted}"))
}

pub(crate) fn wants_kind(wanted: &str, found: &Content) -> ValueError {
    let found = match found {
        Content::Scalar(_) => "a single value",
        Content::Sequence(_) => "a list",
        Content::Mapping(_) => "a mapping",
    };
    ValueError::new(format!("is {found}: write {wanted}"))
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
            // The other controls, the marks that end a line in YAML, and what YAML takes for no character.
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
