//! Conditions and what Prometheus has.

use super::super::conditions::checks;
use super::*;
use crate::args::Phase;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

/// A sum with these values, the oldest of which is of `since` ago.
fn sum(since: Duration, values: &[f64]) -> Vec<Series> {
    let points =
        values.iter().enumerate().map(|(index, value)| (if index == 0 { since } else { Duration::ZERO }, *value));
    vec![Series { labels: String::new(), points: points.collect(), step: DAY }]
}

/// A sum that was 0 so long ago, asked every six minutes.
fn zeros(ago: &[Duration]) -> Vec<Series> {
    let step = DAY / 240;
    vec![Series { labels: String::new(), points: ago.iter().map(|ago| (*ago, 0.0)).collect(), step }]
}

/// From `from` ago to `to` ago, every six minutes.
fn every_step(from: Duration, to: Duration) -> Vec<Duration> {
    let step = DAY / 240;
    (0..=240_u32).rev().map(|number| step * number).filter(|ago| (to..=from).contains(ago)).collect()
}

#[track_caller]
fn check(rule: Rule, found: &[Vec<Series>], expected: Option<&str>) {
    assert_eq!(why_not(rule, found, DAY).as_deref(), expected, "{rule:?}");
}

#[test]
fn zero_for_a_day_needs_a_day_of_zeros() {
    check(Rule::ZeroForTheTime, &[sum(DAY, &[0.0, 0.0])], None);
    check(Rule::ZeroForTheTime, &[sum(DAY, &[0.25, 0.0])], Some("it was up to 0.25 in this time"));
    check(Rule::ZeroForTheTime, &[sum(HOUR, &[0.0, 0.0])], Some("there is data of 1h only, and 1d are needed"));
    check(Rule::ZeroNow, &[sum(DAY, &[0.25, 0.0])], None);
    check(Rule::ZeroNow, &[sum(DAY, &[0.0, 0.25])], Some("it is 0.25"));
}

#[test]
fn a_series_that_ended_has_no_data() {
    let ended = zeros(&every_step(DAY, HOUR));
    for rule in [Rule::ZeroForTheTime, Rule::ZeroNow, Rule::Under(1.0), Rule::Between(0.0, 1.0)] {
        check(rule, std::slice::from_ref(&ended), Some(NO_DATA));
    }
    assert_eq!(shown(Rule::ZeroForTheTime, &[ended]), "no data");
    // One point may be late: Prometheus itself shows a series for five minutes after its end.
    check(Rule::ZeroForTheTime, &[zeros(&every_step(DAY, DAY / 240))], None);
}

#[test]
fn a_gap_is_no_time_of_zeros() {
    let ago = [every_step(DAY, HOUR * 5), every_step(HOUR * 2, Duration::ZERO)].concat();
    check(Rule::ZeroForTheTime, &[zeros(&ago)], Some("there is no data of 3h in this time"));
    check(Rule::ZeroNow, &[zeros(&ago)], None);
    check(Rule::ZeroForTheTime, &[zeros(&every_step(DAY, Duration::ZERO))], None);
}

#[test]
fn what_is_no_number_now_is_not_met() {
    for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        for rule in [Rule::ZeroForTheTime, Rule::ZeroNow, Rule::Under(1.0), Rule::Between(0.0, 1.0)] {
            let why = why_not(rule, &[sum(DAY, &[0.0, value])], DAY);
            assert!(why.as_ref().is_some_and(|why| why.starts_with(&format!("it is {text} now"))), "{rule:?}: {why:?}");
        }
        assert_eq!(shown(Rule::Under(1.0), &[sum(DAY, &[0.0, value])]), text);
    }
}

#[test]
fn errors_of_mimir_leave_the_decision_to_people() {
    let full = checks(Phase::Full).iter().find(|check| check.rule == Rule::ZeroButTheSecond).expect("a check");
    let verdict = |envoy: &[f64], mimir: Vec<Series>| Judged::new(full, vec![sum(DAY, envoy), mimir], DAY).verdict;
    assert_eq!(verdict(&[0.0, 0.0], Vec::new()), Verdict::Met);
    assert_eq!(verdict(&[0.25, 0.0], Vec::new()), Verdict::NotMet);
    assert_eq!(verdict(&[0.25, 0.0], sum(DAY, &[0.25, 0.0])), Verdict::ForPeople);
    assert_eq!(verdict(&[0.0, 0.0], sum(DAY, &[0.25, 0.0])), Verdict::Met);
}

#[test]
fn people_get_data_but_for_counters_that_begin_late() {
    for phase in [Phase::Mirror, Phase::Canary, Phase::Full] {
        for check in checks(phase).iter().filter(|check| check.rule == Rule::ForPeople) {
            let late = check.queries.iter().all(|query| query.contains("(cortex_"));
            let judged = Judged::new(check, vec![Vec::new(); check.queries.len()], DAY);
            let expected = if late { Verdict::ForPeople } else { Verdict::NotMet };
            assert_eq!((judged.verdict, judged.value.contains("no data")), (expected, true), "{}", check.name);
        }
    }
}

#[test]
fn bounds_hold_for_the_value_now() {
    check(Rule::Under(5.0), &[sum(DAY, &[9.0, 4.99])], None);
    check(Rule::Under(5.0), &[sum(DAY, &[5.0])], Some("it is 5, and must be under 5"));
    check(Rule::FirstUnder(60.0), &[sum(DAY, &[0.5]), sum(DAY, &[3.0])], None);
    check(Rule::Between(0.98, 1.02), &[sum(DAY, &[1.02])], None);
    check(Rule::Between(0.98, 1.02), &[sum(DAY, &[0.97])], Some("it is 0.97, and must be between 0.98 and 1.02"));
}

#[test]
fn denials_may_differ_by_a_part_of_the_pushes() {
    let sums = |edge, mimir, all| [sum(DAY, &[edge]), sum(DAY, &[mimir]), sum(DAY, &[all])];
    check(Rule::DifferBy(0.02), &sums(11.0, 10.0, 100.0), None);
    check(Rule::DifferBy(0.02), &sums(8.0, 10.0, 100.0), Some("they differ by 0.02 of Mimir's pushes"));
    check(Rule::DifferBy(0.02), &[sum(DAY, &[0.0]), Vec::new(), sum(DAY, &[100.0])], None);
    check(Rule::DifferBy(0.02), &sums(0.0, 0.0, 0.0), Some("Mimir gets no pushes"));
}

#[test]
fn without_data_no_condition_is_met() {
    for rule in [Rule::ZeroForTheTime, Rule::ZeroNow, Rule::Under(1.0), Rule::Between(0.0, 1.0), Rule::DifferBy(0.02)] {
        assert!(why_not(rule, &[Vec::new()], DAY).is_some_and(|why| why.contains("no data")), "{rule:?}");
    }
    check(Rule::ForPeople, &[Vec::new()], None);
}

#[test]
fn values_have_their_reason_and_three_digits() {
    let of = |reason: &str, value| Series {
        labels: format!("reason=\"{reason}\""),
        points: vec![(Duration::ZERO, value)],
        step: HOUR,
    };
    let reasons = vec![of("a", 0.123_456), of("b", 0.0), of("c", 1234.5)];
    assert_eq!(shown(Rule::ForPeople, &[reasons, sum(DAY, &[0.0])]), "a 0.123, c 1234; 0");
    let many = (1..=6).map(|number| of(&number.to_string(), 1.0)).collect();
    assert_eq!(shown(Rule::ForPeople, &[many]), "1 1, 2 1, 3 1, 4 1, 2 more");
    assert_eq!(shown(Rule::ZeroForTheTime, &[sum(DAY, &[0.25, 0.0])]), "0.25");
    for (value, text) in [(0.000_123_4, "0.000123"), (0.98, "0.98"), (12.0, "12"), (4_294_967.0, "4294967")] {
        assert_eq!(rounded(value), text);
    }
}
