//! Which ConfigMap is read where a label selects it, and which of its keys.

use std::time::{Duration, Instant};

use e2e::{ADMIN, Cluster, until};
use serde_json::{Value, json};

use super::{Watched, rates};

/// The watch brings a change long before the check that runs every 15 s could find it.
const AT_ONCE: Duration = Duration::from_secs(5);
const CONFIG_MAPS: &str = "/api/v1/namespaces/mimir/configmaps";

/// A ConfigMap with the label, whose team has this rate.
fn labelled(name: &str, rate: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "app": "runtime" } },
        "data": { "runtime.yaml": rates(&[("team", rate)]) },
    })
}

fn create(cluster: &Cluster, name: &str, rate: u32) -> Instant {
    let since = Instant::now();
    assert_eq!(cluster.server.api(ADMIN).post(CONFIG_MAPS, &labelled(name, rate)).status, 201);
    since
}

fn change(cluster: &Cluster, name: &str, rate: u32) -> Instant {
    let since = Instant::now();
    assert_eq!(cluster.server.api(ADMIN).put(&format!("{CONFIG_MAPS}/{name}"), &labelled(name, rate)).status, 200);
    since
}

fn delete(cluster: &Cluster, name: &str) -> Instant {
    let since = Instant::now();
    assert_eq!(cluster.server.api(ADMIN).delete(&format!("{CONFIG_MAPS}/{name}")).status, 200);
    since
}

#[test]
fn the_newest_configmap_with_the_label_is_read() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    create(&cluster, "runtime-a", 2);
    let started = Instant::now();
    let mut watched = Watched::of(&cluster, "mimir/app=runtime");
    assert_eq!(watched.rate("team"), Some(2.0), "the one without the label is not read");
    watched.confirmed_since(started);

    // Kubernetes dates objects by whole seconds; of one second the last name is read.
    assert!(watched.wait_for_rate("team", 3, create(&cluster, "runtime-b", 3)) < AT_ONCE);
    change(&cluster, "runtime-a", 9);
    assert!(
        watched.wait_for_rate("team", 4, change(&cluster, "runtime-b", 4)) < AT_ONCE,
        "an older one that changes does not hold"
    );
    assert!(watched.wait_for_rate("team", 9, delete(&cluster, "runtime-b")) < AT_ONCE, "the older one holds again");
    assert_eq!(watched.problems(), Vec::<String>::new());

    delete(&cluster, "runtime-a");
    until("the deletion is seen", || watched.reports("mimir/runtime-a: the ConfigMap was deleted"));
    assert_eq!((watched.rate("team"), watched.counts.deletions.get()), (Some(9.0), 1));
    assert!(watched.wait_for_rate("team", 5, create(&cluster, "runtime-0", 5)) < AT_ONCE);
    assert_eq!((watched.problems(), watched.counts.restarts.get()), (Vec::new(), 0));
}

#[test]
fn chosen_keys_and_binary_data_are_read_without_guessing() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    // overrides: {more: {ingestion_rate: 7}}
    let binary = json!({ "more.yaml": "b3ZlcnJpZGVzOiB7bW9yZToge2luZ2VzdGlvbl9yYXRlOiA3fX0K" });
    cluster.patch(&json!({ "data": { "other.yaml": rates(&[("other", 5)]) }, "binaryData": binary }));
    let chosen = Watched::of(&cluster, "mimir/mimir-runtime/other.yaml,more.yaml");
    assert_eq!((chosen.rate("team"), chosen.rate("other"), chosen.rate("more")), (None, Some(5.0), Some(7.0)));
    assert_eq!(chosen.problems(), ["runtime.yaml: is not read: --limits does not name this key"]);

    let mut mounted = Watched::start(&cluster);
    assert_eq!((mounted.rate("team"), mounted.rate("other"), mounted.rate("more")), (Some(1.0), None, None));
    cluster.patch(&json!({ "data": { "runtime.yaml": null } }));
    until("it is not known which key Mimir reads", || {
        mounted.reports("data: several keys can be the runtime configuration (more.yaml, other.yaml)")
    });
    assert_eq!(mounted.rate("team"), Some(1.0));
    let since = cluster.patch(&json!({ "data": { "other.yaml": null }, "binaryData": null }));
    until("the emptied object is a problem", || mounted.reports("there is no tenant any more"));
    until("a chosen key that is gone is a problem", || chosen.reports("other.yaml: there is no such key"));
    assert_eq!(chosen.rate("other"), Some(5.0));
    cluster.patch(&json!({ "binaryData": binary }));
    assert!(mounted.wait_for_rate("more", 7, since) < AT_ONCE, "the only document there is");
}
