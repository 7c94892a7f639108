use super::*;
use crate::model::NameScheme;

fn entry(ingestion_rate: f64) -> TenantEntry {
    overridden(TenantLimits { ingestion_rate, ..TenantLimits::default() })
}

/// An entry that says what differs from the built-in defaults.
fn overridden(limits: TenantLimits) -> TenantEntry {
    let overridden = FieldSet::differing(&limits, &TenantLimits::default());
    TenantEntry { limits, mode: Mode::Enforce, overridden }
}

fn snapshot(entries: &[(&str, TenantEntry)]) -> Snapshot {
    let entries = entries.iter().map(|(key, entry)| (TenantId::from(*key), entry.clone())).collect();
    Snapshot::new(1, TenantLimits::default(), entries)
}

fn rates(snapshot: &Snapshot, header: &str) -> (f64, f64) {
    let tenant = Tenant::parse(Some(header.as_bytes())).expect("a tenant");
    let view = snapshot.for_tenant(&tenant);
    (view.tenant.limits.ingestion_rate, view.ingestion.limits.ingestion_rate)
}

#[test]
fn the_spelling_decides_ingestion_and_the_bare_tenant_the_rest() {
    let snapshot = snapshot(&[("a", entry(1.0)), ("a:k=v", entry(2.0)), ("b:k=v", entry(3.0))]);
    assert_eq!(rates(&snapshot, "a"), (1.0, 1.0));
    assert_eq!(rates(&snapshot, "a|a"), (1.0, 1.0));
    assert_eq!(rates(&snapshot, "a:k=v"), (1.0, 2.0));
    assert_eq!(rates(&snapshot, "a:k=w"), (1.0, 1.0));
    assert_eq!(rates(&snapshot, "b:k=v"), (10_000.0, 3.0));
    assert_eq!(rates(&snapshot, "c"), (10_000.0, 10_000.0));
}

#[track_caller]
fn merges(entries: &[(&str, TenantLimits)], header: &str, expected: (f64, i64, f64, NameScheme)) {
    let enforced = entries.iter().map(|(key, limits)| (*key, overridden(limits.clone())));
    let snapshot = snapshot(&enforced.collect::<Vec<_>>());
    let tenant = Tenant::parse(Some(header.as_bytes())).expect("a tenant");
    let limits = snapshot.for_tenant(&tenant).ingestion.limits.clone();
    let (rate, burst) = (limits.ingestion_rate, limits.ingestion_burst_size);
    assert_eq!((rate, burst, limits.ingestion_burst_factor, limits.name_validation_scheme), expected, "{header}");
}

#[test]
fn metadata_overrides_above_zero_replace_the_tenants() {
    let defaults = TenantLimits::default;
    let utf8 = NameScheme::Utf8;
    let tenant = TenantLimits {
        ingestion_rate: 1.0,
        ingestion_burst_size: 2,
        ingestion_burst_factor: 3.0,
        name_validation_scheme: utf8,
        ..defaults()
    };
    let nothing = TenantLimits { ingestion_rate: 0.0, ingestion_burst_size: -1, ..defaults() };
    let entries = [
        ("a", tenant),
        ("a:n=0", nothing.clone()),
        ("a:d=0", defaults()),
        (":k=v", TenantLimits { ingestion_rate: 10.0, ..nothing.clone() }),
        ("a:k=v", TenantLimits { ingestion_burst_size: 20, ..nothing.clone() }),
        ("a:l=w", TenantLimits { ingestion_rate: 30.0, ..nothing.clone() }),
        ("a:k=v:l=w", TenantLimits { ingestion_burst_factor: 40.0, ..nothing }),
        ("c:k=v", TenantLimits { name_validation_scheme: utf8, ..defaults() }),
    ];
    merges(&entries, "a", (1.0, 2, 3.0, utf8));
    merges(&entries, "a:n=0", (1.0, 2, 3.0, utf8));
    merges(&entries, "a:d=0", (10_000.0, 200_000, 3.0, utf8));
    merges(&entries, "a:k=v", (10.0, 20, 3.0, utf8));
    merges(&entries, "a:k=v:l=w", (30.0, 20, 40.0, utf8));
    merges(&entries, "a:l=w:m=x", (30.0, 2, 3.0, utf8));
    merges(&entries, "b:k=v", (10.0, 200_000, 0.0, NameScheme::Legacy));
    merges(&entries, "c:k=v", (10_000.0, 200_000, 0.0, utf8));
}

#[test]
fn lists_overrides_in_order() {
    let snapshot = snapshot(&[("b", entry(1.0)), ("a:k=v", entry(1.0)), ("a", entry(1.0))]);
    let keys: Vec<_> = snapshot.tenants().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "a:k=v", "b"]);
    assert_eq!((snapshot.len(), snapshot.is_empty()), (3, false));
}

#[test]
fn equal_overrides_have_equal_sums_and_others_do_not() {
    let one = snapshot(&[("a", entry(1.0)), ("b", entry(2.0))]);
    let same = snapshot(&[("b", entry(2.0)), ("a", entry(1.0))]);
    assert_eq!(one.content_sum(), same.content_sum());
    let shadow = TenantEntry { mode: Mode::Shadow, ..entry(2.0) };
    for other in [
        snapshot(&[("a", entry(1.0))]),
        snapshot(&[("a", entry(1.0)), ("b", entry(3.0))]),
        snapshot(&[("a", entry(1.0)), ("c", entry(2.0))]),
        snapshot(&[("a", entry(1.0)), ("b", shadow)]),
        Snapshot::new(1, entry(5.0).limits, HashMap::new()),
    ] {
        assert_ne!(one.content_sum(), other.content_sum());
    }
}

#[test]
fn a_diff_names_what_came_changed_and_went() {
    let older = snapshot(&[("a", entry(1.0)), ("b", entry(2.0)), ("c", entry(3.0))]);
    let newer = snapshot(&[("b", entry(2.5)), ("c", entry(3.0)), ("d", entry(4.0))]);
    let diff = newer.diff(&older);
    assert_eq!(diff.added, [TenantId::from("d")]);
    assert_eq!(diff.changed, [TenantId::from("b")]);
    assert_eq!(diff.removed, [TenantId::from("a")]);
    assert!(!diff.defaults_changed && !diff.is_empty());
    assert!(newer.diff(&newer).is_empty());
    let other_defaults = Snapshot::new(1, entry(5.0).limits, HashMap::new());
    assert!(other_defaults.diff(&snapshot(&[])).defaults_changed);
}

#[test]
fn a_page_begins_after_the_key_it_is_given() {
    let snapshot = snapshot(&["a", "a:k=v", "b", "d"].map(|key| (key, entry(1.0))));
    for (after, keys) in [
        (None, &["a", "a:k=v", "b", "d"][..]),
        (Some(""), &["a", "a:k=v", "b", "d"]),
        (Some("a"), &["a:k=v", "b", "d"]),
        (Some("a:k=v"), &["b", "d"]),
        (Some("c"), &["d"]),
        (Some("d"), &[]),
        (Some("z"), &[]),
    ] {
        let page: Vec<_> = snapshot.tenants_after(after).map(|(key, _)| key.as_str()).collect();
        assert_eq!(page, keys, "{after:?}");
    }
}

#[test]
fn two_changes_do_not_cancel_out_in_the_sum() {
    let sum = |rates: [u32; 2]| {
        let entry = |rate| overridden(TenantLimits { request_rate: f64::from(rate), ..TenantLimits::default() });
        snapshot(&[("a", entry(rates[0])), ("d", entry(rates[1]))]).content_sum()
    };
    let mut sums: Vec<u64> = (0..10_000).map(|number| sum([number / 100, number % 100])).collect();
    sums.sort_unstable();
    sums.dedup();
    assert_eq!(sums.len(), 10_000);
}
