//! Validation of exemplars (`validateExemplar` in Mimir's `pkg/distributor`).

/// The most characters of an exemplar's labels, names and values together.
const MAX_CHARACTERS: usize = 128;

/// Bytes of the longest character.
const LONGEST_CHARACTER: usize = 4;

/// An exemplar so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exemplar {
    /// In Unix milliseconds.
    pub time: i64,
    characters: usize,
    has_label: bool,
}

impl Exemplar {
    /// Adds a label; returns how many bytes were examined: none of a text that is too long in any case.
    pub(crate) fn label(&mut self, name: &[u8], value: &[u8]) -> usize {
        self.has_label |= !name.is_empty() && !value.is_empty();
        self.count(name) + self.count(value)
    }

    fn count(&mut self, text: &[u8]) -> usize {
        if self.characters > MAX_CHARACTERS {
            return 0;
        }
        if text.len() > MAX_CHARACTERS * LONGEST_CHARACTER {
            self.characters = MAX_CHARACTERS + 1;
            return 0;
        }
        self.characters += characters(text);
        text.len()
    }

    /// Whether it is kept, if its time is valid.
    pub(crate) fn is_valid(&self) -> bool {
        self.has_label && self.characters <= MAX_CHARACTERS && self.time != 0
    }
}

/// Characters as Go counts them: an invalid byte is one.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[(&[u8], &[u8])], time: i64, expected: bool) {
        let mut exemplar = Exemplar { time, ..Exemplar::default() };
        labels.iter().for_each(|(name, value)| {
            exemplar.label(name, value);
        });
        assert_eq!(exemplar.is_valid(), expected, "{labels:02x?} at {time}");
    }

    #[test]
    fn an_exemplar_needs_a_nonempty_label_and_a_time() {
        check(&[(b"a", b"b")], 1, true);
        check(&[(b"a", b"b")], -1, true);
        check(&[(b"a", b"b")], 0, false);
        check(&[], 1, false);
        check(&[(b"a", b""), (b"", b"b")], 1, false);
        check(&[(b"a", b""), (b"a", b"b")], 1, true);
    }

    #[test]
    fn labels_of_an_exemplar_have_at_most_128_characters() {
        check(&[(b"a", &[b'x'; 127])], 1, true);
        check(&[(b"a", &[b'x'; 128])], 1, false);
        check(&[(b"a", "ü".repeat(127).as_bytes())], 1, true);
        check(&[(b"a", "ü".repeat(128).as_bytes())], 1, false);
        check(&[(b"a", &[b'x'; 60]), (b"b", &[b'x'; 66])], 1, true);
        check(&[(b"a", &[b'x'; 60]), (b"b", &[b'x'; 67])], 1, false);
    }

    #[test]
    fn a_text_is_looked_at_no_further_than_it_matters() {
        let mut exemplar = Exemplar { time: 1, ..Exemplar::default() };
        assert_eq!(exemplar.label("𝄞".repeat(127).as_bytes(), b"x"), 4 * 127 + 1);
        assert!(exemplar.is_valid());
        assert_eq!(exemplar.label(&[b'x'; 513], b"x"), 0);
        assert!(!exemplar.is_valid());
        assert_eq!(exemplar.label(b"a", b"b"), 0);
    }

    #[test]
    fn a_byte_of_no_character_counts_as_one() {
        assert_eq!(characters(b"\xff\xfe"), 2);
        assert_eq!(characters(b"\xe2\x82a"), 3);
        assert_eq!(characters("a\u{20ac}".as_bytes()), 2);
    }
}
