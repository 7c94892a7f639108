//! The metric families in the metadata of one 2.0 push: Mimir charges each family once a push.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::Unmetered;
use crate::symbols::TextRange;
use crate::work::Work;

/// Types of `MetadataRW2` whose series are named after their family with a suffix.
const HISTOGRAM: i32 = 3;
const GAUGE_HISTOGRAM: i32 = 4;
const SUMMARY: i32 = 5;

/// A set of family names, as ranges of the decompressed body. Its hash has a random key, since senders choose the names.
#[derive(Debug, Default)]
pub(crate) struct Families {
    names: HashTable<TextRange>,
    hasher: RandomState,
    /// The latest metric and its type: consecutive series of one metric need no second lookup.
    latest: Option<(TextRange, i32)>,
    /// Whether the cap was reached.
    is_full: bool,
}

impl Families {
    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.latest = None;
        self.is_full = false;
    }

    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        self.clear();
        // At least an eighth of the slots of a table stays empty, and nearly half of them may.
        self.names.shrink_to(bytes / (4 * size_of::<TextRange>()), |_| 0);
        self.names.allocation_size()
    }

    /// Adds the family of the metric `name` and returns it, if it is new and has a name. Beyond the cap or the work budget, each
    /// one counts as new.
    pub(crate) fn add(&mut self, name: TextRange, kind: i32, decoded: &[u8], work: &mut Work) -> Option<TextRange> {
        if self.latest.replace((name, kind)) == Some((name, kind)) && name != TextRange::UNKNOWN {
            return None;
        }
        let family = family_of(name, kind, decoded);
        if family.is_empty() {
            return None;
        }
        let text = family.text(decoded);
        // Paid twice: it is hashed, and compared once.
        if self.is_full || name == TextRange::UNKNOWN || !work.afford(text.len()) || !work.afford(text.len()) {
            return Some(family);
        }
        let hash = self.hasher.hash_one(text);
        if self.names.find(hash, |known| known.text(decoded) == text).is_some() {
            return None;
        }
        if self.names.len() >= work.caps.families {
            self.is_full = true;
            work.abandon(Unmetered::Buffers);
            return Some(family);
        }
        self.names.insert_unique(hash, family, |known| self.hasher.hash_one(known.text(decoded)));
        Some(family)
    }
}

/// The family of the metric `name` of type `kind`: the name without the type's suffix.
fn family_of(name: TextRange, kind: i32, decoded: &[u8]) -> TextRange {
    let suffixes: &[&[u8]] = match kind {
        HISTOGRAM => &[b"_bucket", b"_count", b"_sum"],
        GAUGE_HISTOGRAM => &[b"_bucket", b"_gcount", b"_gsum"],
        SUMMARY => &[b"_count", b"_sum"],
        _ => &[],
    };
    let text = name.text(decoded);
    let suffix = suffixes.iter().find(|suffix| text.ends_with(suffix));
    name.without_suffix(suffix.map_or(0, |suffix| suffix.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Caps;

    #[track_caller]
    fn check(name: &str, kind: i32, expected: &str) {
        let range = TextRange::new(0, name.len()).unwrap();
        let family = family_of(range, kind, name.as_bytes());
        assert_eq!(std::str::from_utf8(family.text(name.as_bytes())).unwrap(), expected, "{name} of type {kind}");
    }

    #[test]
    fn strips_the_suffixes_of_the_type() {
        for suffix in ["_bucket", "_count", "_sum"] {
            check(&format!("h{suffix}"), HISTOGRAM, "h");
        }
        for suffix in ["_bucket", "_gcount", "_gsum"] {
            check(&format!("h{suffix}"), GAUGE_HISTOGRAM, "h");
        }
        for suffix in ["_count", "_sum"] {
            check(&format!("h{suffix}"), SUMMARY, "h");
        }
    }

    #[test]
    fn keeps_every_other_name() {
        check("h_bucket", SUMMARY, "h_bucket");
        check("h_count", GAUGE_HISTOGRAM, "h_count");
        check("h_gsum", HISTOGRAM, "h_gsum");
        check("h_bucket_sum", HISTOGRAM, "h_bucket");
        check("h_total", 1, "h_total");
        check("h_sum", 2, "h_sum");
        check("h_sum", 0, "h_sum");
        check("h_sum", 99, "h_sum");
    }

    #[test]
    fn counts_a_family_once() {
        let decoded = b"h_bucketh_sumg";
        let mut families = Families::default();
        let mut work = Work::new(100, Caps::USUAL);
        assert_eq!(families.add(TextRange::new(0, 8).unwrap(), HISTOGRAM, decoded, &mut work), TextRange::new(0, 1));
        assert_eq!(families.add(TextRange::new(0, 8).unwrap(), HISTOGRAM, decoded, &mut work), None);
        assert_eq!(families.add(TextRange::new(8, 5).unwrap(), HISTOGRAM, decoded, &mut work), None);
        assert!(families.add(TextRange::new(8, 5).unwrap(), 2, decoded, &mut work).is_some());
        assert!(families.add(TextRange::new(13, 1).unwrap(), 2, decoded, &mut work).is_some());
    }

    #[test]
    fn counts_no_family_without_a_name() {
        let mut families = Families::default();
        let mut work = Work::new(100, Caps::USUAL);
        assert_eq!(families.add(TextRange::default(), 1, b"x", &mut work), None);
        assert_eq!(families.add(TextRange::new(0, 4).unwrap(), SUMMARY, b"_sum", &mut work), None);
    }
}
