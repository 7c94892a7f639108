//! Relabelling rules, compiled once however many pushes and tenants they are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use limits::{NameScheme, RelabelRule, TenantLimits};
use remote_write::relabel::{Rewrite, RewriteError};

/// What is compiled from; tenants with the same settings share the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settings {
    rules: Arc<[RelabelRule]>,
    drop_labels: Arc<[Arc<str>]>,
    scheme: NameScheme,
}

#[derive(Debug)]
struct Compiled {
    rewrite: Result<Arc<Rewrite>, RewriteError>,
    /// Whether it was asked for since the last [`Rewrites::keep_house`].
    used: AtomicBool,
}

/// The compiled rules of all tenants that have some.
#[derive(Debug, Default)]
pub(crate) struct Rewrites {
    compiled: DashMap<Settings, Compiled>,
}

impl Rewrites {
    /// A tenant's rules; `None` if it has none.
    ///
    /// # Errors
    /// As [`Rewrite::compile`]: what Mimir makes of the tenant's pushes is not known.
    pub(crate) fn of(&self, limits: &TenantLimits) -> Result<Option<Arc<Rewrite>>, RewriteError> {
        if !limits.rewrites_series() {
            return Ok(None);
        }
        let settings = Settings {
            rules: Arc::clone(&limits.metric_relabel_configs),
            drop_labels: Arc::clone(&limits.drop_labels),
            scheme: limits.name_validation_scheme,
        };
        if let Some(known) = self.compiled.get(&settings) {
            known.used.store(true, Ordering::Relaxed);
            return known.rewrite.clone().map(Some);
        }
        // Compiled without a lock: two pushes at once do it twice.
        let Some(rewrite) = Rewrite::compile(limits).transpose() else { return Ok(None) };
        let rewrite = rewrite.map(Arc::new);
        self.compiled.insert(settings, Compiled { rewrite: rewrite.clone(), used: AtomicBool::new(true) });
        rewrite.map(Some)
    }

    /// Forgets rules that nobody has asked for since the last time.
    pub(crate) fn keep_house(&self) {
        self.compiled.retain(|_, compiled| compiled.used.swap(false, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropping(label: &str) -> TenantLimits {
        TenantLimits { drop_labels: [label.into()].into(), ..TenantLimits::default() }
    }

    #[test]
    fn equal_rules_are_compiled_once_and_forgotten_when_nobody_asks() {
        let rewrites = Rewrites::default();
        assert!(rewrites.of(&TenantLimits::default()).unwrap().is_none());
        let first = rewrites.of(&dropping("a")).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &rewrites.of(&dropping("a")).unwrap().unwrap()));
        assert!(!Arc::ptr_eq(&first, &rewrites.of(&dropping("b")).unwrap().unwrap()));
        assert_eq!(rewrites.compiled.len(), 2);
        rewrites.keep_house();
        assert!(Arc::ptr_eq(&first, &rewrites.of(&dropping("a")).unwrap().unwrap()), "kept once more");
        rewrites.keep_house();
        assert_eq!(rewrites.compiled.len(), 1);
        rewrites.keep_house();
        assert_eq!(rewrites.compiled.len(), 0);
    }
}
