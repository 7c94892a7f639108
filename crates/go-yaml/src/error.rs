//! Why a text is not what Go would take.

use std::fmt;

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Larger than is read, or becomes so once its aliases are followed.
    TooLarge,
    /// Bytes that are no text, or characters that YAML does not allow.
    Characters,
    /// A name that ends in `.gz`, and bytes that are no gzip.
    Gzip,
    /// No YAML.
    Syntax,
    /// An alias of nothing, of itself, or too many of them.
    Alias,
    /// A merge key with something else than mappings.
    Merge,
    /// A key that is a list or a mapping.
    Key,
    /// A tag that its value cannot have.
    Tag,
    /// A key that is there twice in one mapping.
    Duplicate,
    /// The document is no mapping.
    Root,
    /// Two documents that cannot be merged.
    Conflict,
}

/// A fault with the place where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind it is.
    pub fault: Fault,
    /// The line in the document as written, counted from 1; 0 for the whole document.
    pub line: u64,
    /// What is wrong and how to mend it; completes a sentence that begins with the document's name.
    pub message: String,
    /// yaml.v3's error, as Go prints it.
    pub go: String,
}

impl Error {
    pub(crate) fn new(fault: Fault, line: u64, message: impl Into<String>, go: impl fmt::Display) -> Self {
        Error { fault, line, message: message.into(), go: format!("yaml: {go}") }
    }

    /// One that Go collects with others of its kind.
    pub(crate) fn collected(fault: Fault, line: u64, message: impl Into<String>, go: &[String]) -> Self {
        let go = go.iter().fold("unmarshal errors:".to_owned(), |text, error| format!("{text}\n  {error}"));
        Error::new(fault, line, message, go)
    }
}
