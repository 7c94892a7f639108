//! The text of Go's error for an expression (`Error` in its `regexp/syntax`): an error code and the faulty part.

use super::escape::{self, Escaped};
use super::syntax::Context;
use super::{PatternError, class};

/// Go's error text.
pub(super) fn render(error: PatternError, context: &Context<'_>) -> String {
    let (what, part) = match error {
        PatternError::TooLarge => return String::new(),
        PatternError::MissingParen => ("missing closing )", context.expression),
        PatternError::UnexpectedParen => ("unexpected )", context.expression),
        PatternError::MissingBracket => ("missing closing ]", context.token),
        PatternError::InvalidRepeatSize => ("invalid repeat count", before(context.token, context.rest)),
        PatternError::InvalidRepeatOp => match context.repetition {
            Some(repetition) => ("invalid nested repetition operator", before(repetition, context.rest)),
            None => ("missing argument to repetition operator", before(context.token, context.rest)),
        },
        PatternError::InvalidPerlOp => group(context),
        PatternError::InvalidCharRange | PatternError::InvalidEscape => match context.token.strip_prefix('[') {
            Some(text) => item(class::faulty_item(text)),
            None => escape(context.token),
        },
    };
    format!("error parsing regexp: {what}: `{part}`")
}

/// What of `text` stands before `rest`, with which it ends.
fn before<'t>(text: &'t str, rest: &str) -> &'t str {
    text.len().checked_sub(rest.len()).and_then(|length| text.get(..length)).unwrap_or(text)
}

fn group<'e>(context: &Context<'e>) -> (&'static str, &'e str) {
    const NAME: &str = "invalid named capture";
    const OTHER: &str = "invalid or unsupported Perl syntax";
    let token = context.token;
    let named = ["(?P<", "(?<"].into_iter().find(|start| token.starts_with(start));
    match (named, token.find('>')) {
        // Go reads no name where the expression ends before it.
        (Some("(?P<"), _) if token.len() == 4 => (OTHER, "(?P"),
        (Some(start), _) if token.len() == start.len() => (OTHER, token),
        (Some(_), Some(end)) => (NAME, token.get(..=end).unwrap_or(token)),
        (Some(_), None) => (NAME, token),
        (None, _) => (OTHER, before(token, context.rest)),
    }
}

/// An item of a class: `[:foo:]`, an escape, or a range whose ends are the wrong way round.
fn item(text: &str) -> (&'static str, &str) {
    const RANGE: &str = "invalid character class range";
    if let Some(end) = text.strip_prefix("[:").and_then(|name| name.find(":]")) {
        return (RANGE, text.get(..end + 4).unwrap_or(text));
    }
    match class::character_or_class(text) {
        Ok((_, rest)) => {
            let high = rest.strip_prefix('-').unwrap_or(rest);
            match class::character_or_class(high) {
                Ok((Escaped::Character(_), rest)) => (RANGE, before(text, rest)),
                // A class is no end of a range, and Go does not look for its name.
                _ => escape_of_character(high),
            }
        }
        Err(_) => escape(text),
    }
}

/// A backslash, and what Go had read behind it when it gave up.
fn escape(text: &str) -> (&'static str, &str) {
    match text.strip_prefix(r"\p").or_else(|| text.strip_prefix(r"\P")) {
        None => escape_of_character(text),
        Some(name) => {
            let length = match name.strip_prefix('{') {
                Some(name) => name.find('}').map_or(text.len(), |end| end + 4),
                None => 2 + name.chars().next().map_or(0, char::len_utf8),
            };
            ("invalid character class range", text.get(..length).unwrap_or(text))
        }
    }
}

fn escape_of_character(text: &str) -> (&'static str, &str) {
    let mut characters = text.chars();
    let read = match (characters.next(), characters.next()) {
        (_, None) => return ("trailing backslash at end of expression", ""),
        (_, Some('x')) => hexadecimal(characters.as_str()),
        _ => characters.as_str(),
    };
    ("invalid escape sequence", before(text, read))
}

/// What follows when Go gives up on the digits of `\x`.
fn hexadecimal(text: &str) -> &str {
    let Some(digits) = text.strip_prefix('{') else {
        let mut characters = text.chars();
        characters.nth(1);
        return characters.as_str();
    };
    let mut code: u32 = 0;
    for (place, character) in digits.char_indices() {
        code = character.to_digit(16).map_or(u32::MAX, |digit| code.saturating_mul(16).saturating_add(digit));
        if code > escape::MAX_CODE {
            return digits.get(place + character.len_utf8()..).unwrap_or_default();
        }
    }
    ""
}

#[cfg(test)]
mod tests;
