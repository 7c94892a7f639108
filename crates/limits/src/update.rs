//! A change of overrides that one state sends to another: each entry as the fields that it sets, to be laid over the
//! receiver's defaults.

use std::sync::Arc;

use crate::defaults::override_base;
use crate::document::unmatched_reason;
use crate::field_set::{FieldSet, overlay};
use crate::model::{Mode, TenantLimits};
use crate::snapshot::{Snapshot, TenantEntry};
use crate::tenant::TenantId;
use crate::value::{ValueError, mapping, shortened};
use crate::yaml::parse;

/// A change of overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update<'t> {
    /// Whether `put` replaces all overrides; otherwise the others stay.
    pub complete: bool,
    /// Overrides that are new or changed.
    pub put: Vec<EntryUpdate<'t>>,
    /// Overrides that are removed.
    pub removed: Vec<&'t str>,
}

/// An override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryUpdate<'t> {
    /// The bare tenant, or a spelling of it with metadata.
    pub tenant: &'t str,
    /// [`Mode::Shadow`] if the entry was never valid.
    pub mode: Mode,
    /// The result of [`TenantEntry::own_fields`].
    pub own_fields: &'t str,
}

/// The result of an update.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The limits now in force.
    pub snapshot: Arc<Snapshot>,
    /// Whether they are new ones.
    pub changed: bool,
    /// Overrides that set fields which only a newer build knows. Those fields are ignored, as in a document.
    pub passed_over: Vec<String>,
}

/// Why an update was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// An entry is no result of [`TenantEntry::own_fields`], or has a value that only another build can read.
    #[error("tenant {tenant} {message}")]
    Entry {
        /// The tenant, shortened.
        tenant: String,
        /// What is wrong with the entry.
        message: String,
    },
    /// No tenant would be left.
    #[error("it leaves no tenant, and there were some; allow empty overrides if this is meant")]
    Emptied,
}

impl EntryUpdate<'_> {
    /// The entry over these defaults, and whether all of its fields are known.
    pub(crate) fn read(&self, defaults: &TenantLimits) -> Result<(TenantId, TenantEntry, bool), UpdateError> {
        let mut limits = override_base(defaults);
        let overridden = match unmatched_reason(self.tenant) {
            Some(message) => Err(ValueError(message)),
            None => read_own_fields(&mut limits, self.own_fields),
        };
        let (overridden, all_known) =
            overridden.map_err(|ValueError(message)| UpdateError::Entry { tenant: shortened(self.tenant), message })?;
        Ok((TenantId::from(self.tenant), TenantEntry { limits, mode: self.mode, overridden }, all_known))
    }
}

fn read_own_fields(limits: &mut TenantLimits, text: &str) -> Result<(FieldSet, bool), ValueError> {
    let tree = parse(text).map_err(|error| ValueError(format!("cannot be read: {}", error.message)))?;
    let root = tree.root.filter(|_| tree.duplicates.is_empty() && tree.second_document.is_none());
    let root = root.ok_or_else(|| ValueError::new("is no mapping of fields"))?;
    let (overridden, unknown) = overlay(limits, mapping(&root, "fields")?.unwrap_or_default())?;
    Ok((overridden, unknown.is_none()))
}

#[cfg(test)]
mod tests;
