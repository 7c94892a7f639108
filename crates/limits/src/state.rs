//! The limits in force, and how a new set of documents changes them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cache::{self, CacheError};
use crate::code::Code;
use crate::defaults::{Defaults, Judge};
use crate::document::{self, Draft, Reading, SourceDocument};
use crate::mode::Mode;
use crate::model::TenantLimits;
use crate::origin::Origin;
use crate::problem::{Problem, Problems, Severity};
use crate::relabel::Expressions;
use crate::schema::MimirVersion;
use crate::snapshot::{Snapshot, TenantEntry};
use crate::tenant::TenantId;
use crate::update::{Update, UpdateError, Updated};

/// Holds the last good limits and applies new documents to them.
#[derive(Debug, Clone)]
pub struct LimitsState {
    judge: Judge,
    allow_empty: bool,
    current: Option<Arc<Snapshot>>,
    /// What is known of the expressions of the newest documents.
    pub(crate) expressions: Expressions,
}

/// What a set of documents did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The limits now in force; `None` until the first set of documents that is not refused.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether `snapshot` is a new one.
    pub changed: bool,
    /// Whether the documents were taken, so that `snapshot` is what they say; false where they were refused or emptied.
    pub accepted: bool,
    /// Everything found wrong, in the order of the documents and their lines; at most [`crate::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
}

/// What a source of limits publishes.
#[derive(Debug, Clone, Default)]
pub struct ControlState {
    /// The limits in force; `None` until the first good ones.
    pub limits: Option<Arc<Snapshot>>,
    /// What is wrong with the newest documents.
    pub problems: Arc<[Problem]>,
    /// The object that the limits were last read from, where they come from one.
    pub origin: Option<Arc<Origin>>,
    /// The object that was last read, whether or not its documents were taken: the one that `problems` are about.
    pub read: Option<Arc<Origin>>,
}

impl LimitsState {
    /// `defaults` are laid under every entry and hold for tenants without one. With `allow_empty` a document that has
    /// lost all its tenants is taken at its word.
    #[must_use]
    pub fn new(defaults: impl Into<Defaults>, allow_empty: bool) -> Self {
        let judge = Judge { defaults: defaults.into(), version: MimirVersion::default() };
        LimitsState { judge, allow_empty, current: None, expressions: Expressions::default() }
    }

    /// Judges documents as this version of Mimir does; without it, as the newest that is known.
    #[must_use]
    pub fn of_version(mut self, version: MimirVersion) -> Self {
        self.judge.version = version;
        self
    }

    fn defaults(&self) -> &TenantLimits {
        &self.judge.defaults.limits
    }

    /// The limits in force; `None` until the first set of documents that is not refused, or a restored cache.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.clone()
    }

    /// Takes over the limits that [`crate::render_cache`] wrote, as version 1. The defaults are those of this state, and each
    /// entry is what it says itself over them.
    ///
    /// # Errors
    /// Limits are in force already, or the text is not, byte for byte, what was written. Nothing changes then.
    pub fn restore(&mut self, text: &str) -> Result<Arc<Snapshot>, CacheError> {
        if self.current.is_some() {
            return Err(CacheError::NotFirst);
        }
        let snapshot = Arc::new(Snapshot::new(1, self.defaults().clone(), cache::read(text, self.defaults())?));
        self.current = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Applies everything a source holds now, as one file or the keys of one ConfigMap; a tenant that is not in it any
    /// more falls back to the defaults.
    ///
    /// A refused document changes nothing. Nor does a set without tenants where there were some, unless that is
    /// allowed. A tenant whose flat keys have a fault keeps its entry if that is good, and is in shadow otherwise.
    pub fn apply(&mut self, documents: &[SourceDocument<'_>]) -> Applied {
        let before = std::mem::take(&mut self.expressions);
        let Reading { drafts, mut problems, refused, expressions, .. } =
            document::read(&self.judge, documents, before.next());
        self.expressions = expressions;
        let mut changed = false;
        let emptied = self.is_emptied(drafts.is_empty());
        if refused {
            for fault in drafts.into_values().flat_map(|draft| draft.faults) {
                problems.judge(fault, Severity::Kept, "nothing changes while another document is refused");
            }
        } else if emptied {
            problems.add(emptied_problem(documents));
        } else {
            let entries = drafts.into_iter().map(|(key, draft)| self.settle(key, draft, &mut problems)).collect();
            changed = self.replace(entries);
        }
        let accepted = !refused && !emptied;
        let problems = problems.in_order(documents.iter().map(|document| document.name));
        Applied { snapshot: self.current(), changed, accepted, problems }
    }

    fn settle(&self, key: TenantId, draft: Draft, problems: &mut Problems) -> (TenantId, TenantEntry) {
        if draft.faults.is_empty() {
            return (key, TenantEntry { limits: draft.limits, mode: Mode::Enforce, said: draft.said });
        }
        let good = self.good(key.as_str());
        let (severity, outcome) = match good {
            Some(_) => (Severity::Kept, "the tenant keeps its last good limits"),
            None => (Severity::Shadowed, "the tenant is in shadow until this is mended"),
        };
        draft.faults.into_iter().for_each(|fault| problems.judge(fault, severity, outcome));
        let entry = good.cloned().unwrap_or(TenantEntry { limits: draft.limits, mode: Mode::Shadow, said: draft.said });
        (key, entry)
    }

    /// The entry in force, if it was ever good.
    fn good(&self, key: &str) -> Option<&TenantEntry> {
        self.current.as_ref().and_then(|now| now.entry(key)).filter(|entry| entry.mode == Mode::Enforce)
    }

    /// Applies what another state, which has read the documents, says of its overrides: its entries lie over the defaults of
    /// this state. An entry in shadow does not replace one that was good here.
    ///
    /// # Errors
    /// An entry cannot be read, or no tenant would be left where there were some and that is not allowed. Nothing changes
    /// then.
    pub fn update(&mut self, update: &Update<'_>) -> Result<Updated, UpdateError> {
        let mut entries: HashMap<_, _> = match &self.current {
            Some(current) if !update.complete => {
                current.tenants().map(|(key, entry)| (key.clone(), entry.clone())).collect()
            }
            _ => HashMap::new(),
        };
        for tenant in &update.removed {
            entries.remove(*tenant);
        }
        let mut passed_over = Vec::new();
        for put in &update.put {
            let (key, entry, all_known) = put.read(self.defaults())?;
            if !all_known {
                passed_over.push(put.tenant.to_owned());
            }
            let kept = if entry.mode == Mode::Shadow { self.good(put.tenant).cloned() } else { None };
            entries.insert(key, kept.unwrap_or(entry));
        }
        if self.is_emptied(entries.is_empty()) {
            return Err(UpdateError::Emptied);
        }
        let changed = self.replace(entries);
        let snapshot = self.current.clone().ok_or(UpdateError::Emptied)?;
        Ok(Updated { snapshot, changed, passed_over })
    }

    /// Whether there were tenants and, if `none` are left, that is not to be believed.
    fn is_emptied(&self, none: bool) -> bool {
        none && !self.allow_empty && self.current.as_ref().is_some_and(|now| !now.is_empty())
    }

    fn replace(&mut self, entries: HashMap<TenantId, TenantEntry>) -> bool {
        let version = self.current.as_ref().map_or(1, |now| now.version().saturating_add(1));
        let next = Snapshot::new(version, self.defaults().clone(), entries);
        let changed = self.current.as_ref().is_none_or(|now| !next.diff(now).is_empty());
        if changed {
            self.current = Some(Arc::new(next));
        }
        changed
    }
}

fn emptied_problem(documents: &[SourceDocument<'_>]) -> Problem {
    let message = "there is no tenant any more, and the last good limits are kept; \
                   restore the tenants, or allow empty overrides if this is meant";
    let document = documents.first().map_or("overrides", |document| document.name);
    Problem::of_document(Code::NoTenants, document, Severity::Kept, message)
}

#[cfg(test)]
mod tests;
