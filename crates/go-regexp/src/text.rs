//! Bytes as Go's regexps and case mappings read them: each byte that is no part of a character is U+FFFD.

use std::borrow::Cow;

/// `bytes` with one U+FFFD for every byte that is not UTF-8; borrowed where there is none.
///
/// [`String::from_utf8_lossy`] takes several such bytes for one character.
pub fn read(bytes: &[u8]) -> Cow<'_, str> {
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

/// Where in `bytes` the place `offset` of `read(bytes)` is.
pub(crate) fn origin(bytes: &[u8], offset: usize) -> usize {
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
        assert_eq!(read(bytes), text);
        let places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
        let found: Vec<_> = places.map(|place| origin(bytes, place)).collect();
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
