//! Regular expressions as Go's `regexp` has them, anchored as Prometheus anchors them, on the `regex` crate.
//!
//! [`Pattern::compile`] says whether Go takes an expression, and why not; [`Template`] expands what a match found as Go's
//! `Regexp.Expand` does. What they search may be any bytes: [`read_text`] makes of them what Go sees.
//!
//! Invariants:
//! - No expression, template or value panics, and each search takes time that is linear in the value.
//! - What one compiled expression takes is bounded, and so is what an expansion writes ([`MAX_EXPANDED_BYTES`]).
//! - An expression that Go takes is a [`Pattern`] or [`PatternError::TooLarge`], and no other error.

mod pattern;
mod template;
mod text;

pub use pattern::{Groups, MAX_COMPILED_BYTES, Pattern, PatternError, SyntaxError};
pub use template::Template;
pub use text::read as read_text;

/// An expansion ends early once it has written more than this, in bytes. Go has no such bound.
pub const MAX_EXPANDED_BYTES: usize = 256 << 10;
