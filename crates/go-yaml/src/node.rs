//! The decoded tree.

use std::rc::Rc;

use crate::error::{Error, ErrorKind};

/// A position in a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// The line in the document as written, counted from 1; 0 where there is none.
    pub line: u64,
    /// The line in the marshalled document, which Mimir's errors name; 0 if it was not marshalled.
    pub encoded_line: u64,
    /// The index of the merged document.
    pub source: usize,
}

/// A value with its position.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// The value.
    pub content: Content,
}

/// The value of a node.
#[derive(Debug)]
pub enum Content {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// Keys with values, in the order of the document.
    Mapping(Vec<Entry>),
}

/// A scalar's text.
#[derive(Debug)]
pub struct Scalar {
    /// The text, without quotes.
    pub text: Rc<str>,
    /// Whether [`crate::resolve()`] may find a number, a bool or null: it has no quotes, block style or string tag.
    pub plain: bool,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: Rc<str>,
    /// Whether the key is null, which Go skips in a struct and in a map with string keys.
    pub is_null: bool,
    /// The position of the key.
    pub position: Position,
    /// The value.
    pub value: Rc<Node>,
}

/// The mappings that a merge key refers to; `message` is our text for a value that is none.
pub(crate) fn merged_entries<'n>(value: &'n Node, line: u64, message: &str) -> Result<Vec<&'n Vec<Entry>>, Error> {
    let wrong =
        || Error::new(ErrorKind::Merge, line, message, "map merge requires map or sequence of maps as the value");
    match &value.content {
        Content::Mapping(entries) => Ok(vec![entries]),
        Content::Sequence(items) => {
            let merged = items.iter().map(|item| match &item.content {
                Content::Mapping(entries) => Ok(entries),
                _ => Err(wrong()),
            });
            merged.collect()
        }
        Content::Scalar(_) => Err(wrong()),
    }
}
