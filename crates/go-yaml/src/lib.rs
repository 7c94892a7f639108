//! YAML as Go's yaml.v3 unmarshals and marshals it (`go.yaml.in/yaml/v3`, as Grafana Mimir uses it).
//!
//! Mimir decodes its runtime configuration twice: each file into `map[string]interface{}`, and the merged maps, marshalled
//! again, into its own types. [`RuntimeConfig`] gives the result of both passes. Other documents are decoded in one pass:
//! [`Document::tree`].
//!
//! Pure: bytes in, a tree out. The size of a tree is bounded, so that aliases cannot make a large tree of a small text.

mod aliases;
mod document;
mod encode;
mod error;
mod first_pass;
mod graph;
mod node;
mod reader;
mod resolve;
mod runtime_config;
mod timestamp;
mod tree;
mod value;

pub use document::{Document, RootKind};
pub use error::{Error, ErrorKind};
pub use graph::MAX_VALUES;
pub use node::{Content, Entry, Node, Position, Scalar};
pub use resolve::{Resolved, resolve};
pub use runtime_config::{RuntimeConfig, unmarshal_error};
pub use tree::{DuplicateKey, Tree};
