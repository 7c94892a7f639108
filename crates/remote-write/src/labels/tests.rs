use limits::TenantLimits;

use super::LabelVerdict::{Empty, Invalid, Valid};
use super::*;
use crate::work::Caps;

type Label<'a> = (&'a str, &'a str);

/// The verdicts on series that come one after the other.
fn verdicts(limits: &TenantLimits, series: &[Vec<Label<'_>>]) -> Vec<LabelVerdict> {
    let rules = Validation::new(limits);
    let mut work = Work::new(1 << 20, Caps::USUAL);
    let mut labels = Labels::new(&mut LabelBuffers::default());
    let validate = |series: &Vec<Label<'_>>| {
        // Nothing but the texts is to tell two names apart.
        let owned: Vec<_> = series.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        owned
    };
    let owned: Vec<_> = series.iter().map(validate).collect();
    let mut verdicts = Vec::new();
    for series in &owned {
        labels.begin();
        for (name, value) in series {
            let value = value.as_bytes();
            labels.push(&rules, name.as_bytes(), value, rules.is_label_value(value), &mut work);
        }
        verdicts.push(labels.verdict(&rules, &mut work));
    }
    verdicts
}

#[track_caller]
fn check(series: &[Label<'_>], expected: LabelVerdict) {
    let limits = TenantLimits {
        max_label_names_per_series: 4,
        max_label_names_per_info_series: 5,
        max_label_name_length: 8,
        ..TenantLimits::default()
    };
    let plain = vec![("__name__", "up"), ("a", "1"), ("b", "2")];
    assert_eq!(verdicts(&limits, &[series.to_vec()]), [expected], "alone: {series:?}");
    let around = [plain.clone(), series.to_vec(), series.to_vec(), plain];
    assert_eq!(verdicts(&limits, &around), [Valid, expected, expected, Valid], "among others: {series:?}");
}

const NAME: Label<'static> = ("__name__", "up");

#[test]
fn a_series_needs_a_legal_metric_name() {
    check(&[NAME], Valid);
    check(&[("__name__", "a:b")], Valid);
    check(&[("a", "1")], Invalid);
    check(&[("__name__", ""), ("a", "1")], Invalid);
    check(&[("__name__", "0up")], Invalid);
    check(&[("__name__", "u-p"), ("a", "1")], Invalid);
}

#[test]
fn empty_labels_are_none() {
    check(&[], Empty);
    check(&[("a", ""), ("__name__", "")], Empty);
    check(&[NAME, ("a", ""), ("0", ""), ("toolongname", "")], Valid);
    check(&[NAME, ("a", "1"), ("a", ""), ("b", "2"), ("c", ""), ("d", "3")], Valid);
}

#[test]
fn label_names_are_legal_and_short() {
    check(&[NAME, ("eight_ch", "1")], Valid);
    check(&[NAME, ("nine_char", "1")], Invalid);
    check(&[NAME, ("", "1")], Invalid);
    check(&[NAME, ("a:b", "1")], Invalid);
    check(&[NAME, ("0", "1")], Invalid);
}

#[test]
fn no_name_comes_twice_in_whatever_order() {
    check(&[NAME, ("a", "1"), ("a", "1")], Invalid);
    check(&[("a", "1"), NAME, ("a", "2")], Invalid);
    check(&[NAME, ("a", "1"), NAME], Invalid);
    check(&[("b", "1"), NAME, ("a", "2")], Valid);
    check(&[("b", "1"), ("b", "2"), NAME, ("a", "2")], Invalid);
}

#[test]
fn labels_are_counted_with_the_name() {
    check(&[NAME, ("a", "1"), ("b", "2"), ("c", "3")], Valid);
    check(&[NAME, ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], Invalid);
    check(&[NAME, ("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", "")], Valid);
    let info = ("__name__", "x_info");
    check(&[info, ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], Valid);
    check(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), info], Valid);
    check(&[info, ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")], Invalid);
    check(&[("__name__", "_info"), ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], Valid);
    check(&[("__name__", "x_infos"), ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], Invalid);
}

#[test]
fn a_lower_limit_for_info_series_lowers_nothing() {
    let limits = TenantLimits { max_label_names_per_info_series: 0, ..TenantLimits::default() };
    assert_eq!(verdicts(&limits, &[vec![("__name__", "x_info"), ("a", "1")]]), [Valid]);
}

#[test]
fn no_series_is_valid_under_a_limit_of_no_labels() {
    for limit in [0, -1] {
        let limits = TenantLimits {
            max_label_names_per_series: limit,
            max_label_names_per_info_series: limit,
            ..TenantLimits::default()
        };
        assert_eq!(verdicts(&limits, &[vec![NAME], vec![NAME], vec![]]), [Invalid, Invalid, Empty]);
    }
}

#[test]
fn what_one_series_got_wrong_the_next_may_get_right() {
    let series = [
        vec![NAME, ("a", "1"), ("0", "2"), ("c", "3")],
        vec![NAME, ("a", "1"), ("b", "2"), ("c", "3")],
        vec![NAME, ("b", "1"), ("a", "2"), ("a", "3")],
        vec![NAME, ("b", "1"), ("a", "2"), ("c", "3")],
        vec![NAME, ("b", "1"), ("a", "2"), ("c", "3"), ("b", "4")],
        vec![NAME, ("b", "1"), ("a", "2")],
        vec![NAME, ("b", "1"), ("b", "2")],
    ];
    let expected = [Invalid, Valid, Invalid, Valid, Invalid, Valid, Invalid];
    assert_eq!(verdicts(&TenantLimits::default(), &series), expected);
}
