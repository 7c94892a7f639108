//! The tenant of a worst push, and how the edge reads a push of its. The bench of the worst pushes includes this file.

use std::collections::HashMap;
use std::sync::Arc;

use limits::{LimitsState, SourceDocument, Tenant, TenantLimits};
use remote_write::relabel::{Pattern, Relabeler};
use remote_write::{
    BodyLimits, Dedupe, HaRules, PushCounts, Replica, Rules, Scratch, TenantRelabeler, Validation, read_push,
};

use super::worst::Worst;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };
const NOW: i64 = 1_700_000_000_000;

pub(crate) struct WorstTenant {
    limits: TenantLimits,
    relabeler: Option<Relabeler>,
}

impl WorstTenant {
    pub(crate) fn of(worst: &Worst) -> Self {
        let limits = limits(worst.tenant_yaml);
        let relabeler = compile(&limits);
        Self { limits, relabeler }
    }

    pub(crate) fn read(&self, worst: &Worst, scratch: &mut Scratch) -> PushCounts {
        let mut dedupe = |_: Replica<'_>| Dedupe::Elected;
        let rules = Rules {
            validation: Validation::new(&self.limits),
            relabeler: self.relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team" }),
            ha: self.limits.accept_ha_samples.then_some(HaRules::new(&self.limits, &mut dedupe)),
            enough: None,
        };
        read_push(worst.protocol, &worst.body, LIMITS, rules, NOW, scratch).unwrap()
    }
}

/// The limits of a tenant with these overrides.
fn limits(yaml: &str) -> TenantLimits {
    let text = format!("overrides:\n  team: {yaml}\n");
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let snapshot = state.apply(&[SourceDocument::new("runtime.yaml", &text)]).snapshot.unwrap();
    let tenant = Tenant::parse(Some(b"team".as_slice())).unwrap();
    snapshot.for_tenant(&tenant).tenant.limits.clone()
}

/// The tenant's rules, compiled as the edge does it: rules with the same expression share it.
fn compile(limits: &TenantLimits) -> Option<Relabeler> {
    let mut known = HashMap::new();
    let pattern = |expression: &Arc<str>| {
        let compile = || Arc::new(Pattern::compile(expression).unwrap());
        Some(Ok(known.entry(Arc::clone(expression)).or_insert_with(compile).clone()))
    };
    Relabeler::compile_with(limits, pattern).unwrap().unwrap()
}
