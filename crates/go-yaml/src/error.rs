//! Why Go rejects a document.

use std::fmt;

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Too large, as written or with its aliases expanded.
    TooLarge,
    /// Invalid UTF-8 or UTF-16, or a control character.
    Encoding,
    /// The name ends in `.gz` and the bytes are no gzip, or the reverse.
    Gzip,
    /// A syntax error.
    Syntax,
    /// An unknown or recursive alias, or too many aliases.
    Alias,
    /// A merge key whose value is no mapping and no list of mappings.
    Merge,
    /// A key that is a list or a mapping.
    Key,
    /// A tag that does not fit its value.
    Tag,
    /// A key that occurs twice in one mapping.
    DuplicateKey,
    /// The document is no mapping.
    Root,
    /// Two documents that cannot be merged.
    Conflict,
}

/// An error with its position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind.
    pub kind: ErrorKind,
    /// The line in the document as written, counted from 1; 0 for the whole document.
    pub line: u64,
    /// What is wrong and how to fix it; completes a sentence that begins with the document's name.
    pub message: String,
    /// yaml.v3's error, as Go prints it.
    pub go: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, line: u64, message: impl Into<String>, go: impl fmt::Display) -> Self {
        Error { kind, line, message: message.into(), go: format!("yaml: {go}") }
    }

    /// An alias within its own anchor.
    pub(crate) fn recursive_alias(line: u64, name: &str) -> Self {
        let message = format!("has an anchor {name} that contains an alias of itself: write the value out");
        Error::new(ErrorKind::Alias, line, message, format_args!("anchor '{name}' value contains itself"))
    }

    /// Aliases that make a document too large.
    pub(crate) fn expanded_too_large(line: u64) -> Self {
        let message = "is too large with its aliases expanded: use fewer of them";
        Error::new(ErrorKind::TooLarge, line, message, "document contains excessive aliasing")
    }

    /// yaml.v3's `TypeError`, which collects several errors.
    pub(crate) fn unmarshal(kind: ErrorKind, line: u64, message: impl Into<String>, go: &[String]) -> Self {
        let go = go.iter().fold("unmarshal errors:".to_owned(), |text, error| format!("{text}\n  {error}"));
        Error::new(kind, line, message, go)
    }
}
