//! The overrides that the recorded cases ran with, and as many tenants as a large cluster has.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::fmt::Write;
use std::path::Path;

use limits::{Burst, LimitsState, Mode, Rate, SourceDocument, Tenant, TenantLimits};

fn apply(text: &str) -> std::sync::Arc<limits::Snapshot> {
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let applied = state.apply(&[SourceDocument::new("runtime.yaml", text)]);
    assert_eq!(applied.problems, []);
    applied.snapshot.expect("limits")
}

#[test]
fn the_recorded_overrides_load_without_a_problem() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/runtime.yaml");
    let text = std::fs::read_to_string(path).expect("the recorded overrides");
    let snapshot = apply(&text);
    let tenants = text.lines().filter(|line| line.starts_with("  \"")).count();
    assert!(tenants > 100);
    assert_eq!(snapshot.len(), tenants);
    let header = b"tenant-metadata-own-override-1-42:k=w";
    let view = snapshot.for_tenant(&Tenant::parse(Some(header)).expect("a tenant"));
    assert_eq!(view.ingestion.limits.ingestion_limit(std::num::NonZeroU32::MIN).burst, Burst::Items(2));
    assert_eq!(view.tenant.limits.ingestion_limit(std::num::NonZeroU32::MIN).burst, Burst::Items(4));
    let huge =
        snapshot.entry("ingestion-rate-1-61").expect("an entry").limits.ingestion_limit(std::num::NonZeroU32::MIN);
    assert_eq!((huge.rate, huge.burst), (Rate::PerSecond(1e21), Burst::Items(5)));
}

#[test]
fn ten_thousand_tenants_load() {
    let mut text =
        "overrides:\n  base: &base\n    ingestion_burst_size: 7\n    max_label_names_per_series: 40\n".to_owned();
    for tenant in 0..10_000 {
        writeln!(text, "  team-{tenant}:\n    <<: *base\n    ingestion_rate: {tenant}").expect("a line");
    }
    let snapshot = apply(&text);
    assert_eq!(snapshot.len(), 10_001);
    let entry = snapshot.entry("team-9999").expect("an entry");
    assert_eq!(
        (entry.limits.ingestion_rate, entry.limits.ingestion_burst_size, entry.mode),
        (9999.0, 7, Mode::Enforce)
    );
    let cache = limits::render_cache(&snapshot, None).expect("a cache");
    let restored = LimitsState::new(TenantLimits::default(), false).restore(&cache).expect("limits").limits;
    assert_eq!(restored.content_sum(), snapshot.content_sum());
}
