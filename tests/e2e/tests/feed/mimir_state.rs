//! What the feed carries besides the limits: the number of distributors, and Mimir's elections.

use e2e::{ADMIN, Cluster, Edge, Mimir, samples, until};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::overrides;

/// An EndpointSlice of the distributors' Service with this many ready addresses, and one that is not ready.
fn slice(ready: u8) -> Value {
    let endpoint = |number: u8, ready: bool| json!({ "addresses": [format!("10.0.0.{number}")], "conditions": { "ready": ready } });
    let endpoints: Vec<Value> =
        (1..=ready).map(|number| endpoint(number, true)).chain([endpoint(200, false)]).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
        "metadata": { "name": "distributor-x1", "labels": { "kubernetes.io/service-name": "mimir-distributor" } },
    })
}

#[test]
fn the_edge_has_a_burst_for_each_ready_distributor() {
    const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/mimir/endpointslices";
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let mut api = cluster.server.api(ADMIN);
    assert_eq!(api.post(SLICES, &slice(3)).status, 201);
    let sync = cluster.sync("sync", &["--distributor-service=mimir/mimir-distributor"]);
    until("they are counted", || sync.metric("overrides_sync_distributors") == Some(3.0));
    let edge = Edge::builder().limits_from(&sync.feed()).start("");
    until("the count has come", || edge.rls.metric("rls_distributors") == Some(3.0));
    let pushes = || (0..7).filter(|_| edge.push("team", &samples(5).bytes).status == 200).count();
    assert_eq!(pushes(), 3, "one burst for each");

    assert_eq!(api.patch(&format!("{SLICES}/distributor-x1"), &slice(4)).status, 200);
    until("the new one counts", || edge.rls.metric("rls_distributors") == Some(4.0));
    // A falling count waits for two minutes: distributors that restart are soon back.
    assert_eq!(api.patch(&format!("{SLICES}/distributor-x1"), &slice(1)).status, 200);
    cluster.put(&overrides(&[("team", 5), ("marker", 1)]));
    until("what came later is here", || edge.rls.get("/api/v1/tenants/marker").status == 200);
    assert_eq!(edge.rls.metric("rls_distributors"), Some(4.0));

    // A count that has not come yet must not cost a burst.
    let unused_port = format!("feed:http://127.0.0.1:{}", e2e::free_port());
    let alone = e2e::MimirRls::start(cluster.server.folder(), &unused_port, &["--distributors=2".to_owned()]);
    assert_eq!(alone.metric("rls_distributors"), Some(2.0));
}

#[test]
fn mimirs_elections_come_with_the_limits() {
    let limits = "overrides:\n  team: { accept_ha_samples: true, ingestion_rate: 0.0001, ingestion_burst_size: 10 }\n";
    let folder = tempdir().expect("a folder can be made");
    let runtime_config = e2e::WatchedFile::of(limits);
    let mimir = Mimir::start(&folder.path().join("mimir"), &runtime_config.path());
    let cluster = Cluster::start(limits);
    let sync = cluster.sync("sync", &[&format!("--ha-tracker-url={}", mimir.ha_tracker_url())]);
    let edge = Edge::builder().upstream(mimir.port()).limits_from(&sync.feed()).start("");
    let push = |replica: &str, samples: usize| {
        let mut series = Series::sample(&[("__name__", "m"), ("__replica__", replica), ("cluster", "one")], 0.0, 0);
        series.samples = (0..samples).map(|index| (index as f64, 1_750_000_000_000 + index as i64)).collect();
        edge.push("team", &encode_push(Protocol::V1, &[series], &[]).expect("a push"))
    };
    assert_eq!(push("a", 4).status, 200);
    assert_eq!(push("b", 9).status, 202, "b is never denied");
    // Not asked by pushes: until the list is there, what pairs may push is bounded.
    until("Mimir's election is here", || edge.rls.metric("rls_ha_tracker_elected") == Some(1.0));
    until("the edge charges a, which Mimir elected", || {
        assert_eq!(push("b", 1).status, 202, "b is never denied");
        push("a", 11).reason().as_deref() == Some("ingestion_burst")
    });
    for samples in [1, 10, 11] {
        assert_eq!(push("b", samples).status, 202, "b is not charged");
    }
}
