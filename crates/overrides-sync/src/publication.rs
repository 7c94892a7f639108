//! The limits as the feed sends them: versions, and the changes between them. Pure: nothing here waits, and randomness and time are arguments.
//!
//! Invariant: a client with any version that applies [`Published::parts`] has the entries of this version.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use limits::{LoadedLimits, Mode, ObjectRevision, Snapshot, TenantEntry, TenantId};
use proto::edge::limits::v1::{LimitsPart, Mode as ModeInForce, TenantLimits, Version};

/// Turns each change into a version.
#[derive(Debug)]
pub(crate) struct Publisher {
    epoch: u64,
    bounds: HistoryBounds,
    newest: Option<Arc<Published>>,
}

/// The limits of a version, and the changes before it.
#[derive(Debug)]
pub(crate) struct Published {
    snapshot: Arc<Snapshot>,
    origin: Option<Arc<ObjectRevision>>,
    version: Version,
    history: History,
    /// When the change was seen.
    seen: Instant,
    /// What most clients need, rendered once: everything, and what changed since the previous version.
    everything: OnceLock<Arc<[LimitsPart]>>,
    last_change: OnceLock<Arc<[LimitsPart]>>,
}

/// What a client with some version does not have.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    Everything,
    Nothing,
    /// The current entries of these keys; keys without an entry were removed.
    Entries(Vec<TenantId>),
}

impl Publisher {
    /// `epoch` distinguishes the sequences of this process from those of others.
    pub(crate) fn new(epoch: u64, bounds: HistoryBounds) -> Self {
        Self { epoch, bounds, newest: None }
    }

    /// The next version, if limits or origin differ from the newest version; `seen` is now.
    pub(crate) fn publish(&mut self, state: &LoadedLimits, seen: Instant) -> Option<Arc<Published>> {
        let snapshot = Arc::clone(state.limits.as_ref()?);
        let (sequence, history) = match &self.newest {
            None => (1, History::new(self.bounds)),
            Some(newest) => {
                let keys = changed_keys(&newest.snapshot, &snapshot);
                if keys.is_empty() && newest.origin == state.origin {
                    return None;
                }
                let sequence = newest.version.sequence.saturating_add(1);
                (sequence, newest.history.with(sequence, keys))
            }
        };
        let (uid, resource_version) = state
            .origin
            .as_deref()
            .map(|origin| (origin.uid.to_string(), origin.resource_version.to_string()))
            .unwrap_or_default();
        let version =
            Version { epoch: self.epoch, sequence, uid, resource_version, content_sum: snapshot.content_sum() };
        let published = Arc::new(Published {
            snapshot,
            origin: state.origin.clone(),
            version,
            history,
            seen,
            everything: OnceLock::new(),
            last_change: OnceLock::new(),
        });
        self.newest = Some(Arc::clone(&published));
        Some(published)
    }
}

impl Published {
    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn seen(&self) -> Instant {
        self.seen
    }

    /// The number of overrides.
    pub(crate) fn tenants(&self) -> usize {
        self.snapshot.len()
    }

    /// The difference from the version that a client has, in messages of bounded size; at least one, with the version.
    pub(crate) fn parts(&self, have: Option<&Version>) -> Arc<[LimitsPart]> {
        match self.missing(have) {
            Missing::Everything => Arc::clone(self.everything.get_or_init(|| self.render(&Missing::Everything).into())),
            Missing::Nothing => self.render(&Missing::Nothing).into(),
            // The keys depend on the version alone, so the parts can be shared.
            missing @ Missing::Entries(_) if self.is_next_after(have) => {
                Arc::clone(self.last_change.get_or_init(|| self.render(&missing).into()))
            }
            missing @ Missing::Entries(_) => self.render(&missing).into(),
        }
    }

    fn missing(&self, have: Option<&Version>) -> Missing {
        let Some(have) = have else { return Missing::Everything };
        if have.content_sum == self.version.content_sum {
            return Missing::Nothing;
        }
        let keys = Some(have.sequence)
            .filter(|sequence| have.epoch == self.version.epoch && *sequence <= self.version.sequence)
            .and_then(|sequence| self.history.since(sequence));
        keys.map_or(Missing::Everything, Missing::Entries)
    }

    fn is_next_after(&self, have: Option<&Version>) -> bool {
        have.is_some_and(|have| {
            have.epoch == self.version.epoch && have.sequence.checked_add(1) == Some(self.version.sequence)
        })
    }

    fn render(&self, missing: &Missing) -> Vec<LimitsPart> {
        match missing {
            Missing::Everything => {
                let entries = self.snapshot.tenants().map(|(key, entry)| (key, Some(entry)));
                render(&self.version, true, entries)
            }
            Missing::Nothing => render(&self.version, false, std::iter::empty()),
            Missing::Entries(keys) => {
                let entries = keys.iter().map(|key| (key, self.snapshot.entry(key.as_str())));
                render(&self.version, false, entries)
            }
        }
    }
}

fn changed_keys(older: &Arc<Snapshot>, newer: &Arc<Snapshot>) -> Vec<TenantId> {
    if Arc::ptr_eq(older, newer) {
        return Vec::new();
    }
    let diff = newer.diff(older);
    [diff.added, diff.changed, diff.removed].concat()
}

/// Bounds of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoryBounds {
    /// The most changes.
    pub(crate) changes: usize,
    /// The most keys of all changes together.
    pub(crate) keys: usize,
}

/// The changes up to a version. Later histories share the keys of earlier ones.
#[derive(Clone, Debug)]
struct History {
    bounds: HistoryBounds,
    /// In order of their sequences, without a gap.
    changes: VecDeque<Change>,
    keys: usize,
    /// The sequence of the newest version.
    newest: u64,
}

#[derive(Clone, Debug)]
struct Change {
    /// The sequence of the resulting version.
    sequence: u64,
    keys: Arc<[TenantId]>,
}

impl History {
    /// The history of the first version.
    fn new(bounds: HistoryBounds) -> Self {
        Self { bounds, changes: VecDeque::new(), keys: 0, newest: 1 }
    }

    /// This history with another change. The oldest changes are dropped to stay within the bounds.
    fn with(&self, sequence: u64, keys: Vec<TenantId>) -> Self {
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

    /// The keys that changed after this version, each once and in order; `None` if those changes were dropped.
    fn since(&self, sequence: u64) -> Option<Vec<TenantId>> {
        let first_known = self.changes.front().map_or(self.newest, |first| first.sequence.saturating_sub(1));
        if sequence < first_known {
            return None;
        }
        let later = self.changes.iter().filter(|change| change.sequence > sequence);
        let keys: BTreeSet<&TenantId> = later.flat_map(|change| change.keys.iter()).collect();
        Some(keys.into_iter().cloned().collect())
    }
}

/// The size at which a part ends. A larger entry has a part to itself.
const PART_BYTES: usize = 512 << 10;
/// The overhead of an entry: tags and lengths.
const ENTRY_BYTES: usize = 16;

/// A change in parts. `None` removes an entry.
fn render<'s>(
    version: &Version,
    complete: bool,
    entries: impl Iterator<Item = (&'s TenantId, Option<&'s TenantEntry>)>,
) -> Vec<LimitsPart> {
    let empty = || LimitsPart { version: Some(version.clone()), complete, ..LimitsPart::default() };
    let (mut parts, mut part, mut bytes) = (Vec::new(), empty(), 0_usize);
    for (key, entry) in entries {
        let entry = entry.map(|entry| message(key, entry));
        let fields = entry.as_ref().map_or(0, |entry| entry.fields.len());
        let size = key.as_str().len().saturating_add(fields).saturating_add(ENTRY_BYTES);
        if bytes > 0 && bytes.saturating_add(size) > PART_BYTES {
            parts.push(std::mem::replace(&mut part, empty()));
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        match entry {
            Some(entry) => part.put.push(entry),
            None => part.removed.push(key.to_string()),
        }
    }
    part.last = true;
    parts.push(part);
    parts
}

fn message(key: &TenantId, entry: &TenantEntry) -> TenantLimits {
    let mode = match entry.mode {
        Mode::Shadow => ModeInForce::Shadow,
        // No document can set the mode off.
        Mode::Enforce | Mode::Off => ModeInForce::Enforce,
    };
    TenantLimits { tenant: key.to_string(), mode: mode.into(), fields: entry.own_fields() }
}

#[cfg(test)]
mod tests;
