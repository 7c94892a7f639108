//! The limits in Mimir's command line: flags as Go's `flag` package parses them, and the field that each sets.
//!
//! The table is Mimir's own (main of April 2026), with the flags of 3.0 that were removed since. Other flags are ignored, so that a whole command line can
//! be given.

use std::fmt::Write;
use std::time::Duration;

use limits::quote_yaml;

use super::query_store_after;

/// Flag, field and kind of each limit that has a flag with a plain value, tab-separated.
const TABLE: &str = include_str!("limit_flags.tsv");

/// The flags of a command line that set limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LimitFlags {
    limits: Vec<LimitFlag>,
    /// Not a limit, but a rule about limits needs it.
    pub(super) query_store_after: Option<Duration>,
}

/// One field, and the flag that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LimitFlag {
    flag: &'static str,
    field: &'static str,
    value: Value,
}

/// A value as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    One(String),
    /// Each use of the flag adds one.
    List(Vec<String>),
}

/// How Go parses a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    /// Parsed by the field's own rules: a duration, an enumeration, any text.
    Text,
    List,
}

impl LimitFlags {
    /// Parses a command line: words between white space, with quotes, backslashes and comments from `#` on as in a shell.
    ///
    /// # Errors
    /// A message for each flag that Mimir would reject, or one about a quote that is never closed.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let words = split_words(text).map_err(|error| vec![error])?;
        let (mut flags, mut faults) = (Self::default(), Vec::new());
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            // A word that is no flag is the value of a flag that is ignored.
            let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            if name == query_store_after::FLAG {
                let value = value.or_else(|| words.next()).unwrap_or_default();
                flags.query_store_after = query_store_after::parse(value);
                if flags.query_store_after.is_none() {
                    faults.push(format!("-{name} is {value:?}: write {}", query_store_after::WANTED));
                }
                continue;
            }
            let Some((flag, field, kind)) = find(name) else { continue };
            let value = match (value, kind) {
                (Some(value), _) => value,
                (None, Kind::Bool) => "true",
                (None, _) => match words.next() {
                    Some(value) => value,
                    None => {
                        faults.push(format!("-{flag} has no value: write -{flag}=VALUE"));
                        continue;
                    }
                },
            };
            match read(kind, value) {
                Ok(value) => flags.set(flag, field, value, kind),
                Err(wanted) => faults.push(format!("-{flag} is {value:?}: write {wanted}")),
            }
        }
        if faults.is_empty() { Ok(flags) } else { Err(faults) }
    }

    fn set(&mut self, flag: &'static str, field: &'static str, value: String, kind: Kind) {
        let known = self.limits.iter_mut().find(|known| known.field == field);
        match (known, kind) {
            (Some(LimitFlag { value: Value::List(values), .. }), Kind::List) => values.push(value),
            (Some(known), _) => known.value = Value::One(value),
            (None, Kind::List) => self.limits.push(LimitFlag { flag, field, value: Value::List(vec![value]) }),
            (None, _) => self.limits.push(LimitFlag { flag, field, value: Value::One(value) }),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The flag that sets a field, without dashes.
    pub(super) fn flag_of(&self, field: &str) -> Option<&'static str> {
        self.limits.iter().find(|known| known.field == field).map(|known| known.flag)
    }

    /// The fields as lines of YAML, each after `indent`. A list begins with `list` of its field, since Mimir's flag appends to the list of the configuration
    /// file.
    pub(super) fn to_yaml(&self, indent: &str, list: impl Fn(&str) -> Vec<String>) -> String {
        let mut yaml = String::new();
        for LimitFlag { field, value, .. } in &self.limits {
            let value = match value {
                Value::One(value) => value.clone(),
                Value::List(values) => {
                    let below = list(field);
                    let items: Vec<_> =
                        below.iter().map(|item| quote_yaml(item)).chain(values.iter().cloned()).collect();
                    format!("[{}]", items.join(", "))
                }
            };
            // Writing to a string cannot fail.
            let _ = writeln!(yaml, "{indent}{field}: {value}");
        }
        yaml
    }
}

fn find(name: &str) -> Option<(&'static str, &'static str, Kind)> {
    let mut rows = TABLE.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        Some((columns.next()?, columns.next()?, columns.next()?))
    });
    let (flag, field, kind) = rows.find(|(flag, ..)| *flag == name)?;
    let kind = match kind {
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        "float" => Kind::Float,
        "list" => Kind::List,
        _ => Kind::Text,
    };
    Some((flag, field, kind))
}

/// The value as YAML; the error says what to write instead.
fn read(kind: Kind, value: &str) -> Result<String, &'static str> {
    match kind {
        Kind::Bool => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err("true or false"),
        },
        Kind::Int => parse_int(value).map(|value| value.to_string()).ok_or("a whole number such as 200000"),
        Kind::Uint => parse_int(value)
            .filter(|value| *value >= 0)
            .map(|value| value.to_string())
            .ok_or("a whole number from 0 on, such as 10"),
        Kind::Float => parse_float(value).ok_or("a number such as 10000"),
        Kind::Text | Kind::List => Ok(quote_yaml(value)),
    }
}

/// A whole number: decimal, `0x`, `0o`, `0b` or a leading 0 for octal, with underscores between digits.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        based if based.starts_with("0x") => (16, based.get(2..)?),
        based if based.starts_with("0o") => (8, based.get(2..)?),
        based if based.starts_with("0b") => (2, based.get(2..)?),
        "0" => (10, "0"),
        based if based.starts_with('0') => (8, based.get(1..)?),
        decimal => (10, decimal),
    };
    let after_prefix = radix != 10;
    let digits = if after_prefix { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let well_separated = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    if !well_separated || !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    i64::try_from(if negative { -size } else { size }).ok()
}

/// A decimal float, `inf` or `nan` in any letter case, spelled so that YAML reads the same.
fn parse_float(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    let named = text.chars().all(|character| character.is_ascii_alphabetic() || matches!(character, '+' | '-'));
    match value {
        value if value.is_nan() => Some(".nan".to_owned()),
        value if value.is_infinite() && !named => None,
        f64::INFINITY => Some(".inf".to_owned()),
        f64::NEG_INFINITY => Some("-.inf".to_owned()),
        value if value == value.trunc() && value.abs() < 1e15 => Some(format!("{value:.1}")),
        value => Some(format!("{value:e}")),
    }
}

/// Splits at white space. Quotes keep white space, a backslash escapes the next character and joins lines at the end of one, and a `#` at the start of a
/// word starts a comment.
///
/// # Errors
/// A quote is never closed.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '#' if word.is_none() => {
                characters.by_ref().find(|character| *character == '\n');
            }
            '\'' | '"' => quoted(character, &mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some('\n') | None => {}
                Some(kept) => word.get_or_insert_default().push(kept),
            },
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(quote: char, characters: &mut impl Iterator<Item = char>, word: &mut String) -> Result<(), String> {
    while let Some(character) = characters.next() {
        match character {
            end if end == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(characters.next()),
            other => word.push(other),
        }
    }
    Err(format!("a quote {quote} is never closed: close it, or write a backslash before it"))
}

#[cfg(test)]
mod tests;
