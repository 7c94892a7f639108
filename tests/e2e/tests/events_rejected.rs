//! Events on a ConfigMap whose document was rejected.

use e2e::{ADMIN, CONFIG_MAP, Cluster, OverridesSync, until};
use serde_json::Value;

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/mimir/events";
const REJECTED: &str = "overrides:\n  team-a: { ingestion_rate: fast }\n";

/// The uid of the ConfigMap that is there.
fn uid(cluster: &Cluster) -> Value {
    let object = cluster.server.api(ADMIN).get(CONFIG_MAP).json();
    object.pointer("/metadata/uid").cloned().unwrap_or_default()
}

/// Whether kubectl shows an Event of a rejected document on the ConfigMap that is there.
fn is_described(cluster: &Cluster) -> bool {
    let events = cluster.server.api(ADMIN).get(EVENTS).json();
    let events = events.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let here = uid(cluster);
    let is_reported = events.iter().any(|event| event.pointer("/regarding/uid") == Some(&here));
    let described = cluster.kubectl().ok(&["describe", "configmap", "mimir-runtime", "--namespace=mimir"]);
    is_reported && described.contains("InvalidOverrides")
}

#[test]
fn a_document_rejected_from_the_start_is_reported() {
    let cluster = Cluster::start(REJECTED);
    let folder = cluster.server.folder().join("sync");
    let kubeconfig = cluster.server.kubeconfig(ADMIN);
    let sync = OverridesSync::start(&folder, &kubeconfig, "kube:mimir/mimir-runtime", &[]);
    until("the Event is there", || is_described(&cluster));
    assert_eq!(sync.readiness(), Some(503), "there are no limits to serve");
}

#[test]
fn a_rejected_document_is_reported_on_its_own_configmap() {
    let cluster = Cluster::start("overrides:\n  team-a: { ingestion_rate: 5 }\n");
    let sync = cluster.sync("sync", &[]);
    let before = uid(&cluster);
    assert_eq!(cluster.server.api(ADMIN).delete(CONFIG_MAP).status, 200);
    until("the deletion is seen", || sync.metric("overrides_sync_configmap_deletions_total") == Some(1.0));
    cluster.create(REJECTED);
    assert_ne!(uid(&cluster), before);
    until("the Event is there", || is_described(&cluster));
}
