//! The tree that a second reading is made of.

use std::rc::Rc;

use crate::error::{Error, Fault};

/// Where something stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The line in the document as written, counted from 1; 0 where there is none.
    pub line: u64,
    /// The line in the document as Go writes it again, which Mimir's errors name; 0 where it was not written again.
    pub encoded_line: u64,
    /// Which of several merged documents, counted from 0.
    pub source: usize,
}

/// A value with the place where it begins.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a node is.
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
    /// Whether it may be a number, a bool or null ([`crate::resolve()`]): without quotes, block style or a tag that makes it text.
    pub plain: bool,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: Rc<str>,
    /// Whether the key is a null, which Go leaves out of a struct and of a map of texts, with its value.
    pub is_null: bool,
    /// Where the key is.
    pub place: Place,
    /// The value.
    pub value: Rc<Node>,
}

/// The mappings that a merge key names; `message` is ours for one that names something else.
pub(crate) fn merged_entries<'n>(value: &'n Node, line: u64, message: &str) -> Result<Vec<&'n Vec<Entry>>, Error> {
    let wrong = || Error::new(Fault::Merge, line, message, "map merge requires map or sequence of maps as the value");
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
