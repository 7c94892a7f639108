//! The immutable limits of all tenants at one moment.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hasher;

use fnv::FnvHasher;

use crate::field_set::{FieldSet, render};
use crate::model::{Mode, TenantLimits};
use crate::tenant::{Tenant, TenantId};

/// The limits of one tenant, or of one spelling of it with metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantEntry {
    /// The defaults with the tenant's own fields over them.
    pub limits: TenantLimits,
    /// [`Mode::Shadow`] while the tenant's entry was never valid, otherwise [`Mode::Enforce`].
    pub mode: Mode,
    /// The fields that the entry sets itself; the others are the defaults.
    pub overridden: FieldSet,
}

impl TenantEntry {
    /// The fields that the entry sets itself, as a YAML flow mapping for [`crate::LimitsState::update`], such as
    /// `{ingestion_rate: 10, request_rate: 5}`.
    #[must_use]
    pub fn own_fields(&self) -> String {
        render(self.overridden, &self.limits)
    }
}

/// The limits of one push.
#[derive(Debug, Clone)]
pub struct TenantView<'s> {
    /// Whether the bare tenant has an override.
    pub has_override: bool,
    /// Request limit, exemplars, mode and everything else: the bare tenant's entry.
    pub tenant: &'s TenantEntry,
    /// Ingestion limit and name scheme: the bare tenant's entry, with the overrides of its metadata laid over it.
    pub ingestion: Cow<'s, TenantEntry>,
}

/// The limits of all tenants.
#[derive(Debug)]
pub struct Snapshot {
    version: u64,
    content_sum: u64,
    defaults: TenantEntry,
    tenants: Box<[(TenantId, TenantEntry)]>,
    index: HashMap<TenantId, usize>,
}

impl Snapshot {
    /// A snapshot of these entries.
    pub(crate) fn new(version: u64, defaults: TenantLimits, entries: HashMap<TenantId, TenantEntry>) -> Self {
        let mut tenants: Box<[_]> = entries.into_iter().collect();
        tenants.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        let index = tenants.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        let content_sum = tenants.iter().fold(0, |sum: u64, (key, entry)| sum.wrapping_add(hash_of(key, entry)));
        let defaults = TenantEntry { limits: defaults, mode: Mode::Enforce, overridden: FieldSet::default() };
        Snapshot { version, content_sum, defaults, tenants, index }
    }

    /// How many times the limits have changed, this time included; 1 for the first.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A checksum of all overrides, their modes and the fields that they set themselves, independent of the defaults and the
    /// version: equal overrides have equal checksums in every process.
    #[must_use]
    pub fn content_sum(&self) -> u64 {
        self.content_sum
    }

    /// The limits of a tenant without an entry.
    #[must_use]
    pub fn defaults(&self) -> &TenantEntry {
        &self.defaults
    }

    /// The override with exactly this key, a bare tenant or a spelling with metadata.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&TenantEntry> {
        self.index.get(key).and_then(|at| self.tenants.get(*at)).map(|(_, entry)| entry)
    }

    /// The limits of a push of this tenant.
    #[must_use]
    pub fn for_tenant(&self, tenant: &Tenant<'_>) -> TenantView<'_> {
        let own = self.entry(tenant.id());
        let bare = own.unwrap_or(&self.defaults);
        let mut ingestion = Cow::Borrowed(bare);
        if tenant.has_metadata() {
            self.merge_overrides_of_metadata(tenant, &mut ingestion.to_mut().limits);
        }
        TenantView { has_override: own.is_some(), tenant: bare, ingestion }
    }

    /// Mimir's `getOverridesForLimitsKey`: the overrides of each pair of the suffix, alone (`:k=v`) and with the tenant
    /// (`a:k=v`), and then of the whole spelling are laid over the tenant's, but only values above 0. A field that an override
    /// does not set has the default, which counts as set, except for the name scheme.
    fn merge_overrides_of_metadata(&self, tenant: &Tenant<'_>, limits: &mut TenantLimits) {
        let pairs = tenant.metadata_pairs().flat_map(|pair| [pair.to_owned(), format!("{}{pair}", tenant.id())]);
        for key in pairs.chain([tenant.limits_key().to_owned()]) {
            let Some(TenantEntry { limits: over, overridden, .. }) = self.entry(&key) else { continue };
            if over.ingestion_rate > 0.0 {
                limits.ingestion_rate = over.ingestion_rate;
            }
            if over.ingestion_burst_size > 0 {
                limits.ingestion_burst_size = over.ingestion_burst_size;
            }
            if over.ingestion_burst_factor > 0.0 {
                limits.ingestion_burst_factor = over.ingestion_burst_factor;
            }
            if overridden.contains("name_validation_scheme") {
                limits.name_validation_scheme = over.name_validation_scheme;
            }
        }
    }

    /// Every override, in order of its key.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, &TenantEntry)> {
        self.tenants.iter().map(|(key, entry)| (key, entry))
    }

    /// The overrides whose keys come after this one, in the order of [`Snapshot::tenants`]; all of them without one. The key may be
    /// gone, so that a page can begin where the last one ended.
    pub fn tenants_after(&self, after: Option<&str>) -> impl Iterator<Item = (&TenantId, &TenantEntry)> {
        let begin = after.map_or(0, |after| self.tenants.partition_point(|(key, _)| key.as_str() <= after));
        self.tenants.iter().skip(begin).map(|(key, entry)| (key, entry))
    }

    /// How many overrides there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Whether there is no override.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// What changed since `older`.
    #[must_use]
    pub fn diff(&self, older: &Snapshot) -> Diff {
        let mut diff = Diff { defaults_changed: self.defaults != older.defaults, ..Diff::default() };
        for (key, entry) in self.tenants() {
            match older.entry(key.as_str()) {
                None => diff.added.push(key.clone()),
                Some(old) if old != entry => diff.changed.push(key.clone()),
                Some(_) => {}
            }
        }
        let gone = older.tenants().filter(|(key, _)| self.entry(key.as_str()).is_none());
        diff.removed.extend(gone.map(|(key, _)| key.clone()));
        diff
    }
}

/// The keys whose overrides differ between two snapshots, each list in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Only in the newer snapshot.
    pub added: Vec<TenantId>,
    /// In both, with different limits or modes.
    pub changed: Vec<TenantId>,
    /// Only in the older snapshot.
    pub removed: Vec<TenantId>,
    /// Whether the defaults differ.
    pub defaults_changed: bool,
}

impl Diff {
    /// Whether both snapshots are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty() && !self.defaults_changed
    }
}

/// FNV-1a, since the standard library's hashes may change with its release, with MurmurHash3's finalizer: FNV-1a hashes of texts
/// that differ only in their last bytes differ so little that two changes often cancel out in a sum.
fn hash_of(key: &TenantId, entry: &TenantEntry) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{} {} {}\n", key.as_str(), entry.mode.as_str(), entry.own_fields()).as_bytes());
    let mix = |hash: u64, factor: u64| (hash ^ hash >> 33).wrapping_mul(factor);
    let hash = mix(mix(hasher.finish(), 0xff51_afd7_ed55_8ccd), 0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests;
