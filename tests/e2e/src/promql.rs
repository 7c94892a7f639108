//! What a Prometheus or a Mimir has, read by PromQL.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::http1::{Request, send};

/// The times of the samples of each series, in Unix milliseconds. The key of a series is the values of its labels in order of their names, without
/// `job`, `instance`, and the external label that names the Prometheus.
pub type SampleTimes = BTreeMap<Vec<String>, BTreeSet<i64>>;

#[track_caller]
pub(crate) fn sample_times(port: u16, path: &str, tenant: Option<&str>, selector: &str) -> SampleTimes {
    let series = query(port, path, tenant, &format!("{selector}[30m]"), None);
    series.iter().map(|one| (labels(one), times(one))).collect()
}

/// The result of a query now, or at a time in Unix seconds, by the path of the API's `query`; Mimir asks for a tenant.
///
/// # Panics
/// When the query fails.
#[must_use]
#[track_caller]
pub fn query(port: u16, path: &str, tenant: Option<&str>, query: &str, at: Option<u64>) -> Vec<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let time = at.map(|at| format!("&time={at}")).unwrap_or_default();
    let mut request = Request::new("GET", &format!("{path}?query={encoded}{time}"));
    if let Some(tenant) = tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }
    let response = send(port, &request);
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    response.json().pointer("/data/result").and_then(Value::as_array).expect("a query has a result").clone()
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
