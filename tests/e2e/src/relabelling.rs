//! A tenant whose pushes take long to decode: it has 20 ordinary relabelling rules.

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::http1::Request;
use crate::push::push_request;

/// A default batch of Prometheus.
const SAMPLES: usize = 2_000;

/// Limits of the tenant `relabelled` with 20 rules, and of `neighbour` without any. Both have limits that their pushes do not reach.
#[must_use]
pub fn relabelling_limits() -> String {
    let rules: Vec<String> = (0..20)
        .map(|rule| format!("{{ source_labels: [__name__], regex: 'unwanted_{rule}_.*', action: drop }}"))
        .collect();
    let open = "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000";
    format!(
        "overrides:\n  relabelled: {{ {open}, metric_relabel_configs: [{}] }}\n  neighbour: {{ {open} }}\n",
        rules.join(", ")
    )
}

/// A push of a tenant with a default batch. The rules drop none of its series.
///
/// # Panics
/// Never: it is far below 4 GiB.
#[must_use]
pub fn default_batch(tenant: &str) -> Request {
    let series: Vec<Series> = (0..SAMPLES)
        .map(|index| {
            let (pod, path) = (format!("api-7c9d8b6f5-{index:05}"), format!("/api/v1/things/{}", index % 40));
            let labels = [
                ("__name__", "http_requests_total"),
                ("code", "200"),
                ("instance", "10.0.0.1:9090"),
                ("job", "api"),
                ("path", &path),
                ("pod", &pod),
            ];
            Series::sample(&labels, index as f64, 1_750_000_000_000)
        })
        .collect();
    push_request(tenant, &encode_push(Protocol::V1, &series, &[]).expect("a test's push is below 4 GiB"))
}
