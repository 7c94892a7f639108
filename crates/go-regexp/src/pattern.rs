//! Expressions, compiled with the `regex` crate, which searches as Go does: leftmost-first, in linear time.
//!
//! Where the two languages differ in how an expression is written, [`syntax`] translates. Where they differ in what text
//! is, [`text`] does: Go matches any bytes, and takes each one that is no part of a character for U+FFFD.

use std::borrow::Cow;
use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use thiserror::Error;

use crate::template::Template;
use crate::{MAX_EXPANDED_BYTES, text};

mod class;
mod escape;
mod syntax;
mod weight;
mod wording;

use syntax::Translation;

/// The longest expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 64 << 10;
/// The most bytes that one compiled expression may take; Go's own bound is far above it.
pub const MAX_COMPILED_BYTES: usize = 4 << 20;
/// The most bytes that the tables of a search may take, for each thread that searches at once.
const MAX_SEARCH_BYTES: usize = 512 << 10;
/// How deep groups may nest; Go has 1000.
const MAX_DEPTH: usize = 200;

/// Why an expression cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A `(` without its `)`.
    #[error(r"has a ( without ): close it, or write \( for the character")]
    MissingParenthesis,
    /// A `)` without its `(`.
    #[error(r"has a ) without (: remove it, or write \) for the character")]
    UnexpectedParenthesis,
    /// A `[` without its `]`.
    #[error(r"has a [ without ]: close it, or write \[ for the character")]
    MissingBracket,
    /// `[b-a]`, or a class such as `\pX` that does not exist.
    #[error(r"has a class or range of characters that does not exist: write one such as [a-z], \d or \p{{Greek}}")]
    CharacterRange,
    /// `\8`, `\y`, or a backslash at the end.
    #[error(r"has a \ that RE2 does not know: write \\ for the character")]
    Escape,
    /// `(?x)`, `(?=a)`, `(?P<>a)`.
    #[error("has a (? that RE2 does not know: write (?:a), (?P<name>a), or flags of i, m, s and U")]
    Group,
    /// `*` with nothing before it, or `a**`.
    #[error("repeats what cannot be repeated: write *, +, ? and {{}} once, behind what they repeat")]
    Repetition,
    /// More than a thousand repetitions, or `{2,1}`.
    #[error("repeats more than 1000 times, or has a {{2,1}}: write at most 1000, the smaller number first")]
    RepetitionSize,
    /// Larger or deeper than the edge holds. Mimir may accept it.
    #[error(
        "is too large: it has over {MAX_EXPRESSION_BYTES} bytes or {MAX_DEPTH} levels, or compiles to over \
         {MAX_COMPILED_BYTES} bytes"
    )]
    TooLarge,
}

/// Why Go refuses an expression, in our words and in Go's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct SyntaxError {
    /// What is wrong and how to mend it.
    pub error: PatternError,
    /// Go's error, such as ``error parsing regexp: missing closing ): `(` ``; empty for [`PatternError::TooLarge`].
    pub go: String,
}

/// A compiled expression, which matches whole values as Prometheus has it.
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
    Captured(&'v Captures<'v>, Source<'v>),
}

/// A value that is searched.
#[derive(Clone, Copy, Debug)]
struct Source<'v> {
    value: &'v [u8],
    /// Whether it is UTF-8, so that places in it are those in what Go reads.
    is_text: bool,
}

impl<'v> Source<'v> {
    fn read(value: &'v [u8]) -> (Self, Cow<'v, str>) {
        let text = text::read(value);
        (Source { value, is_text: matches!(text, Cow::Borrowed(_)) }, text)
    }

    /// The bytes that Go reads as this part.
    fn part(self, range: Range<usize>) -> &'v [u8] {
        let origin = |place| if self.is_text { place } else { text::origin(self.value, place) };
        self.value.get(origin(range.start)..origin(range.end)).unwrap_or_default()
    }
}

impl<'v> Groups<'v> {
    fn everything(value: &'v [u8]) -> Self {
        Groups(Found::Everything(value))
    }

    /// The group's bytes, if there is such a group and it took part in the match; 0 is the whole match.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&'v [u8]> {
        match self.0 {
            Found::Everything(value) => (number < 2).then_some(value),
            Found::Captured(captures, source) => captures.get(number).map(|group| source.part(group.range())),
        }
    }
}

impl Pattern {
    /// The expression between `^(?s:` and `)$`, which it may break out of (`a)|(b`), as in Prometheus.
    ///
    /// # Errors
    /// Why Go refuses it, or that it is too large for the edge, which says nothing about Go.
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
            _ => PatternError::CharacterRange,
        })?;
        Ok(Pattern { regex: Some(regex), names, branches })
    }

    /// The most bytes that the expression compiles to, without compiling it: up to [`MAX_COMPILED_BYTES`] it is a pattern, above that it may be too
    /// large. Expressions as people write them are far below.
    ///
    /// # Errors
    /// As [`Pattern::compile`], of which only the size of what it compiles to is not known here.
    pub fn most_bytes(expression: &str) -> Result<usize, PatternError> {
        if expression.len() > MAX_EXPRESSION_BYTES {
            return Err(PatternError::TooLarge);
        }
        Ok(syntax::translate(&anchored(expression))?.most_bytes)
    }

    /// Whether Go takes the expression as it stands, without anchors around it. Nothing is compiled, and the time is linear.
    ///
    /// # Errors
    /// Why Go refuses it, or [`PatternError::TooLarge`], which says nothing about Go.
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

    /// How many ways a search may have to follow at once for each character: the alternatives and repetitions of the expression, `x{1,500}` being 500.
    /// 0 where nothing is repeated: of alternatives alone few are left after the first characters.
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
        self.regex.as_ref().is_none_or(|regex| regex.is_match(&text::read(value)))
    }

    /// What `use_match` makes of the first match. `needs_groups` false: it does not look at the groups, which need not be
    /// found then.
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
        let (source, text) = Source::read(value);
        let captures = regex.captures(&text)?;
        Some(use_match(&Groups(Found::Captured(&captures, source))))
    }

    /// Go's `ReplaceAllString`: more than one match is possible where the expression breaks out of its anchors (`a)|(b`).
    pub fn replace_all(&self, value: &[u8], template: &Template, result: &mut Vec<u8>) {
        let Some(regex) = &self.regex else { return template.expand(&Groups::everything(value), result) };
        let (source, text) = Source::read(value);
        let mut end = 0;
        for captures in regex.captures_iter(&text) {
            let whole = captures.get_match().range();
            result.extend_from_slice(source.part(end..whole.start));
            template.expand(&Groups(Found::Captured(&captures, source)), result);
            end = whole.end;
            if result.len() > MAX_EXPANDED_BYTES {
                break;
            }
        }
        result.extend_from_slice(source.part(end..text.len()));
    }
}

/// As Prometheus anchors it.
fn anchored(expression: &str) -> String {
    format!("^(?s:{expression})$")
}

#[cfg(test)]
mod tests;
