//! What a Mimir counts as received.

use std::collections::BTreeMap;

use e2e::Mimir;

/// Counters by tenant of what a distributor took and an ingester kept.
const TAKEN: [&str; 5] = [
    "cortex_distributor_received_samples_total{",
    "cortex_distributor_received_exemplars_total{",
    "cortex_distributor_received_metadata_total{",
    "cortex_ingester_ingested_samples_total{",
    "cortex_ingester_memory_series_created_total{",
];

/// Answers to pushes by status.
pub(crate) fn answered(mimir: &Mimir) -> BTreeMap<u16, u64> {
    let mut answers = BTreeMap::new();
    for line in mimir.metrics().lines() {
        if let Some((labels, count)) = split(line, "cortex_request_duration_seconds_count{")
            && labels.contains(r#"route="api_v1_push""#)
            && let Some(status) = labels.split(r#"status_code=""#).nth(1).and_then(|rest| rest.get(..3)?.parse().ok())
        {
            *answers.entry(status).or_default() += count as u64;
        }
    }
    answers
}

/// The counters in [`TAKEN`], of tenants that `wanted` names.
pub(crate) fn taken(mimir: &Mimir, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, f64> {
    let page = mimir.metrics();
    let counters = TAKEN.iter().flat_map(|name| {
        page.lines().filter_map(move |line| {
            let (labels, count) = split(line, name)?;
            Some((format!("{name}{labels}"), count))
        })
    });
    counters
        .filter(|(series, _)| {
            series.split(r#"user=""#).nth(1).and_then(|rest| rest.split('"').next()).is_some_and(&wanted)
        })
        .collect()
}

fn split<'a>(line: &'a str, name: &str) -> Option<(&'a str, f64)> {
    let (labels, value) = line.strip_prefix(name)?.rsplit_once("} ")?;
    Some((labels, value.parse().ok()?))
}
