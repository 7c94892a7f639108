//! UTF-8 decoding as in Go's `regexp` and `strings`: each invalid byte is one U+FFFD.

use std::borrow::Cow;

/// `bytes` with one U+FFFD for every invalid byte; borrowed if there is none. [`String::from_utf8_lossy`] instead replaces
/// several invalid bytes with one character.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// The offset in `bytes` of an offset in `decode(bytes)`.
pub(crate) fn source_offset(bytes: &[u8], offset: usize) -> usize {
    let (mut read, mut passed) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        let (valid, invalid) = (chunk.valid().len(), chunk.invalid().len());
        let replaced = invalid * char::REPLACEMENT_CHARACTER.len_utf8();
        if offset < read + valid + replaced {
            let inside = offset - read;
            let behind = inside.saturating_sub(valid) / char::REPLACEMENT_CHARACTER.len_utf8();
            return passed + inside.min(valid) + behind;
        }
        read += valid + replaced;
        passed += valid + invalid;
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], text: &str, origins: &[usize]) {
        assert_eq!(decode(bytes), text);
        let places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
        let found: Vec<_> = places.map(|place| source_offset(bytes, place)).collect();
        assert_eq!(found, origins, "{bytes:?}");
    }

    #[test]
    fn every_byte_that_is_no_character_is_one_replacement() {
        check(b"", "", &[0]);
        check("aß".as_bytes(), "aß", &[0, 1, 3]);
        check(b"a\xffb", "a\u{fffd}b", &[0, 1, 2, 3]);
        check(b"\xe2\x82", "\u{fffd}\u{fffd}", &[0, 1, 2]);
        check(b"\xe2\x82x\xc3\xa4\x80", "\u{fffd}\u{fffd}xä\u{fffd}", &[0, 1, 2, 3, 5, 6]);
    }
}
