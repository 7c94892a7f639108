use std::borrow::Cow;

use super::*;

fn limits() -> TenantLimits {
    TenantLimits { creation_grace_period: Duration::from_millis(10), ..TenantLimits::default() }
}

const NOW: i64 = 1_000_000;

#[track_caller]
fn check_times(limits: &TenantLimits, first: i64, last: i64) {
    let times = Validation::new(limits).times(NOW);
    let contained = [first - 1, first, last, last + 1].map(|time| times.contain(time));
    assert_eq!(contained, [false, true, true, false], "{times:?}");
}

#[test]
fn samples_may_lie_ahead_by_the_creation_grace_period() {
    let times = Validation::new(&limits()).times(NOW);
    assert_eq!([i64::MIN, NOW + 10, NOW + 11].map(|time| times.contain(time)), [true, true, false]);
}

#[test]
fn samples_may_be_as_old_as_grace_and_window_allow() {
    let past = TenantLimits { past_grace_period: Duration::from_millis(7), ..limits() };
    check_times(&past, NOW - 7, NOW + 10);
    let both = TenantLimits { out_of_order_time_window: Duration::from_millis(5), ..past.clone() };
    check_times(&both, NOW - 12, NOW + 10);
    check_times(&TenantLimits { enforce_out_of_order_window_on_distributor: true, ..both }, NOW - 12, NOW + 10);
}

#[test]
fn the_window_alone_bounds_only_where_it_is_enforced() {
    let window = TenantLimits { out_of_order_time_window: Duration::from_millis(5), ..limits() };
    assert!(Validation::new(&window).times(NOW).contain(i64::MIN));
    let enforced = TenantLimits { enforce_out_of_order_window_on_distributor: true, ..window };
    check_times(&enforced, NOW - 5, NOW + 10);
    let none = TenantLimits { out_of_order_time_window: Duration::ZERO, ..enforced };
    assert!(Validation::new(&none).times(NOW).contain(i64::MIN));
}

#[test]
fn times_that_cannot_be_reckoned_are_the_ends_of_time() {
    let endless = TenantLimits { creation_grace_period: Duration::MAX, past_grace_period: Duration::MAX, ..limits() };
    let times = Validation::new(&endless).times(NOW);
    assert!(times.contain(i64::MAX) && times.contain(0));
}

#[track_caller]
fn check_exemplar_times(limits: &TenantLimits, earliest: i64, first: i64) {
    let times = Validation::new(limits).exemplar_times(NOW, earliest, 0);
    assert_eq!((times.first, times.last), (first, NOW + 10));
}

#[test]
fn exemplars_may_be_five_minutes_older_than_the_earliest_sample() {
    check_exemplar_times(&limits(), NOW, NOW - 300_000);
    check_exemplar_times(&limits(), i64::MAX, 0);
    let past = TenantLimits { past_grace_period: Duration::from_millis(7), ..limits() };
    check_exemplar_times(&past, NOW, NOW - 7);
    check_exemplar_times(&past, NOW + 300_000, NOW);
    check_exemplar_times(&past, i64::MAX, 0);
    let window = Duration::from_millis(5);
    let enforced =
        TenantLimits { out_of_order_time_window: window, enforce_out_of_order_window_on_distributor: true, ..limits() };
    check_exemplar_times(&enforced, NOW, NOW - 300_000);
}

#[test]
fn a_series_keeps_its_first_exemplars() {
    let kept = |max_exemplars_per_series_per_request| {
        let limits = TenantLimits { max_exemplars_per_series_per_request, ..limits() };
        [0, 1, 2].map(|before| Validation::new(&limits).keeps_exemplar(before))
    };
    assert_eq!(kept(2), [true, true, false]);
    assert_eq!([kept(0), kept(-1)], [[true; 3]; 2], "no limit");
}

#[track_caller]
fn check_name(name: &[u8], metric: [bool; 2], label: [bool; 2]) {
    let schemes = [NameScheme::Legacy, NameScheme::Utf8];
    let rules = schemes.map(|name_validation_scheme| {
        Validation::new(&TenantLimits { name_validation_scheme, ..TenantLimits::default() })
    });
    assert_eq!(rules.map(|rules| rules.is_metric_name(name)), metric, "metric {name:02x?}");
    assert_eq!(rules.map(|rules| rules.is_label_name(name)), label, "label {name:02x?}");
}

#[test]
fn names_are_legal_by_the_scheme() {
    const YES: [bool; 2] = [true; 2];
    const NO: [bool; 2] = [false; 2];
    const UTF8_ONLY: [bool; 2] = [false, true];
    check_name(b"abc_XYZ_019", YES, YES);
    check_name(b"_", YES, YES);
    check_name(b"__name__", YES, YES);
    check_name(b":", YES, UTF8_ONLY);
    check_name(b"a:b", YES, UTF8_ONLY);
    for name in [&b"0a"[..], b"a-b", b"a b", b"a.b", b"a/", b"a@", b"[a", b"`a", b"{a", "ü".as_bytes(), b"a\0"] {
        check_name(name, UTF8_ONLY, UTF8_ONLY);
    }
    check_name(b"", NO, NO);
    check_name(b"a\xff", NO, NO);
    check_name(b"a\xed\xa0\x80", NO, NO);
}

#[test]
fn lengths_are_bytes_and_may_be_the_limit() {
    let limits = TenantLimits { max_label_name_length: 3, max_label_value_length: 4, ..TenantLimits::default() };
    let rules = Validation::new(&limits);
    assert_eq!([&b"abc"[..], b"abcd"].map(|name| rules.is_label_name(name)), [true, false]);
    assert_eq!(
        ["abcd", "abcde", "üü", "üüa"].map(|value| rules.is_label_value(value.as_bytes())),
        [true, false, true, false]
    );
    assert!(!rules.is_label_value(b"\xff"));
}

#[test]
fn no_value_is_too_long_where_long_ones_are_cut() {
    for strategy in [LabelValueStrategy::Truncate, LabelValueStrategy::Drop] {
        let limits = TenantLimits {
            max_label_value_length: 4,
            label_value_length_over_limit_strategy: strategy,
            ..TenantLimits::default()
        };
        let rules = Validation::new(&limits);
        assert!(rules.is_label_value(b"abcde"));
        assert!(!rules.is_label_value(b"abcd\xff"), "it is still to be UTF-8");
    }
}

#[test]
fn metadata_need_a_name_and_short_texts() {
    let limits = TenantLimits { max_metadata_length: 5, ..TenantLimits::default() };
    let rules = Validation::new(&limits);
    assert_eq!(
        [(0, 0), (1, 0), (5, 5), (6, 0), (1, 6)].map(|(name, unit)| rules.is_metadata(name, unit)),
        [false, true, true, false, false]
    );
    let nameless = Validation::new(&TenantLimits { enforce_metadata_metric_name: false, ..limits.clone() });
    assert_eq!([(0, 0), (0, 6)].map(|(name, unit)| nameless.is_metadata(name, unit)), [true, false]);
    let negative = TenantLimits { max_metadata_length: -1, enforce_metadata_metric_name: false, ..limits };
    assert!(!Validation::new(&negative).is_metadata(0, 0));
}

#[test]
fn the_name_scheme_is_that_of_the_limits_key() {
    let entry = |name_validation_scheme| limits::TenantEntry {
        limits: TenantLimits { name_validation_scheme, max_label_name_length: 3, ..TenantLimits::default() },
        mode: limits::Mode::Enforce,
        overridden: limits::FieldSet::default(),
    };
    let (tenant, mut ingestion) = (entry(NameScheme::Legacy), entry(NameScheme::Utf8));
    ingestion.limits.max_label_name_length = 1;
    let rules = Validation::of(&TenantView { has_override: true, tenant: &tenant, ingestion: Cow::Owned(ingestion) });
    assert_eq!([&b"a.b"[..], b"a.bc"].map(|name| rules.is_label_name(name)), [true, false]);
}
