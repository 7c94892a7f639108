//! What a backslash makes of the characters behind it.

use super::{PatternError, class};

/// The largest code of a character.
pub(super) const MAX_CODE: u32 = 0x0010_ffff;

/// What a backslash and what follows it stand for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escaped<'e> {
    /// An empty-width assertion, translated.
    Assertion(&'static str),
    /// Characters that stand for themselves.
    Quoted(&'e str),
    /// Items of a class, translated.
    Class(String),
    /// One character, which may be a surrogate.
    Character(u32),
}

/// Reads what follows a backslash outside of classes, and gives the text behind it.
pub(super) fn read(text: &str) -> Result<(Escaped<'_>, &str), PatternError> {
    let mut characters = text.chars();
    let assertion = match characters.next() {
        Some('A') => r"\A",
        Some('z') => r"\z",
        Some('b') => r"(?-u:\b)",
        Some('B') => r"(?-u:\B)",
        Some('Q') => {
            let quoted = characters.as_str();
            let (quoted, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            return Ok((Escaped::Quoted(quoted), rest));
        }
        _ => return read_in_class(text),
    };
    Ok((Escaped::Assertion(assertion), characters.as_str()))
}

/// Reads what follows a backslash in a class, and gives the text behind it.
pub(super) fn read_in_class(text: &str) -> Result<(Escaped<'_>, &str), PatternError> {
    let mut characters = text.chars();
    let first = characters.next().ok_or(PatternError::InvalidEscape)?;
    let rest = characters.as_str();
    let code = match first {
        'd' => return Ok((items("0-9"), rest)),
        'D' => return Ok((items("[^0-9]"), rest)),
        's' => return Ok((items(r"\t\n\f\r\x20"), rest)),
        'S' => return Ok((items(r"[^\t\n\f\r\x20]"), rest)),
        'w' => return Ok((items("0-9A-Za-z_"), rest)),
        'W' => return Ok((items("[^0-9A-Za-z_]"), rest)),
        'p' | 'P' => return class::unicode(rest, first == 'P').map(|(items, rest)| (Escaped::Class(items), rest)),
        'x' => return hexadecimal(rest),
        '1'..='7' if rest.starts_with(|next| matches!(next, '0'..='7')) => return Ok(octal(text)),
        '0' => return Ok(octal(text)),
        'a' => 0x07,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => u32::from(other),
        _ => return Err(PatternError::InvalidEscape),
    };
    Ok((Escaped::Character(code), rest))
}

fn items(items: &str) -> Escaped<'static> {
    Escaped::Class(items.to_owned())
}

/// Up to three digits.
fn octal(text: &str) -> (Escaped<'_>, &str) {
    let digits = text.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, rest) = text.split_at(digits);
    (Escaped::Character(u32::from_str_radix(digits, 8).unwrap_or_default()), rest)
}

/// Two digits, or any number of them in braces.
fn hexadecimal(text: &str) -> Result<(Escaped<'_>, &str), PatternError> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}'),
        None => text.split_at_checked(2),
    }
    .ok_or(PatternError::InvalidEscape)?;
    let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Any number of zeros may stand in front.
    let significant = digits.trim_start_matches('0');
    let code = if significant.is_empty() { Ok(0) } else { u32::from_str_radix(significant, 16) };
    let code = code.ok().filter(|code| well_formed && *code <= MAX_CODE).ok_or(PatternError::InvalidEscape)?;
    Ok((Escaped::Character(code), rest))
}
