//! The times of the samples that a Prometheus or a Mimir has, read by a query.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::http1::{Request, send};

/// The times of the samples of each series, in Unix milliseconds. The key of a series is the values of its labels in order of their names, without
/// `job`, `instance`, and the external label that names the Prometheus.
pub type SampleTimes = BTreeMap<Vec<String>, BTreeSet<i64>>;

#[track_caller]
pub(crate) fn sample_times(port: u16, path: &str, tenant: Option<&str>, selector: &str) -> SampleTimes {
    let query: String = format!("{selector}[30m]").bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut request = Request::new("GET", &format!("{path}?query={query}"));
    if let Some(tenant) = tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }
    let answer = send(port, &request);
    assert_eq!(answer.status, 200, "{selector}: {}", answer.text());
    let answer = answer.json();
    let series = answer.pointer("/data/result").and_then(Value::as_array).expect("a matrix");
    series.iter().map(|one| (labels(one), times(one))).collect()
}

fn labels(series: &Value) -> Vec<String> {
    let labels = series.get("metric").and_then(Value::as_object).expect("a series has labels");
    let own = labels.iter().filter(|(name, _)| !matches!(name.as_str(), "job" | "instance" | "prometheus"));
    own.map(|(_, value)| value.as_str().unwrap_or_default().to_owned()).collect()
}

fn times(series: &Value) -> BTreeSet<i64> {
    let values = series.get("values").and_then(Value::as_array).expect("a series has values");
    let times = values.iter().filter_map(|value| value.get(0).and_then(Value::as_f64));
    times.map(|seconds| (seconds * 1000.0).round() as i64).collect()
}
