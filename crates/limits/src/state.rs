//! The limits in force, and how a new set of documents changes them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cache::{self, CacheError, Restored};
use crate::code::Code;
use crate::defaults::{Defaults, MimirSettings};
use crate::document::{self, Draft, Loaded, SourceDocument};
use crate::model::{Mode, TenantLimits};
use crate::object_revision::ObjectRevision;
use crate::places::Places;
use crate::problem::{Problem, Problems, Severity};
use crate::relabel::ExpressionCache;
use crate::schema::MimirVersion;
use crate::snapshot::{Snapshot, TenantEntry};
use crate::tenant::TenantId;
use crate::update::{Update, UpdateError, Updated};

/// Holds the last good limits and applies new documents to them.
#[derive(Debug, Clone)]
pub struct LimitsState {
    mimir: MimirSettings,
    allow_empty: bool,
    current: Option<Arc<Snapshot>>,
    /// Of the newest documents that were applied.
    places: Arc<Places>,
    /// Results for the expressions of the newest documents.
    pub(crate) expressions: ExpressionCache,
}

/// The result of applying a set of documents.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The limits now in force; `None` until the first set of documents that is not rejected.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether `snapshot` is a new one.
    pub changed: bool,
    /// Whether the documents were applied; false if they were rejected or lost all tenants.
    pub accepted: bool,
    /// The problems, in the order of the documents and their lines; at most [`crate::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
}

/// What a source of limits publishes.
#[derive(Debug, Clone, Default)]
pub struct LoadedLimits {
    /// The limits in force; `None` until the first good ones.
    pub limits: Option<Arc<Snapshot>>,
    /// What is wrong with the newest documents.
    pub problems: Arc<[Problem]>,
    /// Where the fields of these limits are written; empty where a feed or a cache brings them without documents.
    pub places: Arc<Places>,
    /// The object that the limits were last read from, where they come from one.
    pub origin: Option<Arc<ObjectRevision>>,
    /// The object that was last read, whether or not its documents were taken: the one that `problems` are about.
    pub read: Option<Arc<ObjectRevision>>,
}

impl LimitsState {
    /// Every entry is laid over `defaults`. With `allow_empty` documents that lost all tenants are applied.
    #[must_use]
    pub fn new(defaults: impl Into<Defaults>, allow_empty: bool) -> Self {
        let mimir = MimirSettings { defaults: defaults.into(), version: MimirVersion::default() };
        LimitsState {
            mimir,
            allow_empty,
            current: None,
            places: Arc::default(),
            expressions: ExpressionCache::default(),
        }
    }

    /// Checks documents as this version of Mimir does, instead of the newest known one.
    #[must_use]
    pub fn of_version(mut self, version: MimirVersion) -> Self {
        self.mimir.version = version;
        self
    }

    fn defaults(&self) -> &TenantLimits {
        &self.mimir.defaults.limits
    }

    /// The limits in force; `None` until the first set of documents that is not rejected, or a restored cache.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.clone()
    }

    /// Where the fields of the limits in force are written, by the newest documents that were applied.
    #[must_use]
    pub fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    /// Restores the limits that [`crate::render_cache`] wrote, as version 1. Each entry is laid over the defaults of this state.
    /// The number of distributors is returned beside them.
    ///
    /// # Errors
    /// Limits are in force already, or the text is not, byte for byte, what was written. Nothing changes then.
    pub fn restore(&mut self, text: &str) -> Result<Restored, CacheError> {
        if self.current.is_some() {
            return Err(CacheError::NotFirst);
        }
        let (entries, distributors) = cache::read(text, self.defaults())?;
        let limits = Arc::new(Snapshot::new(1, self.defaults().clone(), entries));
        self.current = Some(Arc::clone(&limits));
        Ok(Restored { limits, distributors })
    }

    /// Applies all documents of a source, such as the keys of one ConfigMap. A tenant that they no longer have gets the defaults.
    ///
    /// A rejected document changes nothing, and neither do documents that lost all tenants, unless that is allowed. A tenant whose
    /// flat keys have a fault keeps its entry if that is good, and is in shadow otherwise.
    pub fn apply(&mut self, documents: &[SourceDocument<'_>]) -> Applied {
        let before = std::mem::take(&mut self.expressions);
        let Loaded { drafts, mut problems, expressions, places, .. } =
            document::read(&self.mimir, documents, before.next());
        self.expressions = expressions;
        let mut changed = false;
        let emptied = self.loses_all_tenants(drafts.is_empty());
        let rejected = problems.rejected;
        if rejected {
            let faults = drafts.into_values().flat_map(|draft| draft.faults).collect();
            problems.push_faults(faults, Severity::Kept, "nothing changes while another document is rejected");
        } else if emptied {
            problems.listed.push(no_tenants_problem(documents));
        } else {
            let entries = drafts.into_iter().map(|(key, draft)| self.settle(key, draft, &mut problems)).collect();
            changed = self.replace(entries);
            self.places = Arc::new(places.finish());
        }
        let accepted = !rejected && !emptied;
        let problems = problems.in_order(documents.iter().map(|document| document.name));
        Applied { snapshot: self.current(), changed, accepted, problems }
    }

    fn settle(&self, key: TenantId, draft: Draft, problems: &mut Problems) -> (TenantId, TenantEntry) {
        if draft.faults.is_empty() {
            return (key, TenantEntry { limits: draft.limits, mode: Mode::Enforce, overridden: draft.overridden });
        }
        let Draft { limits, overridden, faults } = draft;
        let last_good = self.last_good(key.as_str());
        problems.push_unusable(faults, last_good.is_some(), "limits");
        let entry = last_good.cloned().unwrap_or(TenantEntry { limits, mode: Mode::Shadow, overridden });
        (key, entry)
    }

    /// The entry in force, if it was ever good.
    fn last_good(&self, key: &str) -> Option<&TenantEntry> {
        self.current.as_ref().and_then(|now| now.entry(key)).filter(|entry| entry.mode == Mode::Enforce)
    }

    /// Applies the overrides of another state, laid over the defaults of this one. An entry in shadow does not replace a good one.
    ///
    /// # Errors
    /// An entry cannot be read, or all tenants would be lost and that is not allowed. Nothing changes then.
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
            let kept = if entry.mode == Mode::Shadow { self.last_good(put.tenant).cloned() } else { None };
            entries.insert(key, kept.unwrap_or(entry));
        }
        if self.loses_all_tenants(entries.is_empty()) {
            return Err(UpdateError::Emptied);
        }
        let changed = self.replace(entries);
        let snapshot = self.current.clone().ok_or(UpdateError::Emptied)?;
        Ok(Updated { snapshot, changed, passed_over })
    }

    /// Whether there were tenants, `none` are left, and that is not allowed.
    fn loses_all_tenants(&self, none: bool) -> bool {
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

fn no_tenants_problem(documents: &[SourceDocument<'_>]) -> Problem {
    let message = "there is no tenant any more, and the last good limits are kept; \
                   restore the tenants, or allow empty overrides if this is meant";
    let document = documents.first().map_or("overrides", |document| document.name);
    Problem::of_document(Code::NoTenants, document, Severity::Kept, message)
}

#[cfg(test)]
mod tests;
