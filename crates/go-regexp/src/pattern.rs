//! Expressions, compiled with the `regex` crate, which searches as Go does: leftmost-first, in linear time.
//! [`syntax`] translates Go's syntax, and [`text`] decodes the searched bytes as Go does.

use std::borrow::Cow;
use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use thiserror::Error;

use crate::template::Template;
use crate::{MAX_EXPANDED_BYTES, text};

mod class;
mod escape;
mod go_error;
mod size;
mod syntax;

use syntax::Translation;

/// The longest expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 64 << 10;
/// The largest compiled expression, in bytes; Go's own bound is far above it.
pub const MAX_COMPILED_BYTES: usize = 4 << 20;
/// The size of a search's lazy DFA cache, in bytes, for each thread that searches.
const MAX_SEARCH_BYTES: usize = 512 << 10;
/// How deep groups may nest; Go has 1000.
const MAX_DEPTH: usize = 200;

/// Why an expression cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A `(` without its `)`.
    #[error(r"has a ( without ): close it, or write \( for the character")]
    MissingParen,
    /// A `)` without its `(`.
    #[error(r"has a ) without (: remove it, or write \) for the character")]
    UnexpectedParen,
    /// A `[` without its `]`.
    #[error(r"has a [ without ]: close it, or write \[ for the character")]
    MissingBracket,
    /// `[b-a]`, or a class such as `\pX` that does not exist.
    #[error(r"has a class or range of characters that does not exist: write one such as [a-z], \d or \p{{Greek}}")]
    InvalidCharRange,
    /// `\8`, `\y`, or a backslash at the end.
    #[error(r"has a \ that RE2 does not know: write \\ for the character")]
    InvalidEscape,
    /// `(?x)`, `(?=a)`, `(?P<>a)`.
    #[error("has a (? that RE2 does not know: write (?:a), (?P<name>a), or flags of i, m, s and U")]
    InvalidPerlOp,
    /// `*` with nothing before it, or `a**`.
    #[error("repeats what cannot be repeated: write *, +, ? and {{}} once, behind what they repeat")]
    InvalidRepeatOp,
    /// More than a thousand repetitions, or `{2,1}`.
    #[error("repeats more than 1000 times, or has a {{2,1}}: write at most 1000, the smaller number first")]
    InvalidRepeatSize,
    /// Larger or deeper than the edge holds. Mimir may accept it.
    #[error(
        "is too large: it has over {MAX_EXPRESSION_BYTES} bytes or {MAX_DEPTH} levels, or compiles to over \
         {MAX_COMPILED_BYTES} bytes"
    )]
    TooLarge,
}

/// Why Go rejects an expression, with our message and Go's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct SyntaxError {
    /// What is wrong and how to fix it.
    pub error: PatternError,
    /// Go's error, such as ``error parsing regexp: missing closing ): `(` ``; empty for [`PatternError::TooLarge`].
    pub go: String,
}

/// A compiled expression that matches whole values, as in Prometheus.
#[derive(Debug)]
pub struct Pattern {
    /// `None` is `(.*)`, which needs no search: it matches everything, and group 1 is all of it.
    regex: Option<Regex>,
    names: Vec<(Box<str>, usize)>,
    branches: usize,
}

/// The groups of one match.
#[derive(Debug)]
pub struct Groups<'v>(Found<'v>);

#[derive(Debug)]
enum Found<'v> {
    /// The whole value is groups 0 and 1.
    Everything(&'v [u8]),
    /// Groups in the value as Go reads it.
    Captured(&'v Captures<'v>, Haystack<'v>),
}

/// A value that is searched.
#[derive(Clone, Copy, Debug)]
struct Haystack<'v> {
    value: &'v [u8],
    /// Whether it is UTF-8, so that its offsets are those of the decoded text.
    is_text: bool,
}

impl<'v> Haystack<'v> {
    fn read(value: &'v [u8]) -> (Self, Cow<'v, str>) {
        let text = text::decode(value);
        (Haystack { value, is_text: matches!(text, Cow::Borrowed(_)) }, text)
    }

    /// The bytes of a range of the decoded text.
    fn part(self, range: Range<usize>) -> &'v [u8] {
        let offset = |at| if self.is_text { at } else { text::source_offset(self.value, at) };
        self.value.get(offset(range.start)..offset(range.end)).unwrap_or_default()
    }
}

impl<'v> Groups<'v> {
    fn everything(value: &'v [u8]) -> Self {
        Groups(Found::Everything(value))
    }

    /// The bytes of a group, if it exists and took part in the match; 0 is the whole match.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&'v [u8]> {
        match self.0 {
            Found::Everything(value) => (number < 2).then_some(value),
            Found::Captured(captures, haystack) => captures.get(number).map(|group| haystack.part(group.range())),
        }
    }
}

impl Pattern {
    /// The expression between `^(?s:` and `)$`, which it may break out of (`a)|(b`), as in Prometheus.
    ///
    /// # Errors
    /// Why Go rejects it, or that it is too large for the edge, which says nothing about Go.
    pub fn compile(expression: &str) -> Result<Self, PatternError> {
        if expression == "(.*)" {
            return Ok(Pattern { regex: None, names: Vec::new(), branches: 0 });
        }
        if expression.len() > MAX_EXPRESSION_BYTES {
            return Err(PatternError::TooLarge);
        }
        let Translation { expression, names, branches, .. } = syntax::translate(&anchored(expression))?;
        let mut builder = RegexBuilder::new(&expression);
        builder.size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_SEARCH_BYTES);
        // Each level of Go's has up to two groups around it in the translation.
        builder.nest_limit(4 * u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX));
        let regex = builder.build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            // Does not happen: the translation is right by construction.
            _ => PatternError::InvalidCharRange,
        })?;
        Ok(Pattern { regex: Some(regex), names, branches })
    }

    /// An upper bound for the size of the compiled expression, in bytes, without compiling it. Up to
    /// [`MAX_COMPILED_BYTES`] it surely compiles, above that it may be too large. Real expressions are far below.
    ///
    /// # Errors
    /// As [`Pattern::compile`], except that the compiled size is not checked.
    pub fn max_compiled_bytes(expression: &str) -> Result<usize, PatternError> {
        if expression.len() > MAX_EXPRESSION_BYTES {
            return Err(PatternError::TooLarge);
        }
        Ok(syntax::translate(&anchored(expression))?.max_bytes)
    }

    /// Whether Go accepts the expression without anchors around it. Compiles nothing, in linear time.
    ///
    /// # Errors
    /// Why Go rejects it, or [`PatternError::TooLarge`], which says nothing about Go.
    pub fn check(expression: &str) -> Result<(), SyntaxError> {
        if expression.len() > MAX_EXPRESSION_BYTES {
            return Err(SyntaxError { error: PatternError::TooLarge, go: String::new() });
        }
        syntax::check(expression)
    }

    /// Whether it is `(.*)`, Prometheus' default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.regex.is_none()
    }

    /// How many NFA threads a search may have to step for each character: the alternatives and repetitions of the expression,
    /// `x{1,500}` being 500. 0 if nothing is repeated: of mere alternatives few are left after the first characters.
    #[must_use]
    pub fn branches(&self) -> usize {
        self.branches
    }

    /// The groups of this name, which may be several.
    pub(crate) fn groups_named(&self, name: &str) -> Vec<usize> {
        self.names.iter().filter(|(own, _)| **own == *name).map(|(_, number)| *number).collect()
    }

    /// Whether it matches the value.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(&text::decode(value)))
    }

    /// Calls `use_match` on the first match and returns its result. If it needs no groups, none are searched.
    pub fn first_match<R>(
        &self,
        value: &[u8],
        needs_groups: bool,
        use_match: impl FnOnce(&Groups<'_>) -> R,
    ) -> Option<R> {
        let Some(regex) = &self.regex else { return Some(use_match(&Groups::everything(value))) };
        if !needs_groups {
            return self.is_match(value).then(|| use_match(&Groups::everything(value)));
        }
        let (haystack, text) = Haystack::read(value);
        let captures = regex.captures(&text)?;
        Some(use_match(&Groups(Found::Captured(&captures, haystack))))
    }

    /// Go's `ReplaceAllString`: more than one match is possible where the expression breaks out of its anchors (`a)|(b`).
    pub fn replace_all(&self, value: &[u8], template: &Template, result: &mut Vec<u8>) {
        let Some(regex) = &self.regex else { return template.expand(&Groups::everything(value), result) };
        let (haystack, text) = Haystack::read(value);
        let mut end = 0;
        for captures in regex.captures_iter(&text) {
            let whole = captures.get_match().range();
            result.extend_from_slice(haystack.part(end..whole.start));
            template.expand(&Groups(Found::Captured(&captures, haystack)), result);
            end = whole.end;
            if result.len() > MAX_EXPANDED_BYTES {
                break;
            }
        }
        result.extend_from_slice(haystack.part(end..text.len()));
    }
}

fn anchored(expression: &str) -> String {
    format!("^(?s:{expression})$")
}

#[cfg(test)]
mod tests;
