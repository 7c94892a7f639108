//! Labels that Mimir removes from every series before it validates the rest: the replica label of a pair, and `drop_labels`.

use crate::TenantRelabeler;

/// More names are looked up by the relabeler, whose budget bounds the comparisons.
const MAX_NAMES: usize = 8;

/// So are longer names: comparing them is not free.
const MAX_NAME_BYTES: usize = 256;

/// Names whose first label is removed from each series; a name that stands twice removes two.
#[derive(Debug, Default)]
pub(crate) struct Removals<'a> {
    names: [&'a [u8]; MAX_NAMES],
    count: usize,
    /// A bit for each name whose label was removed from this series.
    removed: u8,
}

impl<'a> Removals<'a> {
    /// Those of a push whose series are all of one pair, or of none; and the relabeler for what is left to do.
    pub(crate) fn of(
        replica_label: Option<&'a [u8]>,
        relabeler: Option<TenantRelabeler<'a>>,
    ) -> (Self, Option<TenantRelabeler<'a>>) {
        let mut removals = Self::default();
        replica_label.into_iter().for_each(|name| removals.add(name));
        let drops = relabeler.as_ref().and_then(|it| it.relabeler.only_drops());
        let are_few = |drops: &&[Box<str>]| {
            drops.len() + removals.count <= MAX_NAMES && drops.iter().all(|name| name.len() <= MAX_NAME_BYTES)
        };
        match drops.filter(are_few) {
            Some(drops) => {
                drops.iter().for_each(|name| removals.add(name.as_bytes()));
                (removals, None)
            }
            None => (removals, relabeler),
        }
    }

    /// Whether no label is removed.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Begins the next series.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.removed = 0;
    }

    /// Whether the label of this name is removed from the series.
    #[inline]
    pub(crate) fn take(&mut self, name: &[u8]) -> bool {
        let names = self.names.get(..self.count).unwrap_or_default();
        let place = names.iter().enumerate().find(|(place, own)| self.removed & (1 << place) == 0 && **own == name);
        let bit = place.map_or(0, |(place, _)| 1 << place);
        self.removed |= bit;
        bit != 0
    }

    fn add(&mut self, name: &'a [u8]) {
        if let Some(place) = self.names.get_mut(self.count) {
            *place = name;
            self.count += 1;
        }
    }
}
