//! The mutable labels of one series: Go's `labels.Builder` as Mimir uses it.

use super::MAX_WRITTEN_BYTES;
use super::last_match::LastMatches;
use crate::labels::sorting_work;
use crate::work::{FREE_BYTES, shrink_vec};

/// The size of a label without its bytes.
const LABEL_BYTES: usize = size_of::<Label>();

/// The labels of one series: names and values of any bytes, in the order in which they were sent.
///
/// It has its own copy, and can be filled again after [`LabelSet::clear`] without allocation.
#[derive(Clone, Debug, Default)]
pub struct LabelSet {
    /// The bytes of the labels. Replaced bytes stay.
    bytes: Vec<u8>,
    labels: Vec<Label>,
    /// Bytes written since the last `clear`, other than by `push`.
    written: usize,
    order: Vec<(Label, usize)>,
    scratch: Scratch,
}

/// Reusable buffers for a rule run.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// The values of the source labels, joined.
    pub(super) value: Vec<u8>,
    /// The label to be written.
    pub(super) target: Vec<u8>,
    /// The value to be written.
    pub(super) result: Vec<u8>,
    /// The last match of each of the first rules.
    pub(super) matches: LastMatches,
}

#[derive(Clone, Copy, Debug, Default)]
struct Label {
    name: Span,
    value: Span,
}

/// A part of [`LabelSet::bytes`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl LabelSet {
    /// A set without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all labels; the buffers stay.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.labels.clear();
        self.written = 0;
    }

    /// Removes all labels and frees memory over `keep_bytes` in all; returns the bytes that are kept.
    pub fn shrink(&mut self, keep_bytes: usize) -> usize {
        self.clear();
        let share = keep_bytes / 6;
        let Scratch { value, target, result, matches } = &mut self.scratch;
        matches.forget();
        let texts = [&mut self.bytes, value, target, result].map(|buffer| shrink_vec(buffer, share));
        let labels = shrink_vec(&mut self.labels, share) + shrink_vec(&mut self.order, share);
        labels + texts.iter().sum::<usize>()
    }

    /// Forgets what rules found in the series before, which other rules would not find.
    pub(crate) fn forget_matches(&mut self) {
        self.scratch.matches.forget();
    }

    /// Adds a label as sent, even with a duplicate name or an empty value.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let label = Label { name: store(&mut self.bytes, name), value: store(&mut self.bytes, value) };
        self.labels.push(label);
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Bytes of names and values, replaced ones included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The value of the first label of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.labels.iter().map(|label| (label.name.of(&self.bytes), label.value.of(&self.bytes)))
    }

    /// Whether the rules stayed within [`MAX_WRITTEN_BYTES`] and their budget; if not, the labels are not those of Mimir.
    pub fn is_within_bounds(&self) -> bool {
        self.written <= MAX_WRITTEN_BYTES
    }

    /// Counts bytes that a rule is about to write; false if they are too many.
    pub(super) fn may_write(&mut self, bytes: usize) -> bool {
        self.written = self.written.saturating_add(bytes);
        self.is_within_bounds()
    }

    /// The work of sorting the labels by name; 0 if they are sorted, or so few and short that copying them took longer.
    pub(crate) fn sorting_work(&self) -> usize {
        if self.labels.len() <= 64 && self.bytes.len() <= 64 * FREE_BYTES {
            return 0;
        }
        let names = self.labels.iter().map(|label| label.name.of(&self.bytes));
        if names.clone().is_sorted() { 0 } else { sorting_work(names.map(<[u8]>::len)) }
    }

    /// Sets a label; an empty value removes it.
    ///
    /// Precondition: names are unique.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        if !self.may_write(name.len() + value.len() + LABEL_BYTES) {
            return;
        }
        let Self { bytes, labels, .. } = self;
        let place = labels.iter().position(|label| label.name.of(bytes) == name);
        match place.and_then(|place| labels.get_mut(place)) {
            _ if value.is_empty() => drop(place.map(|place| labels.remove(place))),
            Some(label) => label.value = store(bytes, value),
            None => labels.push(Label { name: store(bytes, name), value: store(bytes, value) }),
        }
    }

    /// Copies labels to new names (`labelmap`): `rename` writes the new name into a buffer, and returns whether there is one.
    ///
    /// Precondition: names are unique, and no value is empty.
    pub(super) fn map_names(&mut self, buffer: &mut Vec<u8>, mut rename: impl FnMut(&[u8], &mut Vec<u8>) -> bool) {
        for index in 0..self.labels.len() {
            let Some(&Label { name, value }) = self.labels.get(index) else { break };
            buffer.clear();
            if !rename(name.of(&self.bytes), buffer) {
                continue;
            }
            if !self.may_write(buffer.len() + LABEL_BYTES) {
                return;
            }
            self.labels.push(Label { name: store(&mut self.bytes, buffer), value });
        }
        self.merge_duplicates();
    }

    /// Keeps the labels whose names `keep` accepts.
    pub(super) fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        let Self { bytes, labels, .. } = self;
        labels.retain(|label| keep(label.name.of(bytes)));
    }

    /// Removes the first label of this name, as Mimir's `RemoveLabel` does.
    pub(crate) fn remove_first(&mut self, name: &[u8]) {
        let place = self.labels.iter().position(|label| label.name.of(&self.bytes) == name);
        if let Some(place) = place {
            self.labels.remove(place);
        }
    }

    /// Keeps one label of each name, as if each had been set on an empty `labels.Builder`: the position of the first, the value
    /// of the last, and none after an empty value. Sorts, so that the time is not quadratic.
    pub(super) fn merge_duplicates(&mut self) {
        let Self { bytes, labels, order, .. } = self;
        let name = |label: &Label| label.name.of(bytes);
        if labels.is_sorted_by(|left, right| name(left) < name(right)) && labels.iter().all(|it| !it.value.is_empty()) {
            return;
        }
        order.clear();
        order.extend(labels.iter().copied().zip(0..));
        order.sort_unstable_by(|(left, first), (right, second)| name(left).cmp(name(right)).then(first.cmp(second)));
        for same in order.chunk_by(|(left, _), (right, _)| name(left) == name(right)) {
            let live = same.rsplit(|(label, _)| label.value.is_empty()).next().unwrap_or_default();
            let place = live.first().map(|(_, place)| *place);
            let value = live.last().map(|(label, _)| label.value).unwrap_or_default();
            for (_, index) in same {
                if let Some(label) = labels.get_mut(*index) {
                    label.value = if Some(*index) == place { value } else { Span::default() };
                }
            }
        }
        labels.retain(|label| !label.value.is_empty());
    }

    /// Removes empty values and sorts by name; false if no label is left.
    pub(crate) fn sort_and_filter(&mut self) -> bool {
        let Self { bytes, labels, .. } = self;
        labels.retain(|label| !label.value.is_empty());
        let name = |label: &Label| label.name.of(bytes);
        if !labels.is_sorted_by(|left, right| name(left) <= name(right)) {
            labels.sort_unstable_by(|left, right| name(left).cmp(name(right)));
        }
        !labels.is_empty()
    }

    pub(super) fn take_scratch(&mut self) -> Scratch {
        std::mem::take(&mut self.scratch)
    }

    pub(super) fn return_scratch(&mut self, scratch: Scratch) {
        self.scratch = scratch;
    }
}

fn store(bytes: &mut Vec<u8>, content: &[u8]) -> Span {
    let start = bytes.len();
    bytes.extend_from_slice(content);
    Span { start, end: bytes.len() }
}

#[cfg(test)]
mod tests;
