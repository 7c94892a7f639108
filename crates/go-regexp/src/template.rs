//! Replacements with references to groups, expanded as Go's `Regexp.Expand` does.
//!
//! `$name` takes the longest run of letters, digits and `_`, so `$1x` is the group named `1x`. `${name}` ends at the brace,
//! `$$` is one `$`, a `$` before anything else stands for itself, and a group that is not there is empty.

use std::sync::LazyLock;

use regex::Regex;

use crate::MAX_EXPANDED_BYTES;
use crate::pattern::{Groups, Pattern};

/// What Go takes for a name: letters, decimal digits and `_`. `None` never happens: the expression is right.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}_]+").ok());

/// A replacement, with its references resolved for one expression.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    has_references: bool,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    /// The first of these groups that took part in the match; 0 is the whole match.
    Group(Vec<usize>),
}

impl Template {
    /// Reads a replacement for the matches of `pattern`; every text is one.
    #[must_use]
    pub fn compile(text: &str, pattern: &Pattern) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut pieces, before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                push_text(&mut pieces, "$");
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                pieces.push(Piece::Group(resolve(name, pattern)));
                rest = after;
            } else {
                push_text(&mut pieces, "$");
            }
        }
        push_text(&mut pieces, rest);
        Template { pieces, has_references: text.contains('$') }
    }

    /// The text, if it has no `$`.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            _ if self.has_references => None,
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether the groups of a match, or the whole match, are needed.
    #[must_use]
    pub fn needs_groups(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Group(_)))
    }

    /// Writes the replacement for a match, and ends early once there is more than
    /// [`MAX_EXPANDED_BYTES`] in `result`.
    pub fn expand(&self, groups: &Groups<'_>, result: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => result.extend_from_slice(text.as_bytes()),
                Piece::Group(numbers) => {
                    let group = numbers.iter().find_map(|number| groups.get(*number));
                    result.extend_from_slice(group.unwrap_or_default());
                }
            }
            if result.len() > MAX_EXPANDED_BYTES {
                break;
            }
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

/// The name behind a `$`, and what follows; `None` if the `$` stands for itself.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{');
    let start = inner.unwrap_or(text);
    let (name, rest) = start.split_at(NAME.as_ref()?.find(start)?.end());
    let rest = if inner.is_some() { rest.strip_prefix('}')? } else { rest };
    Some((name, rest))
}

/// The groups that a name refers to. A number without leading zeros is a group number, even if a group has that name.
fn resolve(name: &str, pattern: &Pattern) -> Vec<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    // What does not fit is more than any expression has groups.
    if is_number { name.parse().into_iter().collect() } else { pattern.groups_named(name) }
}
