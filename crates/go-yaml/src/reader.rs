//! Decodes bytes as yaml.v3 does (its `readerc.go`): a byte order mark selects the encoding, and control characters are
//! errors.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};

/// Decodes UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// An invalid sequence, or a character that YAML does not allow.
pub(crate) fn decode_text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)?),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)?),
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(utf8(rest)?),
        _ => Cow::Borrowed(utf8(bytes)?),
    };
    if let Some(at) = text.match_indices('\u{feff}').map(|(at, _)| at).find(|at| begins_a_line(&text, *at)) {
        // yaml.v3 makes it a part of the next token.
        let message = "has a byte order mark within the text: remove it";
        return Err(Error::new(
            ErrorKind::Encoding,
            line_of(text.as_bytes(), at),
            message,
            "did not find expected key",
        ));
    }
    match text.char_indices().find(|(_, character)| !is_allowed(*character)) {
        None => Ok(text),
        Some((at, character)) => {
            let line = line_of(text.as_bytes(), at);
            let message = format!("has the control character U+{:04X}: remove it", u32::from(character));
            Err(Error::new(ErrorKind::Encoding, line, message, "control characters are not allowed"))
        }
    }
}

fn begins_a_line(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.is_empty() || before.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let is_leading = bytes.get(at).is_some_and(|byte| matches!(byte, 0xc2..=0xf4));
        let go = match error.error_len() {
            None => "incomplete UTF-8 octet sequence",
            Some(_) if is_leading => "invalid trailing UTF-8 octet",
            Some(_) => "invalid leading UTF-8 octet",
        };
        let message = format!("has bytes that are no UTF-8, the first at byte {at}: save it as UTF-8");
        Error::new(ErrorKind::Encoding, line_of(bytes, at), message, go)
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(units) {
        let Ok(character) = character else {
            return Err(half_a_character(&text, "unexpected low surrogate area"));
        };
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(half_a_character(&text, "incomplete UTF-16 character")) }
}

fn half_a_character(before: &str, go: &str) -> Error {
    let message = "has half a UTF-16 character: save it as UTF-8";
    Error::new(ErrorKind::Encoding, line_of(before.as_bytes(), before.len()), message, go)
}

fn is_allowed(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    let breaks = bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    u64::try_from(breaks).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_decides_on_the_encoding() {
        let little: Vec<u8> = "\u{feff}a: ä".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}a: ä".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little.as_slice(), &big, "\u{feff}a: ä".as_bytes(), "a: ä".as_bytes()] {
            assert_eq!(decode_text(bytes).as_deref(), Ok("a: ä"), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_rejected_with_its_line() {
        for (bytes, line, go) in [
            (b"a: 1\n\xff".as_slice(), 2, "yaml: invalid leading UTF-8 octet"),
            (b"a: \xc3(", 1, "yaml: invalid trailing UTF-8 octet"),
            (b"a: \xc3", 1, "yaml: incomplete UTF-8 octet sequence"),
            (b"\xff\xfea\0\n\0b", 2, "yaml: incomplete UTF-16 character"),
            (b"\xff\xfe\0\xdc", 1, "yaml: unexpected low surrogate area"),
            (b"a\0:\0", 1, "yaml: control characters are not allowed"),
            ("\u{feff}\u{feff}a: 1".as_bytes(), 1, "yaml: did not find expected key"),
            ("#\n\u{feff}a: 1".as_bytes(), 2, "yaml: did not find expected key"),
            (b"a: 1\n# \x7f", 2, "yaml: control characters are not allowed"),
            ("a: \u{9f}".as_bytes(), 1, "yaml: control characters are not allowed"),
            ("a: \u{ffff}".as_bytes(), 1, "yaml: control characters are not allowed"),
        ] {
            let error = decode_text(bytes).unwrap_err();
            assert_eq!((error.line, error.go.as_str()), (line, go), "{bytes:?}");
        }
        assert!(decode_text("\t\r\n\u{85}\u{2028}\u{1f600}".as_bytes()).is_ok());
    }
}
