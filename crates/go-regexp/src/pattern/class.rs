//! Classes of characters: `[..]`, and what may stand in them.

use std::fmt::Write;

use super::PatternError;
use super::escape::{self, Escaped};

/// A class that holds nothing, as an item of a class.
const EMPTY_CLASS: &str = r"[^\x{0}-\x{10FFFF}]";
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
/// Go's categories, but for `Cs`.
const CATEGORIES: [&str; 37] = [
    "C", "Cc", "Cf", "Cn", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P",
    "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "LC",
];

/// The names in Go's `unicode.Scripts` (Unicode 15, Go 1.21 to 1.26). The `regex` crate knows them all, in more spellings than
/// Go, and the scripts of newer versions of Unicode.
const SCRIPTS: &str = include_str!("scripts.txt");

/// Whether Go knows a script by this name, spelled so.
fn is_script(name: &str) -> bool {
    SCRIPTS.lines().any(|known| known == name)
}

/// Translates what follows a `[`, and gives the text behind the class.
pub(super) fn translate(text: &str) -> Result<(String, &str), PatternError> {
    let inverse = text.strip_prefix('^');
    let mut rest = inverse.unwrap_or(text);
    let mut out = String::from(if inverse.is_some() { "[^" } else { "[" });
    let mut first = true;
    loop {
        if let (Some(behind), false) = (rest.strip_prefix(']'), first) {
            out.push(']');
            return Ok((out, behind));
        }
        first = false;
        rest = match named(rest, &mut out)? {
            Some(behind) => behind,
            None => item(rest, &mut out)?,
        };
    }
}

/// Where in the text behind a `[` the item begins that is none.
pub(super) fn faulty_item(text: &str) -> &str {
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    let mut ignored = String::new();
    let mut next = |text| match named(text, &mut ignored)? {
        Some(behind) => Ok::<_, PatternError>(behind),
        None => item(text, &mut ignored),
    };
    while let Ok(behind) = next(rest) {
        rest = behind;
    }
    rest
}

/// Reads `[:alpha:]`, if the text begins with such a name.
fn named<'t>(text: &'t str, out: &mut String) -> Result<Option<&'t str>, PatternError> {
    let Some((inner, rest)) = text.strip_prefix("[:").and_then(|text| text.split_once(":]")) else { return Ok(None) };
    let name = inner.strip_prefix('^').unwrap_or(inner);
    if !NAMED.contains(&name) {
        return Err(PatternError::InvalidCharRange);
    }
    out.push_str(&format!("[:{inner}:]"));
    Ok(Some(rest))
}

/// Reads a class such as `\d`, a character or a range.
fn item<'t>(text: &'t str, out: &mut String) -> Result<&'t str, PatternError> {
    let (low, rest) = match character_or_class(text)? {
        (Escaped::Class(items), rest) => {
            out.push_str(&items);
            return Ok(rest);
        }
        (Escaped::Character(low), rest) => (low, rest),
        _ => return Err(PatternError::InvalidEscape),
    };
    let range = rest.strip_prefix('-').filter(|behind| !behind.is_empty() && !behind.starts_with(']'));
    let (high, rest) = match range.map(character_or_class).transpose()? {
        None => (low, rest),
        Some((Escaped::Character(high), rest)) if low <= high => (high, rest),
        Some((Escaped::Character(_), _)) => return Err(PatternError::InvalidCharRange),
        // `[a-\d]`: a class is no end of a range.
        Some(_) => return Err(PatternError::InvalidEscape),
    };
    push_range(low, high, out);
    Ok(rest)
}

pub(super) fn character_or_class(text: &str) -> Result<(Escaped<'_>, &str), PatternError> {
    if let Some(escaped) = text.strip_prefix('\\') {
        return escape::read_in_class(escaped);
    }
    let mut characters = text.chars();
    let character = characters.next().ok_or(PatternError::MissingBracket)?;
    Ok((Escaped::Character(u32::from(character)), characters.as_str()))
}

/// A character on its own. One that no text holds (a surrogate) matches nothing.
pub(super) fn character(code: u32) -> String {
    match char::from_u32(code) {
        Some(character) if character.is_alphanumeric() => character.to_string(),
        Some(_) => format!(r"\x{{{code:X}}}"),
        None => EMPTY_CLASS.to_owned(),
    }
}

/// A range as an item of a class, without the surrogates in it.
fn push_range(low: u32, high: u32, out: &mut String) {
    let low = if char::from_u32(low).is_some() { low } else { 0xe000 };
    let high = if char::from_u32(high).is_some() { high } else { 0xd7ff };
    if low <= high {
        // Writing into a string does not fail.
        let _ = write!(out, r"\x{{{low:X}}}-\x{{{high:X}}}");
    } else {
        out.push_str(EMPTY_CLASS);
    }
}

/// Reads what follows `\p` or `\P` into items of a class.
pub(super) fn unicode(text: &str, mut inverse: bool) -> Result<(String, &str), PatternError> {
    let (name, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or(PatternError::InvalidCharRange)?,
        None => text.split_at(text.chars().next().map_or(0, char::len_utf8)),
    };
    let stripped = name.strip_prefix('^');
    inverse ^= stripped.is_some();
    let name = stripped.unwrap_or(name);
    let sign = if inverse { 'P' } else { 'p' };
    let items = match name {
        "Any" if inverse => EMPTY_CLASS.to_owned(),
        "Any" => r"\x{0}-\x{10FFFF}".to_owned(),
        "Cs" if inverse => r"\x{0}-\x{10FFFF}".to_owned(),
        "Cs" => EMPTY_CLASS.to_owned(),
        name if CATEGORIES.contains(&name) => format!(r"\{sign}{{gc={name}}}"),
        name if is_script(name) => format!(r"\{sign}{{sc={name}}}"),
        _ => return Err(PatternError::InvalidCharRange),
    };
    Ok((items, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;

    #[test]
    fn every_script_compiles_and_no_other_spelling() {
        assert!(SCRIPTS.lines().is_sorted());
        for name in SCRIPTS.lines() {
            assert!(Pattern::compile(&format!(r"\p{{{name}}}\P{{^{name}}}")).is_ok(), "{name}");
            assert!(Pattern::compile(&format!(r"\p{{{}}}", name.to_uppercase())).is_err(), "{name}");
        }
    }
}
