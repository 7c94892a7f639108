//! Go's `strings.ToLower` and `strings.ToUpper`: each character maps to one character, and an invalid byte to U+FFFD.

use go_regexp::decode_utf8;

/// Writes `value` in lower case.
pub(super) fn lower(value: &[u8], result: &mut Vec<u8>) {
    map(value, result, |character| match character {
        // Unicode's lower case has two characters; Go's is the first.
        'İ' => 'i',
        _ => single(character.to_lowercase(), character),
    });
}

/// Writes `value` in upper case.
pub(super) fn upper(value: &[u8], result: &mut Vec<u8>) {
    map(value, result, |character| match u32::from(character) {
        // Greek with iota subscript: Unicode's upper case has two characters, Go's is the one with iota adscript.
        code @ (0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7) => shifted(code, 8, character),
        code @ (0x1fb3 | 0x1fc3 | 0x1ff3) => shifted(code, 9, character),
        _ => single(character.to_uppercase(), character),
    });
}

fn shifted(code: u32, by: u32, otherwise: char) -> char {
    char::from_u32(code + by).unwrap_or(otherwise)
}

/// The mapping if it is one character; otherwise Go keeps the character.
fn single(mut mapped: impl ExactSizeIterator<Item = char>, otherwise: char) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(otherwise) } else { otherwise }
}

fn map(value: &[u8], result: &mut Vec<u8>, each: impl Fn(char) -> char) {
    let mut buffer = [0; 4];
    for character in decode_utf8(value).chars() {
        result.extend_from_slice(each(character).encode_utf8(&mut buffer).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &[u8], lowered: &[u8], uppered: &[u8]) {
        let (mut low, mut up) = (Vec::new(), Vec::new());
        lower(value, &mut low);
        upper(value, &mut up);
        assert_eq!((low.as_slice(), up.as_slice()), (lowered, uppered), "{value:?}");
    }

    #[test]
    fn maps_as_go_does() {
        check(b"", b"", b"");
        check(b"Pod-1", b"pod-1", b"POD-1");
        check("Ägäis".as_bytes(), "ägäis".as_bytes(), "ÄGÄIS".as_bytes());
        check("ß".as_bytes(), "ß".as_bytes(), "ß".as_bytes());
        check("İ".as_bytes(), b"i", "İ".as_bytes());
        check("ΑΣ".as_bytes(), "ασ".as_bytes(), "ΑΣ".as_bytes());
        check("ᾳᾀ".as_bytes(), "ᾳᾀ".as_bytes(), "ᾼᾈ".as_bytes());
        check("ﬁ".as_bytes(), "ﬁ".as_bytes(), "ﬁ".as_bytes());
        check(b"A\xffb", "a\u{fffd}b".as_bytes(), "A\u{fffd}B".as_bytes());
    }
}
