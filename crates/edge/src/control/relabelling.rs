//! Relabelling rules, compiled when limits change and never by a push.
//!
//! An expression may take a tenth of a second to compile, and a document may have hundreds. So new limits hold at once, with the rules that are
//! compiled already, and a thread compiles the others in the background. Until then, the pushes of their tenants cannot be metered.
//!
//! Invariant: a push looks up its rules in an immutable map, by the memory address of the tenant's settings: hashing those could take longer
//! than the push.

mod compiler;

use std::collections::HashMap;
use std::sync::Arc;

use limits::{NameScheme, RelabelRule, Snapshot, TenantLimits};
use remote_write::relabel::{RelabelError, Relabeler};

pub(super) use compiler::Compiler;

/// Why the rules of a tenant cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelabelUnavailable {
    /// One of its rules cannot be run.
    Unsupported,
    /// Its rules are still being compiled.
    Compiling,
}

/// The settings that rules are compiled from; tenants with equal settings share the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settings {
    rules: Arc<[RelabelRule]>,
    drop_labels: Arc<[Arc<str>]>,
    scheme: NameScheme,
}

/// The memory address of settings. It is unique as long as the settings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Address {
    rules: usize,
    drop_labels: usize,
    scheme: NameScheme,
}

type Outcome = Result<Arc<Relabeler>, RelabelError>;

/// The rules of one set of limits, as far as they are compiled.
#[derive(Clone, Debug, Default)]
pub struct Relabelling {
    by_address: HashMap<Address, Outcome>,
    /// Keeps the settings in memory, and lets the next limits reuse what they have in common with these.
    compiled: HashMap<Settings, Outcome>,
    /// Settings equal to others, kept so that their addresses stay taken.
    duplicates: Vec<Settings>,
}

/// Settings that are still to be compiled, each once.
#[derive(Debug)]
struct Missing {
    limits: TenantLimits,
    /// One of their tenants, for the log; `None` for the defaults.
    tenant: Option<Box<str>>,
    /// All equal settings.
    settings: Vec<Settings>,
}

impl Settings {
    fn of(limits: &TenantLimits) -> Self {
        Self {
            rules: Arc::clone(&limits.metric_relabel_configs),
            drop_labels: Arc::clone(&limits.drop_labels),
            scheme: limits.name_validation_scheme,
        }
    }

    fn address(&self) -> Address {
        address(&self.rules, &self.drop_labels, self.scheme)
    }
}

fn address(rules: &Arc<[RelabelRule]>, drop_labels: &Arc<[Arc<str>]>, scheme: NameScheme) -> Address {
    let (rules, drop_labels) = (Arc::as_ptr(rules), Arc::as_ptr(drop_labels));
    Address { rules: rules.cast::<()>().addr(), drop_labels: drop_labels.cast::<()>().addr(), scheme }
}

impl Relabelling {
    /// The rules of a tenant of these limits; `None` if it has none.
    ///
    /// # Errors
    /// Why they cannot be applied.
    pub(crate) fn of(&self, limits: &TenantLimits) -> Result<Option<Arc<Relabeler>>, RelabelUnavailable> {
        if !limits.relabels_series() {
            return Ok(None);
        }
        let address = address(&limits.metric_relabel_configs, &limits.drop_labels, limits.name_validation_scheme);
        match self.by_address.get(&address) {
            Some(Ok(relabeler)) => Ok(Some(Arc::clone(relabeler))),
            Some(Err(_)) => Err(RelabelUnavailable::Unsupported),
            None => Err(RelabelUnavailable::Compiling),
        }
    }

    /// The rules that these limits share with the last ones, and those still to compile.
    fn begin(snapshot: &Snapshot, before: &Self) -> (Self, Vec<Missing>) {
        let mut begun = Self::default();
        let mut missing: HashMap<Settings, Missing> = HashMap::new();
        let tenants = snapshot.tenants().map(|(tenant, entry)| (Some(tenant), entry));
        for (tenant, entry) in [(None, snapshot.defaults())].into_iter().chain(tenants) {
            let settings = Settings::of(&entry.limits);
            if !entry.limits.relabels_series() || begun.by_address.contains_key(&settings.address()) {
                continue;
            }
            let known = begun.compiled.get(&settings).or_else(|| before.compiled.get(&settings));
            match known.cloned() {
                Some(outcome) => begun.add(settings, outcome),
                None => missing
                    .entry(settings.clone())
                    .or_insert_with(|| Missing {
                        limits: entry.limits.clone(),
                        tenant: tenant.map(|tenant| tenant.as_str().into()),
                        settings: Vec::new(),
                    })
                    .settings
                    .push(settings),
            }
        }
        (begun, missing.into_values().collect())
    }

    fn add(&mut self, settings: Settings, outcome: Outcome) {
        self.by_address.insert(settings.address(), outcome.clone());
        // A map keeps the first of two equal keys.
        if self.compiled.insert(settings.clone(), outcome).is_some() {
            self.duplicates.push(settings);
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl Relabelling {
    /// All rules of these limits, compiled on this thread.
    pub(crate) fn compiled(snapshot: &Snapshot) -> Self {
        let (begun, missing) = Self::begin(snapshot, &Self::default());
        compiler::compiled_here(begun, missing)
    }
}

#[cfg(test)]
mod tests;
