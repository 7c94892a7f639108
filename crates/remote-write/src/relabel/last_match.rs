//! What a rule found last: consecutive series mostly have the same metric name, and most of their targets' labels.

/// Rules beyond the first ones remember nothing, so that the memory is bounded.
const MAX_RULES: usize = 16;

/// Longer texts are not remembered. Labels are shorter, as a rule.
const MAX_BYTES: usize = 256;

/// The last match of each of the first rules of one tenant. At most 16 KiB.
#[derive(Clone, Debug, Default)]
pub(super) struct LastMatches {
    of_rules: Vec<LastMatch>,
    /// Of all other rules: never known.
    spare: LastMatch,
}

/// The text that a rule matched last, and the result.
#[derive(Clone, Debug, Default)]
pub(super) struct LastMatch {
    is_known: bool,
    text: Vec<u8>,
    found: bool,
    target: Vec<u8>,
    result: Vec<u8>,
}

impl LastMatches {
    /// Forgets all: other rules follow.
    pub(super) fn forget(&mut self) {
        self.of_rules.iter_mut().for_each(|last| last.is_known = false);
    }

    /// That of the rule with this number, from 0.
    pub(super) fn of(&mut self, rule: usize) -> &mut LastMatch {
        if rule < MAX_RULES && self.of_rules.len() <= rule {
            self.of_rules.resize(rule + 1, LastMatch::default());
        }
        self.spare.is_known = false;
        self.of_rules.get_mut(rule).unwrap_or(&mut self.spare)
    }
}

impl LastMatch {
    /// Whether the rule finds anything in the text, by `find` if the text is another one than the last.
    pub(super) fn is_match(&mut self, text: &[u8], find: impl FnOnce() -> bool) -> bool {
        if !self.knows(text) {
            self.set(text, find(), &[], &[]);
        }
        self.found
    }

    /// The label and the value that the rule writes for a text, if the text is the last one; the inner `None` if it writes nothing.
    pub(super) fn written(&self, text: &[u8]) -> Option<Option<(&[u8], &[u8])>> {
        self.knows(text).then(|| self.found.then_some((&*self.target, &*self.result)))
    }

    /// Remembers the result for a text, if all of it is short.
    pub(super) fn set(&mut self, text: &[u8], found: bool, target: &[u8], result: &[u8]) {
        self.found = found;
        self.is_known = [text, target, result].iter().all(|text| text.len() <= MAX_BYTES);
        if self.is_known {
            for (own, text) in [(&mut self.text, text), (&mut self.target, target), (&mut self.result, result)] {
                own.clear();
                own.extend_from_slice(text);
            }
        }
    }

    fn knows(&self, text: &[u8]) -> bool {
        self.is_known && self.text == text
    }
}
