//! YAML as Go's yaml.v3 reads it, and as it writes it again (`go.yaml.in/yaml/v3`, as Grafana Mimir uses it).
//!
//! Mimir decodes its runtime configuration twice: first into maps of anything, which are merged and written as YAML once
//! more, then that text into its own types. What a document means is what comes out of both.

mod node;
mod resolve;

pub use node::{Content, Entry, Node, Place, Scalar};
pub use resolve::{Resolved, resolve};
