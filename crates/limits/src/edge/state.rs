//! The edge configuration in force, and how a new document changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Draft, Loaded, read};
use super::{EdgeConfig, EdgePolicy, Entry};
use crate::document::SourceDocument;
use crate::model::Mode;
use crate::problem::{Problem, Problems, Severity};
use crate::tenant::TenantId;

/// Holds the last good configuration and applies new documents to it.
#[derive(Debug)]
pub struct EdgeConfigState {
    current: Arc<EdgeConfig>,
    /// Whether a document was accepted.
    read: bool,
}

/// The result of applying a document.
#[derive(Debug, Clone)]
pub struct EdgeConfigApplied {
    /// The configuration now in force.
    pub config: Arc<EdgeConfig>,
    /// Whether `config` is a new one; true for the first good document whatever it says.
    pub changed: bool,
    /// Whether the document was accepted, possibly without invalid entries; false if it was rejected.
    pub accepted: bool,
    /// The problems, in the order of the lines; at most [`crate::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
}

impl Default for EdgeConfigState {
    fn default() -> Self {
        EdgeConfigState::new()
    }
}

impl EdgeConfigState {
    /// No document yet: all tenants are in shadow, where the edge denies nothing.
    #[must_use]
    pub fn new() -> Self {
        let shadow = EdgePolicy { mode: Mode::Shadow, ..EdgePolicy::default() };
        EdgeConfigState { current: Arc::new(EdgeConfig::for_everybody(shadow)), read: false }
    }

    /// The configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<EdgeConfig> {
        Arc::clone(&self.current)
    }

    /// Applies the document as it is now; `name` is shown in problems.
    ///
    /// A rejected document changes nothing. A tenant whose entry has a fault keeps the policy of its last good entry,
    /// defaults of that time included, and is in shadow where it had none.
    pub fn apply(&mut self, name: &str, text: &str) -> EdgeConfigApplied {
        let Loaded { default, drafts, mut problems } = read(&SourceDocument::new(name, text));
        let rejected = problems.rejected;
        let mut changed = false;
        if rejected {
            let faults = drafts.into_values().flat_map(|draft| draft.faults).collect();
            problems.push_faults(faults, Severity::Kept, "nothing changes while the document is rejected");
        } else {
            let tenants: BTreeMap<_, _> =
                drafts.into_iter().map(|(id, draft)| self.settle(id, draft, &mut problems)).collect();
            changed = self.replace(EdgeConfig { default, tenants });
        }
        let problems = problems.in_order(std::iter::once(name));
        EdgeConfigApplied { config: self.current(), changed, accepted: !rejected, problems }
    }

    fn settle(&self, id: TenantId, draft: Draft, problems: &mut Problems) -> (TenantId, Entry) {
        if draft.faults.is_empty() {
            return (id, Entry { policy: draft.policy, good: true });
        }
        let last_good = self.current.tenants.get(&id).copied().filter(|entry| entry.good);
        problems.push_unusable(draft.faults, last_good.is_some(), "settings");
        let shadowed = Entry { policy: EdgePolicy { mode: Mode::Shadow, ..draft.policy }, good: false };
        (id, last_good.unwrap_or(shadowed))
    }

    fn replace(&mut self, next: EdgeConfig) -> bool {
        let changed = !self.read || next != *self.current;
        if changed {
            self.current = Arc::new(next);
        }
        self.read = true;
        changed
    }
}
