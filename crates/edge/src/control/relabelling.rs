//! Relabelling rules, compiled when limits change and never by a push.
//!
//! An expression may take a tenth of a second to compile, and a document may have hundreds. So new limits hold at once, with the rules that are
//! compiled already, and a thread compiles the others behind them. A tenant whose rules are not ready has pushes that nobody can count.
//!
//! Invariant: what a push looks up is a map that never changes, found by where the tenant's settings are in memory: to hash them could take longer
//! than the push.

mod compiler;

use std::collections::HashMap;
use std::sync::Arc;

use limits::{NameScheme, RelabelRule, Snapshot, TenantLimits};
use remote_write::relabel::{RelabelError, Relabeler};

pub(super) use compiler::Compiler;

/// Why nobody can say what is in the pushes of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelabelUnavailable {
    /// One of its rules cannot be run.
    Unsupported,
    /// Its rules are still being compiled.
    Compiling,
}

/// What is compiled from; tenants with the same settings share the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settings {
    rules: Arc<[RelabelRule]>,
    drop_labels: Arc<[Arc<str>]>,
    scheme: NameScheme,
}

/// Where settings are. It is nobody else's as long as the settings are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    rules: usize,
    drop_labels: usize,
    scheme: NameScheme,
}

type Outcome = Result<Arc<Relabeler>, RelabelError>;

/// The rules of one set of limits, as far as they are compiled.
#[derive(Clone, Debug, Default)]
pub struct Relabelling {
    places: HashMap<Place, Outcome>,
    /// Holds what is at the places, and gives the next limits what they have in common with these.
    compiled: HashMap<Settings, Outcome>,
    /// Settings equal to others, which only hold their places.
    equal: Vec<Settings>,
}

/// Settings that are still to be compiled, each once.
#[derive(Debug)]
struct Missing {
    limits: TenantLimits,
    /// One of the tenants that have them, for the log; none for the defaults.
    tenant: Option<Box<str>>,
    /// Everywhere that they are.
    places: Vec<Settings>,
}

impl Settings {
    fn of(limits: &TenantLimits) -> Self {
        Self {
            rules: Arc::clone(&limits.metric_relabel_configs),
            drop_labels: Arc::clone(&limits.drop_labels),
            scheme: limits.name_validation_scheme,
        }
    }

    fn place(&self) -> Place {
        place(&self.rules, &self.drop_labels, self.scheme)
    }
}

fn place(rules: &Arc<[RelabelRule]>, drop_labels: &Arc<[Arc<str>]>, scheme: NameScheme) -> Place {
    let (rules, drop_labels) = (Arc::as_ptr(rules), Arc::as_ptr(drop_labels));
    Place { rules: rules.cast::<()>().addr(), drop_labels: drop_labels.cast::<()>().addr(), scheme }
}

impl Relabelling {
    /// The rules of a tenant of these limits; `None` if it has none.
    ///
    /// # Errors
    /// Why they cannot be run.
    pub(crate) fn of(&self, limits: &TenantLimits) -> Result<Option<Arc<Relabeler>>, RelabelUnavailable> {
        if !limits.relabels_series() {
            return Ok(None);
        }
        let place = place(&limits.metric_relabel_configs, &limits.drop_labels, limits.name_validation_scheme);
        match self.places.get(&place) {
            Some(Ok(rewrite)) => Ok(Some(Arc::clone(rewrite))),
            Some(Err(_)) => Err(RelabelUnavailable::Unsupported),
            None => Err(RelabelUnavailable::Compiling),
        }
    }

    /// The rules of these limits that the last ones had too, and the others. Compiles nothing.
    fn begin(snapshot: &Snapshot, before: &Self) -> (Self, Vec<Missing>) {
        let mut begun = Self::default();
        let mut missing: HashMap<Settings, Missing> = HashMap::new();
        let tenants = snapshot.tenants().map(|(tenant, entry)| (Some(tenant), entry));
        for (tenant, entry) in [(None, snapshot.defaults())].into_iter().chain(tenants) {
            let settings = Settings::of(&entry.limits);
            if !entry.limits.relabels_series() || begun.places.contains_key(&settings.place()) {
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
                        places: Vec::new(),
                    })
                    .places
                    .push(settings),
            }
        }
        (begun, missing.into_values().collect())
    }

    fn add(&mut self, settings: Settings, outcome: Outcome) {
        self.places.insert(settings.place(), outcome.clone());
        // The first of equal settings stays where it is, and the others are held beside it.
        if self.compiled.insert(settings.clone(), outcome).is_some() {
            self.equal.push(settings);
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl Relabelling {
    /// All rules of these limits, compiled here.
    pub(crate) fn compiled(snapshot: &Snapshot) -> Self {
        let (begun, missing) = Self::begin(snapshot, &Self::default());
        compiler::compiled_here(begun, missing)
    }
}

#[cfg(test)]
mod tests;
