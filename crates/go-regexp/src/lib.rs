//! Go's regular expressions (RE2 syntax), anchored as Prometheus anchors them, on the `regex` crate.
//!
//! [`Pattern::compile`] accepts and rejects the expressions that Go does; [`Template`] expands a match as Go's
//! `Regexp.Expand` does. The searched value may be any bytes: [`decode_utf8`] decodes them as Go does.
//!
//! Invariants:
//! - No expression, template or value panics, and each search takes time that is linear in the value.
//! - The size of a compiled expression is bounded, and so is the length of an expansion ([`MAX_EXPANDED_BYTES`]).
//! - An expression that Go accepts is a [`Pattern`] or [`PatternError::TooLarge`], and no other error.

mod pattern;
mod template;
mod text;

pub use pattern::{Groups, MAX_COMPILED_BYTES, Pattern, PatternError, SyntaxError};
pub use template::Template;
pub use text::decode as decode_utf8;

/// An expansion ends early once it has written more than this, in bytes. Go has no such bound.
pub const MAX_EXPANDED_BYTES: usize = 256 << 10;
