//! Which entries changed with which version, as far back as there is room for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use limits::TenantId;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoryBounds {
    /// The most changes.
    pub(crate) changes: usize,
    /// The most keys of all changes together.
    pub(crate) keys: usize,
}

/// The changes up to one version. A later history shares what it has with an earlier one.
#[derive(Clone, Debug)]
pub(super) struct History {
    bounds: HistoryBounds,
    /// In order of their sequences, without a gap.
    changes: VecDeque<Change>,
    keys: usize,
    /// The sequence of the newest version; the changes after any older one up to `first` are forgotten.
    newest: u64,
}

#[derive(Clone, Debug)]
struct Change {
    /// Of the version that it made.
    sequence: u64,
    keys: Arc<[TenantId]>,
}

impl History {
    /// Of the first version, which changed nothing that anybody could have.
    pub(super) fn new(bounds: HistoryBounds) -> Self {
        Self { bounds, changes: VecDeque::new(), keys: 0, newest: 1 }
    }

    /// This history with one change more. What is too much is forgotten, the oldest first.
    pub(super) fn with(&self, sequence: u64, keys: Vec<TenantId>) -> Self {
        let mut next = self.clone();
        next.newest = sequence;
        next.keys = next.keys.saturating_add(keys.len());
        next.changes.push_back(Change { sequence, keys: keys.into() });
        while next.changes.len() > next.bounds.changes || next.keys > next.bounds.keys {
            let Some(forgotten) = next.changes.pop_front() else { break };
            next.keys = next.keys.saturating_sub(forgotten.keys.len());
        }
        next
    }

    /// The keys that changed after this version, each once and in order; `None` where that is not known any more.
    pub(super) fn since(&self, sequence: u64) -> Option<Vec<TenantId>> {
        let first_known = self.changes.front().map_or(self.newest, |first| first.sequence.saturating_sub(1));
        if sequence < first_known {
            return None;
        }
        let later = self.changes.iter().filter(|change| change.sequence > sequence);
        let keys: BTreeSet<&TenantId> = later.flat_map(|change| change.keys.iter()).collect();
        Some(keys.into_iter().cloned().collect())
    }
}
