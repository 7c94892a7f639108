use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::document::SourceDocument;
use crate::model::{LabelValueStrategy, NameScheme};
use crate::relabel::{RelabelAction, RelabelRule};
use crate::state::LimitsState;

fn state() -> LimitsState {
    LimitsState::new(TenantLimits::default(), false)
}

fn snapshot(entries: &[(&str, TenantEntry)]) -> Snapshot {
    let entries = entries.iter().map(|(key, entry)| (TenantId::from(*key), entry.clone())).collect();
    Snapshot::new(7, TenantLimits::default(), entries)
}

/// An entry that says what differs from the built-in defaults.
fn overridden(limits: TenantLimits, mode: Mode) -> TenantEntry {
    let overridden = FieldSet::differing(&limits, &TenantLimits::default());
    TenantEntry { limits, mode, overridden }
}

fn entry(ingestion_rate: f64, mode: Mode) -> TenantEntry {
    overridden(TenantLimits { ingestion_rate, ..TenantLimits::default() }, mode)
}

/// Keys of every kind, one shadowed tenant, and values at the ends of their ranges.
fn varied() -> Snapshot {
    let extreme = TenantLimits {
        request_rate: f64::NAN,
        ingestion_rate: f64::INFINITY,
        ingestion_burst_factor: f64::NEG_INFINITY,
        request_burst_size: i64::MIN,
        ingestion_burst_size: i64::MAX,
        past_grace_period: Duration::from_millis(i64::MAX as u64 / 1_000_000),
        out_of_order_time_window: Duration::from_millis(1),
        drop_labels: ["", "~", "a\nb\r\u{85}\u{2028}", "\"'\\#: {}", "é\u{0}\u{ffff}\u{10ffff}"].map(Arc::from).into(),
        metric_relabel_configs: [
            RelabelRule::default(),
            RelabelRule {
                source_labels: ["pod", "a, b]"].map(Arc::from).into(),
                separator: "".into(),
                regex: r"^(\d+)\.{2,3}$|#\x{10FFFF}".into(),
                modulus: u64::MAX,
                action: RelabelAction::HashMod,
                ..RelabelRule::default()
            },
        ]
        .into(),
        label_value_length_over_limit_strategy: LabelValueStrategy::Truncate,
        name_validation_scheme: NameScheme::Utf8,
        accept_ha_samples: true,
        ..TenantLimits::default()
    };
    let zero = TenantLimits { ingestion_rate: -0.0, request_rate: f64::MIN_POSITIVE, ..TenantLimits::default() };
    snapshot(&[
        ("plain", entry(10_000.0, Mode::Enforce)),
        ("plain:k=v:l=", entry(f64::MAX, Mode::Enforce)),
        ("'quo'ted'", entry(0.1 + 0.2, Mode::Shadow)),
        ("!*(-._)", entry(5e-324, Mode::Enforce)),
        ("null", entry(9_007_199_254_740_993.0, Mode::Enforce)),
        ("1e3", overridden(zero, Mode::Enforce)),
        ("extreme", overridden(extreme, Mode::Shadow)),
    ])
}

/// A cache without a number of distributors.
fn rendered(snapshot: &Snapshot) -> String {
    render_cache(snapshot, None).expect("a cache")
}

#[track_caller]
fn comes_back(snapshot: &Snapshot, distributors: u32) {
    let distributors = NonZeroU32::new(distributors);
    let text = render_cache(snapshot, distributors).expect("a cache");
    let restored = state().restore(&text).unwrap_or_else(|error| unreachable!("it {error}\n{text}"));
    assert!(restored.limits.diff(snapshot).is_empty(), "{text}");
    assert_eq!(restored.limits.content_sum(), snapshot.content_sum(), "{text}");
    assert_eq!(restored.limits.version(), 1);
    assert_eq!(restored.distributors, distributors, "{text}");
}

#[test]
fn keys_values_and_modes_come_back_exactly() {
    comes_back(&varied(), 3);
    comes_back(&snapshot(&[]), u32::MAX);
}

#[test]
fn an_unknown_number_of_distributors_comes_back_as_unknown() {
    comes_back(&varied(), 0);
    comes_back(&snapshot(&[]), 0);
}

#[test]
fn entries_lie_over_the_defaults_of_the_reading_process() {
    let written =
        LimitsState::new(TenantLimits { ingestion_rate: 1.0, request_rate: 2.0, ..TenantLimits::default() }, false)
            .apply_text("overrides: {a: {request_burst_size: 3, request_rate: 2}}");
    let mut loaded = LimitsState::new(TenantLimits { ingestion_rate: 50.0, ..TenantLimits::default() }, false);
    let restored = loaded.restore(&rendered(&written)).expect("limits").limits;
    let limits = restored.entry("a").map(|entry| entry.limits.clone()).expect("an entry");
    assert_eq!((limits.ingestion_rate, limits.request_rate, limits.request_burst_size), (50.0, 2.0, 3));
    assert_eq!(restored.content_sum(), written.content_sum());
}

#[test]
fn later_documents_are_compared_with_what_was_restored() {
    let written = state().apply_text("overrides: {a: {ingestion_rate: 1}, b: {ingestion_rate: 2}}");
    let mut state = state();
    state.restore(&rendered(&written)).expect("limits");
    let same = state.apply(&[document("overrides: {b: {ingestion_rate: 2}, a: {ingestion_rate: 1}}")]);
    assert!(!same.changed && same.accepted);
    let emptied = state.apply(&[document("overrides: {}")]);
    assert!(!emptied.accepted, "there were tenants before the restart");
    let broken = state.apply(&[document("a.ingestion_rate: fast\n")]).snapshot.expect("limits");
    assert_eq!((broken.version(), broken.len()), (2, 1));
    assert_eq!(broken.entry("a").map(|entry| (entry.limits.ingestion_rate, entry.mode)), Some((1.0, Mode::Enforce)));
}

#[test]
fn a_shadowed_entry_stays_shadowed_after_a_restart() {
    let written = state().apply_text("a.ingestion_rate: fast\na.request_rate: '5'\n");
    let mut state = state();
    state.restore(&rendered(&written)).expect("limits");
    let after = state.apply(&[document("a.ingestion_rate: slow\na.request_rate: '6'\n")]).snapshot.expect("limits");
    assert_eq!(after.entry("a").map(|entry| (entry.limits.request_rate, entry.mode)), Some((6.0, Mode::Shadow)));
}

#[test]
fn nothing_is_restored_over_limits() {
    let text = rendered(&varied());
    let mut state = state();
    state.apply(&[document("overrides: {}")]);
    assert_eq!(state.restore(&text).map(drop), Err(CacheError::NotFirst));
    assert_eq!(state.current().map(|now| now.len()), Some(0));
}

#[test]
fn any_changed_missing_or_extra_byte_is_an_error() {
    let text = rendered(&varied());
    let bytes = text.as_bytes();
    let rejected = |bytes: Vec<u8>, what: &str, position: usize| {
        // The reader of the file rejects what is no UTF-8.
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(state().restore(&text).is_err(), "byte {position} {what}");
        }
    };
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[position] ^= 1 << bit;
            rejected(flipped, "flipped", position);
        }
        rejected(bytes[..position].to_vec(), "and what follows cut", position);
        rejected([&bytes[..position], &bytes[position + 1..]].concat(), "removed", position);
        rejected([&bytes[..=position], &bytes[position..]].concat(), "doubled", position);
    }
    rejected([bytes, b"\n"].concat(), "is followed by more", bytes.len());
}

#[test]
fn each_fault_is_reported_with_its_consequence() {
    let text = render_cache(&snapshot(&[("a", entry(5.0, Mode::Enforce))]), NonZeroU32::new(3)).expect("a cache");
    let outcome = |text: &str| state().restore(text).map_or_else(|error| error.to_string(), |_| "restored".to_owned());
    let ours = resealed;
    for (text, expected) in [
        (text.clone(), "restored"),
        ("overrides: {}".to_owned(), "is no limits cache"),
        (String::new(), "is no limits cache"),
        (
            text.replacen("format 3", "format 2", 1),
            "is a limits cache of format \"2\", and this version reads format 3: it is written anew",
        ),
        (
            text.replacen("tenant: \"a\"", "tenant: \"b\"", 1),
            "is cut or was edited: its checksum does not fit; it is written anew",
        ),
        (
            ours(&text.replacen("ingestion_rate: 5}", "ingestion_rat: 5}", 1)),
            "cannot be read: line 4 has the unknown field ingestion_rat; it is written anew",
        ),
        (
            ours(&text.replacen("ingestion_rate: 5}", "ingestion_rate: x}", 1)),
            "cannot be read: line 4 field ingestion_rate is \"x\": write a number such as 10000; it is written anew",
        ),
        (
            ours(&text.replacen("mode: enforce", "mode: on", 1)),
            "cannot be read: line 4 names no mode; it is written anew",
        ),
        (ours(&text.replacen("\"a\"", "\"a|a\"", 1)), "cannot be read: line 4 names no tenant; it is written anew"),
        (
            ours(&format!("{text}{}\n", text.lines().next_back().unwrap_or_default())),
            "cannot be read: line 5 has a tenant for the second time; it is written anew",
        ),
        (ours(&format!("{text}a: 5\n")), "cannot be read: line 5 is no entry; it is written anew"),
        (ours(&format!("{text}- 5\n")), "cannot be read: line 5 is no mapping; it is written anew"),
        (
            ours(&text.replacen("distributors: 3", "distributors: 0", 1)),
            "cannot be read: line 2 has 0 in place of a number of distributors; it is written anew",
        ),
        (
            ours(&text.replacen("distributors: 3\n", "", 1)),
            "cannot be read: line 2 names no number of distributors; it is written anew",
        ),
        (
            ours(&text.replacen("distributors: 3", "distributors: ", 1)),
            "cannot be read: line 2 names no number of distributors; it is written anew",
        ),
    ] {
        assert_eq!(outcome(&text), expected, "{text}");
    }
}

#[test]
fn a_cache_over_the_cap_is_neither_written_nor_read() {
    let long: Arc<str> = "x".repeat(MAX_CACHE_BYTES / 2).into();
    let limits = TenantLimits { ha_cluster_label: long, ..TenantLimits::default() };
    let large = overridden(limits, Mode::Enforce);
    let snapshot = snapshot(&[("a", large.clone()), ("b", large)]);
    assert_eq!(render_cache(&snapshot, None), Err(CacheError::TooLarge));
    assert_eq!(state().restore(&" ".repeat(MAX_CACHE_BYTES + 1)).map(drop), Err(CacheError::TooLarge));
}

fn document(text: &str) -> SourceDocument<'_> {
    SourceDocument::new("limits.yaml", text)
}

impl LimitsState {
    fn apply_text(mut self, text: &str) -> Arc<Snapshot> {
        self.apply(&[document(text)]).snapshot.expect("limits")
    }
}

/// The text with the checksum that its body has.
fn resealed(text: &str) -> String {
    let (_, body) = text.split_once('\n').expect("a title");
    format!("{}{body}", title(body))
}

prop_compose! {
    fn rule()(
        source_labels in proptest::collection::vec(any::<String>().prop_map(Arc::from), 0..3),
        texts in [any::<String>(), any::<String>(), any::<String>(), any::<String>()],
        modulus in any::<u64>(),
        action in proptest::sample::select(&RelabelAction::ALL),
    ) -> RelabelRule {
        let [separator, target_label, regex, replacement] = texts.map(Arc::from);
        RelabelRule { source_labels: source_labels.into(), separator, target_label, regex, modulus, replacement, action }
    }
}

prop_compose! {
    fn limits()(
        rates in [proptest::num::f64::ANY, proptest::num::f64::ANY, proptest::num::f64::ANY],
        sizes in [any::<i64>(), any::<i64>(), any::<i64>()],
        millis in 0..=i64::MAX as u64 / 1_000_000,
        label in any::<String>(),
        drop_labels in proptest::collection::vec(any::<String>().prop_map(Arc::from), 0..4),
        rules in proptest::collection::vec(rule(), 0..3),
        accept_ha_samples in any::<bool>(),
    ) -> TenantLimits {
        let ([ingestion_rate, request_rate, ingestion_burst_factor], [ingestion_burst_size, request_burst_size, ha_max_clusters])
            = (rates, sizes);
        TenantLimits {
            ingestion_rate, request_rate, ingestion_burst_factor, ingestion_burst_size, request_burst_size, ha_max_clusters,
            creation_grace_period: Duration::from_millis(millis), ha_replica_label: label.into(), accept_ha_samples,
            drop_labels: drop_labels.into(), metric_relabel_configs: rules.into(), ..TenantLimits::default()
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_snapshot_holds_comes_back(
        entries in proptest::collection::hash_map(
            "[a-zA-Z0-9!_.*'()-]{3,20}(:a=[a-z0-9_-]{0,9})?".prop_map(|key| TenantId::from(key.as_str())),
            (limits(), any::<bool>()),
            0..4,
        ),
        distributors in any::<u32>(),
    ) {
        let mode = |good: bool| if good { Mode::Enforce } else { Mode::Shadow };
        let entries = entries.into_iter().map(|(key, (limits, good))| (key, overridden(limits, mode(good))));
        comes_back(&Snapshot::new(1, TenantLimits::default(), entries.collect()), distributors);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        prop_assert!(state().restore(&text).is_err());
        let titled = format!("{CACHE_TITLE} {FORMAT}, {text}");
        prop_assert!(state().restore(&titled).is_err());
        let _ = state().restore(&resealed(&format!("\n{text}")));
    }
}
