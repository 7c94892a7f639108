use std::collections::HashSet;

use enforce::{Denial, DenyReason};
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::*;

/// The metric, and what Prometheus sees of it.
struct Fixture {
    registry: Registry,
    metrics: TenantMetrics,
}

impl Fixture {
    fn new() -> Self {
        let registry = Registry::new();
        let metrics = TenantMetrics::new(&registry).unwrap();
        Self { registry, metrics }
    }

    fn record(&self, tenants: impl IntoIterator<Item = String>, denied: bool) {
        tenants.into_iter().for_each(|tenant| self.decide(&tenant, denied));
    }

    fn decide(&self, tenant: &str, denied: bool) {
        let denial = Denial::new(DenyReason::IngestionRate, "");
        let denial = denied.then_some(&denial);
        self.metrics.record(tenant, Decided { mode: Mode::Enforce, samples: 7, denial });
    }

    /// The series of a metric with these labels.
    fn count(&self, metric: &str, labels: &str) -> Option<u64> {
        let text = self.text();
        text.lines().find_map(|line| line.strip_prefix(&format!("{metric}{{{labels}}} "))?.parse().ok())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).unwrap();
        text
    }

    /// (tenant, decision, count) of each series.
    fn series(&self) -> Vec<(String, String, u64)> {
        let families = self.registry.gather();
        let decisions = families.iter().filter(|family| family.name() == "rls_tenant_decisions_total");
        let metrics = decisions.flat_map(MetricFamily::get_metric);
        metrics
            .map(|metric| {
                let label =
                    |name| metric.get_label().iter().find(|label| label.name() == name).unwrap().value().to_owned();
                (label("tenant"), label("decision"), metric.get_counter().get_value() as u64)
            })
            .collect()
    }

    /// Tenants with series of their own.
    fn tenants(&self) -> HashSet<String> {
        self.series().into_iter().map(|(tenant, ..)| tenant).filter(|tenant| tenant != OTHER).collect()
    }

    fn sum(&self) -> u64 {
        self.series().iter().map(|(.., count)| count).sum()
    }

    #[track_caller]
    fn check(&self, tenant: &str, (allowed, denied): (u64, u64)) {
        let mut of_tenant: Vec<_> = self.series().into_iter().filter(|(name, ..)| name == tenant).collect();
        of_tenant.sort();
        let series = |decision: &str, count| (tenant.to_owned(), decision.to_owned(), count);
        assert_eq!(of_tenant, [series(ALLOW, allowed), series(DENY, denied)]);
    }
}

fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}-{number:0>width$}", width = 149 - prefix.len()))
}

#[test]
fn both_decisions_are_counted_and_exist_from_the_start() {
    let fixture = Fixture::new();
    fixture.check(OTHER, (0, 0));
    fixture.decide("a", false);
    fixture.check("a", (1, 0));
    fixture.decide("a", true);
    fixture.decide("a", false);
    fixture.check("a", (2, 1));
    fixture.check(OTHER, (0, 0));
}

#[test]
fn a_denial_is_counted_without_looking_up_its_series() {
    let fixture = Fixture::new();
    let of = |tenant: &str| format!(r#"mode="enforce",reason="ingestion_rate",tenant="{tenant}""#);
    fixture.record(names("calm", PLACES_WITHOUT_DENIAL), false);
    fixture.record(names("loud", PLACES - PLACES_WITHOUT_DENIAL), true);
    for tenant in [names("loud", 1).next().unwrap().as_str(), OTHER] {
        fixture.decide(if tenant == OTHER { "without-a-place" } else { tenant }, true);
        let counted = fixture.count("rls_tenant_denied_total", &of(tenant));
        assert!(counted > Some(0), "{tenant}");
        // Looking one up would make it again.
        fixture.metrics.denied.remove(tenant);
        fixture.decide(if tenant == OTHER { "without-a-place" } else { tenant }, true);
        assert_eq!(fixture.count("rls_tenant_denied_total", &of(tenant)), None, "{tenant}");
        assert_eq!(fixture.count("rls_tenant_denied_samples_total", &of(tenant)), None, "{tenant}");
    }
}

#[test]
fn many_tenants_make_few_series_that_count_every_decision() {
    let fixture = Fixture::new();
    fixture.record(names("calm", 100_000), false);
    assert_eq!(fixture.tenants().len(), PLACES_WITHOUT_DENIAL);
    fixture.record(names("loud", 100_000), true);
    assert_eq!(fixture.tenants().len(), PLACES);
    fixture.record(names("loud", 100_000), false);
    fixture.record(names("calm", 100_000), true);
    assert_eq!(fixture.tenants().len(), PLACES);
    assert_eq!(fixture.sum(), 400_000);
    let text = fixture.text();
    assert!(text.contains("tenant=\"calm-") && text.len() < 900_000, "{} bytes", text.len());
}

#[test]
fn a_denied_tenant_displaces_tenants_never_denied() {
    let fixture = Fixture::new();
    fixture.record(names("calm", 2_000), false);
    fixture.decide("offender", true);
    fixture.check("offender", (0, 1));
    fixture.check(OTHER, (1_500, 0));
}

#[test]
fn a_denied_tenant_frees_its_place_among_undenied_ones() {
    let fixture = Fixture::new();
    fixture.record(names("calm", PLACES_WITHOUT_DENIAL), false);
    fixture.decide("late", false);
    fixture.check(OTHER, (1, 0));
    fixture.record(names("calm", 1).chain(names("calm", 1)), true);
    fixture.record(["late".to_owned(), "later".to_owned()], false);
    fixture.check("late", (1, 0));
    fixture.check(OTHER, (2, 0));
}

#[test]
fn idle_tenants_lose_their_place_and_restart_at_zero() {
    let (fixture, start) = (Fixture::new(), Instant::now());
    for _ in 0..10 {
        fixture.record(["idle".to_owned(), "busy".to_owned()], false);
    }
    fixture.decide("idle", true);
    fixture.metrics.evict_idle(start);
    fixture.metrics.evict_idle(start + IDLE / 2);
    fixture.decide("busy", false);
    fixture.metrics.evict_idle(start + IDLE - Duration::from_secs(1));
    fixture.check("idle", (10, 1));
    fixture.metrics.evict_idle(start + IDLE);
    assert_eq!(fixture.tenants(), HashSet::from(["busy".to_owned()]));
    fixture.check("busy", (11, 0));
    fixture.decide("idle", false);
    fixture.check("idle", (1, 0));
}

#[test]
fn a_tenant_with_few_decisions_loses_its_place_sooner() {
    for (decisions, minutes) in [(1, 2), (2, 4), (7, 14), (8, 15), (100, 15)] {
        let (fixture, start) = (Fixture::new(), Instant::now());
        (0..decisions).for_each(|number| fixture.decide("a", number % 2 == 0));
        fixture.metrics.evict_idle(start);
        let gone = start + Duration::from_secs(minutes * 60);
        fixture.metrics.evict_idle(gone - Duration::from_millis(1));
        assert_eq!(fixture.tenants().len(), 1, "{decisions}");
        fixture.metrics.evict_idle(gone);
        assert_eq!(fixture.tenants().len(), 0, "{decisions}");
    }
}

#[test]
fn invented_tenants_block_a_place_two_minutes_at_most() {
    let (fixture, start) = (Fixture::new(), Instant::now());
    fixture.record(names("invented", 2_000), true);
    fixture.decide("offender", true);
    assert!(!fixture.tenants().contains("offender"));
    fixture.metrics.evict_idle(start);
    fixture.metrics.evict_idle(start + Duration::from_secs(120));
    fixture.decide("offender", true);
    fixture.check("offender", (0, 1));
}

#[test]
fn places_of_idle_tenants_are_given_to_others() {
    let (fixture, start) = (Fixture::new(), Instant::now());
    for round in 0..3 {
        let now = start + IDLE * 2 * round;
        fixture.record(names(&format!("calm{round}"), 600), false);
        fixture.record(names(&format!("loud{round}"), 600), true);
        let expected: HashSet<_> =
            names(&format!("calm{round}"), 500).chain(names(&format!("loud{round}"), 500)).collect();
        assert_eq!(fixture.tenants(), expected);
        fixture.metrics.evict_idle(now);
        fixture.metrics.evict_idle(now + IDLE);
        assert_eq!(fixture.tenants(), HashSet::new());
    }
    fixture.check(OTHER, (300, 300));
}

#[test]
fn threads_racing_at_the_bounds_lose_nothing() {
    let (fixture, start) = (Fixture::new(), Instant::now());
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let fixture = &fixture;
            scope.spawn(move || {
                for number in 0..20_000_usize {
                    fixture.decide(&format!("t{}", number % 1_500), number % 7 == thread);
                }
            });
        }
        scope.spawn(|| (0..50).for_each(|_| fixture.metrics.evict_idle(start)));
    });
    assert_eq!(fixture.sum(), 80_000);
    assert!(fixture.tenants().len() <= PLACES);
    fixture.metrics.evict_idle(start);
    fixture.metrics.evict_idle(start + IDLE);
    let left = fixture.metrics.room.taken();
    assert_eq!((fixture.tenants().len(), left), (0, [0, 0]));
}

#[test]
fn denials_are_counted_by_reason_mode_and_samples() {
    let (fixture, start) = (Fixture::new(), Instant::now());
    let denial = Denial::new(DenyReason::RequestRate, "");
    let decided = Decided { mode: Mode::Shadow, samples: 0, denial: Some(&denial) };
    fixture.metrics.record("a", decided);
    fixture.record(["a".to_owned(), "a".to_owned()], true);
    fixture.decide("a", false);
    let labels = r#"mode="enforce",reason="ingestion_rate",tenant="a""#;
    assert_eq!(fixture.count("rls_tenant_denied_total", labels), Some(2));
    assert_eq!(fixture.count("rls_tenant_denied_samples_total", labels), Some(14));
    let labels = r#"mode="shadow",reason="request_rate",tenant="a""#;
    assert_eq!(fixture.count("rls_tenant_denied_total", labels), Some(1));
    assert_eq!(fixture.count("rls_tenant_denied_samples_total", labels), Some(0));
    fixture.metrics.evict_idle(start);
    fixture.metrics.evict_idle(start + IDLE);
    assert_eq!(fixture.count("rls_tenant_denied_total", labels), None);
}

#[test]
fn denials_of_other_tenants_have_their_reason_too() {
    let fixture = Fixture::new();
    fixture.record(names("loud", PLACES + 5), true);
    let labels = r#"mode="enforce",reason="ingestion_rate",tenant="<other>""#;
    assert_eq!(fixture.count("rls_tenant_denied_total", labels), Some(5));
    assert_eq!(fixture.count("rls_tenant_denied_samples_total", labels), Some(35));
}
