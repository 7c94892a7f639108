//! Which replica decides for which tenant, by the counters of each.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Edge, MimirRls};

/// Decisions by tenant and replica, while they ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecisionCounts(BTreeMap<(String, usize), f64>);

/// The replicas that decided for each tenant in some part of a test.
pub(crate) type Deciders = BTreeMap<String, BTreeSet<usize>>;

impl DecisionCounts {
    /// What the replicas that are there have decided so far.
    pub(crate) fn of(edge: &Edge) -> Self {
        Self::of_replicas(edge.all_rls().enumerate())
    }

    /// What these have decided so far.
    pub(crate) fn of_replicas<'r>(replicas: impl Iterator<Item = (usize, &'r MimirRls)>) -> Self {
        let mut counts = Self::default();
        for (replica, rls) in replicas.filter(|(_, rls)| rls.readiness().is_some()) {
            for line in rls.get("/metrics").text().lines() {
                if let Some((tenant, count)) = decisions(line) {
                    *counts.0.entry((tenant.to_owned(), replica)).or_default() += count;
                }
            }
        }
        counts
    }

    /// Who decided since `before`. A replica that was started again since then counts from 0.
    pub(crate) fn deciders_since(&self, before: &Self) -> Deciders {
        let mut deciders = Deciders::new();
        for ((tenant, replica), count) in &self.0 {
            let earlier = before.0.get(&(tenant.clone(), *replica)).copied().unwrap_or_default();
            if *count != earlier && *count > 0.0 {
                deciders.entry(tenant.clone()).or_default().insert(*replica);
            }
        }
        deciders
    }
}

fn decisions(line: &str) -> Option<(&str, f64)> {
    let (labels, count) = line.strip_prefix("rls_tenant_decisions_total{")?.split_once("} ")?;
    let tenant = labels.split_once("tenant=\"")?.1.strip_suffix('"')?;
    Some((tenant, count.parse().ok().filter(|count| *count > 0.0)?))
}
