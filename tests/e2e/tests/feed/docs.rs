//! The kubectl commands of docs/kubernetes.md, unchanged.

use std::fs;

use e2e::{Cluster, Edge, built, repository, until};

use super::overrides;

/// The commands of the page that read or change a ConfigMap, block by block: to read the runtime config, to replace it, and to set and remove flat keys.
fn blocks() -> [String; 3] {
    let page = fs::read_to_string(repository().join("docs/kubernetes.md")).expect("the page");
    let (_, section) = page.split_once("\n## Limits with kubectl\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("a section after it");
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    let blocks: Vec<_> = blocks.filter(|block| block.contains("kubectl")).map(str::to_owned).collect();
    blocks.try_into().expect("three blocks")
}

#[test]
fn the_commands_in_the_docs_change_limits() {
    let cluster = Cluster::start(&overrides(&[("tenant-1", 5), ("tenant-2", 7)]));
    let sync = cluster.sync("sync", &[]);
    let edge = Edge::builder().limits_from(&sync.feed()).start("");
    let (kubectl, folder, edgectl) = (cluster.kubectl(), tempfile::tempdir().expect("a folder"), built("edgectl"));
    let programs = edgectl.parent().expect("a program is in a folder").display();
    let types =
        |block: &str| kubectl.shell(&format!("cd {}; PATH=$PATH:{programs}\n{block}", folder.path().display())).ok();
    let limits = |tenant: &str| {
        let found = edge.rls.get(&format!("/api/v1/tenants/{tenant}")).json()["limits"].clone();
        (found["ingestion_rate"].as_f64(), found["ingestion_burst_size"].as_u64())
    };
    let [read, replace, flat] = blocks();
    drop(types(&read));
    let file = folder.path().join("runtime.yaml");
    let edited = fs::read_to_string(&file)
        .expect("the runtime config")
        .replace("ingestion_burst_size: 5", "ingestion_burst_size: 2000");
    fs::write(&file, edited).expect("it can be edited");
    assert!(types(&replace).contains("0 problems"));
    until("the runtime config is replaced", || limits("tenant-1") == (Some(0.00001), Some(2000)));
    assert_eq!(limits("tenant-2"), (Some(0.00001), Some(7)), "the other tenant keeps its override");
    let [set, remove]: [&str; 2] = flat.lines().collect::<Vec<_>>().try_into().expect("two commands");
    drop(types(set));
    until("flat keys take precedence", || limits("tenant-1") == (Some(500.0), Some(700)));
    drop(types(&replace));
    let kept = types("kubectl get configmap mimir-runtime --namespace mimir --output yaml");
    assert!(kept.contains("tenant-1.burst_size"), "a new runtime config leaves flat keys: {kept}");
    drop(types(remove));
    until("flat keys are removed", || limits("tenant-1") == (Some(0.00001), Some(2000)));
    assert_eq!(edge.rls.metric("rls_limits_problems"), Some(0.0));
}
