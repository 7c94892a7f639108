//! The kubectl commands of docs/kubernetes.md, unchanged.

use std::fs;

use e2e::{Cluster, Edge, repository, until};

use super::overrides;

/// The lines of the page that change a ConfigMap.
fn lines() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/kubernetes.md")).expect("the page");
    let lines: Vec<_> =
        page.lines().filter(|line| line.starts_with("kubectl patch configmap")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "the page's lines");
    lines
}

#[test]
fn the_patches_in_the_docs_work() {
    let cluster = Cluster::start(&overrides(&[("tenant-1", 5)]));
    let sync = cluster.sync("sync", &[]);
    let edge = Edge::builder().limits_from(&sync.feed()).start("");
    let kubectl = cluster.kubectl();
    let limits = || {
        let limits = edge.rls.get("/api/v1/tenants/tenant-1").json()["limits"].clone();
        (limits["ingestion_rate"].as_f64(), limits["ingestion_burst_size"].as_u64())
    };
    for (line, expected) in lines()
        .iter()
        .zip([(1000.0, 2000), (500.0, 700), (1000.0, 2000)].map(|(rate, burst)| (Some(rate), Some(burst))))
    {
        assert_eq!(kubectl.shell(line).ok(), "configmap/mimir-runtime patched\n");
        until(line, || limits() == expected);
    }
    assert_eq!(edge.rls.metric("rls_limits_problems"), Some(0.0));
}
