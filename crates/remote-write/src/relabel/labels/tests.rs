use proptest::prelude::*;

use super::*;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Go's `labels.Builder` on an empty base, step for step.
#[derive(Default)]
struct Builder(Pairs);

impl Builder {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let place = self.0.iter().position(|(own, _)| own == name);
        match place {
            _ if value.is_empty() => self.0.retain(|(own, _)| own != name),
            Some(place) => self.0[place].1 = value.to_vec(),
            None => self.0.push((name.to_vec(), value.to_vec())),
        }
    }
}

fn set_of(pairs: &Pairs) -> LabelSet {
    let mut set = LabelSet::new();
    pairs.iter().for_each(|(name, value)| set.push(name, value));
    set
}

fn pairs_of(set: &LabelSet) -> Pairs {
    set.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Few names and values, so that they meet.
fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec(("[a-d]?", "[xy]?").prop_map(|(name, value)| (name.into_bytes(), value.into_bytes())), 0..12)
}

proptest! {
    #[test]
    fn uniting_is_setting_one_by_one(sent in pairs()) {
        let mut builder = Builder::default();
        sent.iter().for_each(|(name, value)| builder.set(name, value));
        let mut set = set_of(&sent);
        set.merge_duplicates();
        prop_assert_eq!(pairs_of(&set), builder.0);
    }

    #[test]
    fn setting_is_what_gos_builder_does(sent in pairs(), later in pairs()) {
        let mut builder = Builder::default();
        sent.iter().chain(&later).for_each(|(name, value)| builder.set(name, value));
        let mut set = set_of(&sent);
        set.merge_duplicates();
        later.iter().for_each(|(name, value)| set.set(name, value));
        prop_assert_eq!(pairs_of(&set), builder.0);
    }

    /// `labelmap` sets while it walks over a copy.
    #[test]
    fn copying_is_setting_for_every_label_there_was(sent in pairs(), renamed in "[a-d]", spared in "[a-d]") {
        let mut set = set_of(&sent);
        set.merge_duplicates();
        let mut builder = Builder(pairs_of(&set));
        for (name, value) in pairs_of(&set).iter().filter(|(name, _)| *name != spared.as_bytes()) {
            builder.set(&[renamed.as_bytes(), name.get(1..).unwrap_or_default()].concat(), value);
        }
        set.map_names(&mut Vec::new(), |name, buffer| {
            buffer.extend_from_slice(renamed.as_bytes());
            buffer.extend_from_slice(name.get(1..).unwrap_or_default());
            name != spared.as_bytes()
        });
        prop_assert_eq!(pairs_of(&set), builder.0);
    }
}

#[test]
fn a_set_is_filled_again_without_what_was_in_it() {
    let mut set = set_of(&vec![(b"a".to_vec(), b"1".to_vec())]);
    set.set(b"b", b"2");
    set.clear();
    assert!(set.is_empty() && set.written == 0);
    set.push(b"c", b"");
    assert_eq!((set.len(), set.get(b"c"), set.get(b"a")), (1, Some(b"".as_slice()), None));
}

#[test]
fn a_set_gives_back_memory() {
    let mut set = LabelSet::new();
    (0..1000).for_each(|index: u32| set.push(&index.to_be_bytes(), b"value"));
    set.merge_duplicates();
    set.shrink(100);
    assert!(set.is_empty() && set.bytes.capacity() <= 100 && set.labels.capacity() * LABEL_BYTES <= 100);
    assert!(set.order.capacity() * LABEL_BYTES <= 100);
}
