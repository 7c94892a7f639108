//! A runtime configuration of one or several documents: merged, and as the tree of the second pass.

use std::rc::Rc;

use crate::document::Document;
use crate::error::{Error, Fault};
use crate::node::Node;
use crate::value::Map;
use crate::{encode, sources};

/// Documents that are merged, one after another.
#[derive(Debug, Default)]
pub struct RuntimeConfig {
    merged: Option<Map>,
    count: usize,
}

impl RuntimeConfig {
    /// Decodes a document, and lays it over those before it; [`crate::Place::source`] counts them.
    ///
    /// # Errors
    /// Mimir refuses it. The error's `go` begins as Mimir's does, with what it was about to do.
    pub fn add(&mut self, document: &Document) -> Result<(), Error> {
        let map = document.first_pass(self.count).map_err(|error| of_source(document.name(), error))?;
        self.count += 1;
        match (&mut self.merged, map) {
            (Some(merged), Some(map)) => sources::merge(merged, map, document.name(), ""),
            (merged @ None, map) => {
                *merged = map;
                Ok(())
            }
            (Some(_), None) => Ok(()),
        }
    }

    /// The tree of the second pass; `None` if no document has a root.
    ///
    /// # Errors
    /// A text that Go can write and not read back.
    pub fn into_tree(self) -> Result<Option<Rc<Node>>, Error> {
        self.merged.map(encode::encode).transpose()
    }
}

/// An error with what Mimir was about to do.
#[must_use]
pub fn of_source(name: &str, error: Error) -> Error {
    let packed = if name.ends_with(".gz") && error.fault != Fault::Gzip && !error.go.starts_with("uncompress/") {
        "uncompress/unmarshal gzipped file: "
    } else {
        ""
    };
    Error { go: format!("unmarshal {name:?}: {packed}{}", error.go), ..error }
}
