//! The worst pushes: what they take of memory and work, and that none of them is free.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::sync::Arc;

use limits::{LimitsState, SourceDocument, Tenant, TenantLimits};
use remote_write::encode::worst::{self, Worst};
use remote_write::relabel::{Pattern, Rewrite};
use remote_write::{
    BodyLimits, Dedupe, HaRules, PushCounts, Replica, Rules, Scratch, TenantRewrite, Unmetered, Validation,
    claimed_bytes, read_push, working_bytes,
};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };
const NOW: i64 = 1_700_000_000_000;

/// The limits of a tenant with these overrides.
fn limits(yaml: &str) -> TenantLimits {
    let text = format!("overrides:\n  team: {yaml}\n");
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let snapshot = state.apply(&[SourceDocument { name: "runtime.yaml", text: &text }]).snapshot.unwrap();
    let tenant = Tenant::parse(Some(b"team".as_slice())).unwrap();
    snapshot.for_tenant(&tenant).tenant.limits.clone()
}

/// The tenant's rules, compiled as the edge does it: rules with the same expression share it.
fn compile(limits: &TenantLimits) -> Option<Rewrite> {
    let mut known = HashMap::new();
    let pattern = |expression: &Arc<str>| {
        let compile = || Arc::new(Pattern::compile(expression).unwrap());
        Some(Ok(known.entry(Arc::clone(expression)).or_insert_with(compile).clone()))
    };
    Rewrite::compile_with(limits, pattern).unwrap().unwrap()
}

fn read(worst: &Worst, limits: &TenantLimits, rewrite: Option<&Rewrite>, scratch: &mut Scratch) -> PushCounts {
    let mut judge = |_: Replica<'_>| Dedupe::Elected;
    let ha = HaRules {
        cluster_label: limits.ha_cluster_label.as_bytes(),
        replica_label: limits.ha_replica_label.as_bytes(),
        each_series: limits.ha_tracker_per_sample_dedupe,
        judge: &mut judge,
    };
    let rules = Rules {
        validation: Validation::new(limits),
        rewrite: rewrite.map(|rewrite| TenantRewrite { rewrite, tenant: "team" }),
        ha: limits.accept_ha_samples.then_some(ha),
    };
    read_push(worst.protocol, &worst.body, LIMITS, rules, NOW, scratch).unwrap()
}

#[test]
fn the_worst_pushes_take_no_more_memory_than_is_reserved_for_them_and_are_charged_as_sent() {
    for worst in worst::all() {
        let limits = limits(worst.tenant_yaml);
        let rewrite = compile(&limits);
        let claimed = claimed_bytes(&worst.body).unwrap();
        let mut scratch = Scratch::default();
        let mut counts = None;
        let taken = allocation_counter::measure(|| {
            counts = Some(read(&worst, &limits, rewrite.as_ref(), &mut scratch));
        });
        let (peak, most) = (usize::try_from(taken.bytes_max).unwrap(), working_bytes(claimed));
        assert!(peak <= most, "{}: {peak} bytes of {most}, {claimed} claimed", worst.name);

        // In all, and the same is read of it with what is kept.
        let kept = allocation_counter::measure(|| scratch.shrink(1 << 20)).bytes_current;
        let kept = taken.bytes_current + kept;
        assert!(kept <= (1 << 20) + 1024, "{} keeps {kept} bytes", worst.name);
        let counts = counts.unwrap();
        assert_eq!(read(&worst, &limits, rewrite.as_ref(), &mut scratch), counts, "{}", worst.name);

        // What was judged before it came to its bound may be invalid.
        let is_charged = counts.unmetered.is_none() || counts.sent.samples == 0 || counts.samples > 0;
        assert!(is_charged, "{}: {counts:?}", worst.name);
        let is_abandoned = counts.unmetered.is_some_and(|why| why != Unmetered::CutValues);
        assert!(!is_abandoned || counts.exemplars == counts.sent.exemplars, "{}: {counts:?}", worst.name);
    }
}

#[test]
fn four_kilobytes_take_no_memory_worth_naming() {
    let worst = worst::long_value_referred_to();
    let limits = limits(worst.tenant_yaml);
    let rewrite = compile(&limits);
    assert!(worst.body.len() < 6000, "{}", worst.body.len());
    let mut counts = PushCounts::default();
    let taken = allocation_counter::measure(|| {
        counts = read(&worst, &limits, rewrite.as_ref(), &mut Scratch::default());
    });
    assert!(taken.bytes_max < 1 << 20, "{} bytes", taken.bytes_max);
    assert_eq!((counts.items(), counts.unmetered), (10, Some(Unmetered::Buffers)));
}
