//! Whether a condition is met by what Prometheus has.

use std::time::Duration;

use serde::Serialize;

use super::conditions::{Check, Rule, begins_late};
use super::prometheus::Series;
use crate::load::written;

/// The part of the time that may be missing at its beginning, as with a scrape interval of a minute.
const MISSING: f64 = 0.05;
const NO_DATA: &str = "there is no data: look whether Prometheus scrapes Envoy, mimir-rls and Mimir";
/// The values of a check that have room in a table.
const SHOWN: usize = 4;

/// What is to become of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Met,
    NotMet,
    ForPeople,
}

impl Verdict {
    pub(super) fn mark(self) -> char {
        match self {
            Self::Met => '√',
            Self::NotMet => '×',
            Self::ForPeople => '‼',
        }
    }
}

/// A check with its verdict.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) check: &'static str,
    pub(super) condition: &'static str,
    pub(super) verdict: Verdict,
    /// Why it is not met.
    pub(super) why: Option<String>,
    /// The values for a table.
    pub(super) value: String,
    pub(super) expressions: Vec<Expression>,
}

/// An expression with its values now.
#[derive(Debug, Serialize)]
pub(super) struct Expression {
    pub(super) expression: &'static str,
    pub(super) values: Vec<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct Value {
    /// Empty for a sum.
    labels: String,
    /// `null` in JSON if it is no number.
    value: f64,
}

impl Judged {
    pub(super) fn new(check: &'static Check, found: Vec<Vec<Series>>, time: Duration) -> Self {
        let why = missing(check.queries, &found).or_else(|| why_not(check.rule, &found, time));
        let verdict = match (&why, check.rule) {
            (Some(_), _) => Verdict::NotMet,
            (None, Rule::ForPeople) => Verdict::ForPeople,
            (None, Rule::FirstUnder(_)) if found.iter().skip(1).any(|series| now(series) > Some(0.0)) => {
                Verdict::ForPeople
            }
            // Whose errors they were, sums of rates do not say.
            (None, Rule::ZeroButTheSecond) if most(found.first().map_or(&[], Vec::as_slice)) > 0.0 => {
                Verdict::ForPeople
            }
            (None, _) => Verdict::Met,
        };
        let expressions = check.queries.iter().copied().zip(&found).map(|(expression, series)| Expression {
            expression,
            values: series
                .iter()
                .filter_map(|one| Some(Value { labels: one.labels.clone(), value: one.last()? }))
                .collect(),
        });
        Self {
            check: check.name,
            condition: check.condition,
            verdict,
            why,
            expressions: expressions.collect(),
            value: shown(check.rule, &found),
        }
    }
}

/// The value now of an expression that is a sum.
fn now(series: &[Series]) -> Option<f64> {
    series.first().and_then(Series::last)
}

fn most(series: &[Series]) -> f64 {
    series.iter().flat_map(|one| &one.points).map(|(_, value)| *value).fold(0.0, f64::max)
}

/// That an expression has no data now, and not because there was nothing to count.
fn missing(queries: &[&str], found: &[Vec<Series>]) -> Option<String> {
    let is_missing = |(query, series): (&&str, &Vec<Series>)| {
        let has_ended = series.iter().all(|one| one.last().is_none());
        has_ended && !begins_late(query)
    };
    queries.iter().zip(found).any(is_missing).then(|| NO_DATA.to_owned())
}

/// The reason for which a condition is not met.
fn why_not(rule: Rule, found: &[Vec<Series>], time: Duration) -> Option<String> {
    if rule == Rule::ForPeople {
        return None;
    }
    let of = |index: usize| found.get(index).and_then(|series| now(series));
    if let Some(value) = found.iter().filter_map(|series| now(series)).find(|value| !value.is_finite()) {
        return Some(format!("it is {value} now: there was nothing to divide, or to count"));
    }
    if let Rule::DifferBy(part) = rule {
        // Mimir has no series for denials before the first one.
        let (edge, mimir, all) = (of(0), of(1).unwrap_or_default(), of(2));
        let (Some(edge), Some(all)) = (edge, all) else { return Some(NO_DATA.to_owned()) };
        let share =
            if all > 0.0 { (edge - mimir).abs() / all } else { return Some("Mimir gets no pushes".to_owned()) };
        return (share >= part).then(|| format!("they differ by {} of Mimir's pushes", rounded(share)));
    }
    let first = found.first().map(Vec::as_slice).unwrap_or_default();
    let Some(value) = now(first) else { return Some(NO_DATA.to_owned()) };
    match rule {
        Rule::ZeroForTheTime => not_zero(first, time),
        Rule::ZeroButTheSecond => match found.get(1).map_or(0.0, |series| most(series)) {
            // The two are counted at different times, so they differ a little.
            others if others > 0.0 && most(first) <= others * 1.5 => incomplete(first, time),
            _ => not_zero(first, time),
        },
        Rule::ZeroNow if value > 0.0 => Some(format!("it is {}", rounded(value))),
        Rule::Under(limit) | Rule::FirstUnder(limit) if value >= limit => {
            Some(format!("it is {}, and must be under {limit}", rounded(value)))
        }
        Rule::Between(low, high) if !(low..=high).contains(&value) => {
            Some(format!("it is {}, and must be between {low} and {high}", rounded(value)))
        }
        _ => None,
    }
}

/// The reason for which a sum was not 0 for all of the time.
fn not_zero(series: &[Series], time: Duration) -> Option<String> {
    let most = most(series);
    if most > 0.0 { Some(format!("it was up to {} in this time", rounded(most))) } else { incomplete(series, time) }
}

/// The reason for which the time is not known.
fn incomplete(series: &[Series], time: Duration) -> Option<String> {
    let numbers = series.iter().flat_map(|one| one.points.iter().filter(|(_, value)| value.is_finite()));
    let known = numbers.map(|(ago, _)| *ago).max().unwrap_or_default();
    if known.as_secs_f64() < time.as_secs_f64() * (1.0 - MISSING) {
        return Some(format!("there is data of {} only, and {} are needed", written(known), written(time)));
    }
    let gap = series.iter().filter_map(Series::gap).max()?;
    Some(format!("there is no data of {} in this time", written(gap)))
}

/// The values for a table: `0`, or `ingestion_rate 0.2, request_rate 0.1`.
fn shown(rule: Rule, found: &[Vec<Series>]) -> String {
    let value = |series: &Series| {
        let now = series.last()?;
        let is_of_the_time = matches!(rule, Rule::ZeroForTheTime | Rule::ZeroButTheSecond) && now.is_finite();
        let value = if is_of_the_time { most(std::slice::from_ref(series)) } else { now };
        let label = series.labels.split_once('=').map_or("", |(_, value)| value.trim_matches('"'));
        // Of many reasons, most are 0.
        (value != 0.0 || label.is_empty()).then(|| format!("{label} {}", rounded(value)).trim().to_owned())
    };
    let mut parts = Vec::new();
    for series in found {
        let mut values: Vec<_> = series.iter().filter_map(value).collect();
        let more = values.len().saturating_sub(SHOWN);
        values.truncate(SHOWN);
        if more > 0 {
            values.push(format!("{more} more"));
        }
        let is_known = series.iter().any(|one| one.last().is_some());
        let none = if is_known { "0" } else { "no data" };
        parts.push(if values.is_empty() { none.to_owned() } else { values.join(", ") });
    }
    parts.join("; ")
}

/// Three digits that say something.
fn rounded(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests;
