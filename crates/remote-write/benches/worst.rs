//! What the worst pushes take: bytes sent and claimed, time, and memory at its peak.
//!
//! `cargo bench -p remote-write --bench worst`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limits::{LimitsState, SourceDocument, Tenant, TenantLimits};
use remote_write::encode::worst::{self, Worst};
use remote_write::relabel::{Pattern, Rewrite};
use remote_write::{
    BodyLimits, Dedupe, HaRules, PushCounts, Replica, Rules, Scratch, TenantRewrite, Validation, claimed_bytes,
    read_push, working_bytes,
};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };
const NOW: i64 = 1_700_000_000_000;

fn main() {
    println!("| push | bytes sent | decompressed | ms | peak KiB | of reserved KiB | counted | unmetered |");
    println!("|---|---|---|---|---|---|---|---|");
    worst::all().iter().for_each(report);
}

fn report(worst: &Worst) {
    let limits = limits(worst.tenant_yaml);
    let rewrite = compile(&limits);
    let mut counts = PushCounts::default();
    let taken = allocation_counter::measure(|| {
        counts = read(worst, &limits, rewrite.as_ref(), &mut Scratch::default());
    });
    let mut scratch = Scratch::default();
    let time = best(|| {
        black_box(read(worst, &limits, rewrite.as_ref(), &mut scratch));
    });
    let claimed = claimed_bytes(&worst.body).unwrap();
    let (sent, millis) = (worst.body.len(), time.as_secs_f64() * 1000.0);
    let (peak, reserved) = (taken.bytes_max >> 10, working_bytes(claimed) >> 10);
    let why = counts.unmetered.map_or("", |why| why.as_str());
    println!(
        "| {} | {sent} | {claimed} | {millis:.2} | {peak} | {reserved} | {} | {why} |",
        worst.name,
        counts.items()
    );
}

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

/// The shortest of a few runs.
fn best(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}
