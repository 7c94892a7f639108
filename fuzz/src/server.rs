//! The services of mimir-rls with fixed documents, one instance for a whole run, so that earlier requests affect later ones.

use std::sync::LazyLock;

use rls::fuzzing::Services;
use tokio::runtime::Runtime;

pub(crate) const SHADOW: &str = "shadow";
pub(crate) const OFF: &str = "off";

/// Rates so low that no token comes back during a run, so that a preview and the charge after it see the same bucket.
const OVERRIDES: &str = r#"
overrides:
  team: { ingestion_rate: 1e-12, ingestion_burst_size: 1000000, request_rate: 1e-12, request_burst_size: 1000000000 }
  over: { ingestion_rate: 1e-12, ingestion_burst_size: 3 }
  requests: { request_rate: 1e-12, request_burst_size: 2 }
  strict: { max_label_names_per_series: 3, max_label_value_length: 8, max_global_exemplars_per_user: 5, ingestion_rate: 1e300, ingestion_burst_size: 100000000 }
  relabel: { drop_labels: [pod], metric_relabel_configs: [{ action: replace, source_labels: [job], regex: "(.*)", target_label: "x$1", replacement: "$1$1" }], ingestion_rate: 1e300, ingestion_burst_size: 100000000 }
  pairs: { accept_ha_samples: true, ha_max_clusters: 3, ingestion_rate: 1e300, ingestion_burst_size: 100000000 }
  each: { accept_ha_samples: true, ha_tracker_per_sample_dedupe: true, ingestion_rate: 1e300, ingestion_burst_size: 100000000 }
  shadow: { ingestion_rate: 1e-12, ingestion_burst_size: 3 }
  off: { ingestion_rate: 1e-12, ingestion_burst_size: 3 }
  "team:k=v": { ingestion_rate: 1e-12, ingestion_burst_size: 2 }
"#;
const EDGE_CONFIG: &str = "
mode: enforce
tenants:
  shadow: { mode: shadow }
  off: { mode: off }
";

pub(crate) struct Server {
    pub(crate) services: Services,
    pub(crate) runtime: Runtime,
}

pub(crate) static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    let runtime = runtime.expect("a runtime can be started");
    let services = {
        let _inside = runtime.enter();
        Services::new(OVERRIDES, EDGE_CONFIG).expect("the documents are good")
    };
    Server { services, runtime }
});
