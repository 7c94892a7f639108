//! The count of ready distributors from real EndpointSlices. Unit tests on virtual time show how long a lower count waits.

use e2e::{ADMIN, KubeApiServer, until};
use limits_source::{KubeClient, NamespacedName, count_distributors};
use serde_json::{Value, json};
use tasks::Tasks;

use super::watched::runtime;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/mimir/endpointslices";

fn slice(name: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": !address.ends_with(".9") } }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": service } },
    })
}

#[test]
fn ready_endpoints_are_counted_and_a_lost_one_still_counts() {
    let mut server = KubeApiServer::start(&[]);
    server.namespace("mimir");
    let create = |server: &KubeApiServer, slice: &Value| {
        let answer = server.api(ADMIN).post(SLICES, slice);
        assert_eq!(answer.status, 201, "{}", answer.text());
    };
    create(&server, &slice("other", "mimir-ingester", &["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"]));
    let runtime = runtime();
    let counts = runtime.block_on(async {
        let client = KubeClient::new(Some(server.kubeconfig(ADMIN))).await.expect("a kubeconfig");
        let service = NamespacedName { namespace: "mimir".to_owned(), name: "mimir-distributor".to_owned() };
        count_distributors(client, service, None, &Tasks::default())
    });
    let count = || counts.borrow().map(std::num::NonZeroU32::get);
    assert_eq!(count(), None);
    create(&server, &slice("a", "mimir-distributor", &["10.0.0.1", "10.0.0.9"]));
    until("the ready one is counted", || count() == Some(1));
    create(&server, &slice("b", "mimir-distributor", &["10.0.0.1", "10.0.0.2"]));
    until("another one is counted", || count() == Some(2));

    server.kill();
    server.restart();
    assert_eq!(server.api(ADMIN).delete(&format!("{SLICES}/b")).status, 200);
    create(&server, &slice("c", "mimir-distributor", &["10.0.0.3", "10.0.0.4"]));
    until("those after a restart are counted", || count() == Some(3));
    assert_eq!(server.api(ADMIN).delete(&format!("{SLICES}/a")).status, 200);
    create(&server, &slice("d", "mimir-distributor", &["10.0.0.5", "10.0.0.6"]));
    until("they go on being counted", || count() == Some(4));
}
