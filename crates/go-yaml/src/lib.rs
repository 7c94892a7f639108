//! YAML as Go's yaml.v3 reads it, and as it writes it again (`go.yaml.in/yaml/v3`, as Grafana Mimir uses it).
//!
//! Mimir decodes its runtime configuration twice: first into maps of anything, which are merged and written as YAML once
//! more, then that text into its own types. What a document means is what comes out of both: [`RuntimeConfig`]. Other
//! documents are decoded once: [`Document::decode_once`].
//!
//! Pure: bytes come in, a tree goes out. What a tree may hold is bounded, so that a small text becomes no large tree.

mod aliases;
mod characters;
mod document;
mod encode;
mod error;
mod first_pass;
mod graph;
mod node;
mod once;
mod resolve;
mod runtime_config;
mod timestamp;
mod value;

use characters::characters;
pub use document::{Document, Root};
pub use error::{Error, Fault};
pub use graph::MAX_VALUES;
pub use node::{Content, Entry, Node, Place, Scalar};
pub use once::{Duplicate, Tree};
pub use resolve::{Resolved, resolve};
pub use runtime_config::{RuntimeConfig, of_source};
