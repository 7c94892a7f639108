//! How a change reaches the decisions, good or bad.

use e2e::{CONFIG_MAP, Cluster, Edge, EdgeBuilder, Load, push_request, samples, until};
use serde_json::json;

use super::overrides;

#[test]
fn both_replicas_on_one_feed_apply_a_patch() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let sync = cluster.sync("sync", &[]);
    let edge = Edge::builder().replicas(2).limits_from(&sync.feed()).start("");
    for rls in edge.all_rls() {
        assert_eq!(rls.burst("team"), Some(5));
    }
    assert_eq!(sync.metric("overrides_sync_feed_clients"), Some(2.0));
    cluster.put(&overrides(&[("team", 7), ("other", 9)]));
    for rls in edge.all_rls() {
        until("a replica has the patch", || rls.burst("team") == Some(7) && rls.burst("other") == Some(9));
        assert_eq!(rls.metric("rls_limits_version"), Some(2.0));
    }
    assert_eq!(edge.push("team", &samples(8).bytes).status, 429);
    assert_eq!(edge.push("other", &samples(9).bytes).status, 200);
}

/// Without overrides-sync: each mimir-rls watches the ConfigMap itself.
#[test]
fn a_mimir_rls_without_overrides_sync_applies_a_patch() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let kubeconfig = cluster.server.kubeconfig(e2e::ADMIN);
    let edge = Edge::builder().environment("KUBECONFIG", &kubeconfig).limits_from("kube:mimir/mimir-runtime").start("");
    assert_eq!(edge.push("team", &samples(6).bytes).status, 429);
    cluster.put(&overrides(&[("team", 5), ("other", 6)]));
    until("the patch holds", || edge.rls.burst("other") == Some(6));
    assert_eq!(edge.push("other", &samples(6).bytes).status, 200);
    assert_eq!(edge.push("other", &samples(1).bytes).status, 429);
}

/// What an operator sees of a bad change: all limits stay in force, and both programs report the reason.
#[test]
fn an_invalid_document_changes_no_limit() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let sync = cluster.sync("sync", &[]);
    let edge = edge_of(&sync.feed()).start("");
    cluster.put("overrides:\n  team: { ingestion_rate: 1 }\n  other: { ingestion_rate: fast }\n");
    until("both report the problem", || {
        sync.metric(r#"overrides_sync_problems{severity="rejected"}"#) == Some(1.0)
            && edge.rls.metric("rls_limits_problems") == Some(1.0)
    });
    assert_eq!(edge.rls.burst("team"), Some(5));
    let problems = edge.rls.get("/api/v1/problems");
    assert!(problems.text().contains("runtime.yaml") && problems.text().contains("fast"), "{}", problems.text());
    assert_eq!(edge.push("team", &samples(6).bytes).status, 429, "the previous limits hold");
    // The overrides-sync that comes next has never seen a good document, and takes nothing away either.
    let second = e2e::OverridesSync::start(
        &cluster.server.folder().join("second"),
        &cluster.server.kubeconfig(e2e::ADMIN),
        "kube:mimir/mimir-runtime",
        &[],
    );
    until("it reports the problem", || second.metric(r#"overrides_sync_problems{severity="rejected"}"#) == Some(1.0));
    assert_eq!(second.readiness(), Some(503));

    cluster.put(&overrides(&[("team", 6)]));
    until("the mended document holds", || edge.rls.burst("team") == Some(6));
    until("the problem is gone", || edge.rls.metric("rls_limits_problems") == Some(0.0));
}

#[test]
fn a_bad_entry_keeps_old_limits_or_shadows_the_tenant() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let flat = |data: serde_json::Value| cluster.patch(&json!({ "data": data }));
    flat(
        json!({ "runtime.yaml": null, "team.ingestion_burst_size": "5", "team.ingestion_rate": "0.00001", "new.ingestion_rate": "fast" }),
    );
    let sync = cluster.sync("sync", &[]);
    let edge = edge_of(&sync.feed()).start("");
    let huge = samples(300_000);
    assert_eq!(edge.push("new", &huge.bytes).status, 200, "never cut down to the defaults");
    assert_eq!(edge.push("unlisted", &huge.bytes).status, 429, "more than the default burst");

    flat(json!({ "team.ingestion_burst_size": "many" }));
    until("the problem is reported", || edge.rls.metric("rls_limits_problems") == Some(2.0));
    assert_eq!(edge.rls.burst("team"), Some(5));
    assert_eq!(edge.push("team", &samples(6).bytes).status, 429);
    // An overrides-sync that starts now has never had the good entry; a mimir-rls that has it keeps it.
    let second = cluster.sync("second", &[]);
    let both = edge_of(&format!("{},{}", sync.feed(), second.url())).start("");
    assert_eq!(both.rls.readiness(), Some(200));
    drop(sync);
    flat(json!({ "new.ingestion_rate": "0.00001", "new.ingestion_burst_size": "7" }));
    until("the mended tenant has limits", || both.rls.burst("new") == Some(7));
    assert_eq!(edge.rls.burst("team"), Some(5));
}

#[test]
fn changes_under_load_cause_no_error_or_wrong_decision() {
    let of = |number: u32| overrides(&[("always", 1_000_000_000), ("never", 5), ("limited", number)]);
    let cluster = Cluster::start(&of(1));
    let sync = cluster.sync("sync", &[]);
    let edge = edge_of(&sync.feed()).start("");
    let body = samples(10);
    let load = |tenant: &str| Load::start(edge.port(), vec![push_request(tenant, &body.bytes); 2]);
    let (always, never) = (load("always"), load("never"));
    for number in 2..=60 {
        cluster.put(&of(number));
        always.wait_for_more(1);
        if number % 10 == 0 {
            until("a change holds", || edge.rls.burst("limited") == Some(u64::from(number)));
        }
    }
    let (always, never) = (always.stop(), never.stop());
    assert_eq!((always.of(200), always.errors.len()), (always.answers(), 0), "{always:?}");
    assert_eq!((never.of(429), never.errors.len()), (never.answers(), 0), "{never:?}");
    assert_eq!(edge.upstream.requests_of("never").len(), 0);
    assert_eq!(edge.upstream.requests_of("always").len(), always.of(200));
}

#[test]
fn a_deleted_configmap_keeps_limits_until_its_successor_applies() {
    let cluster = Cluster::start(&overrides(&[("team", 5)]));
    let sync = cluster.sync("sync", &[]);
    let edge = edge_of(&sync.feed()).start("");
    let deleted = cluster.server.api(e2e::ADMIN).delete(CONFIG_MAP);
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    until("the deletion is reported", || {
        sync.metric("overrides_sync_configmap_deletions_total") == Some(1.0)
            && edge.rls.metric("rls_limits_problems") == Some(1.0)
    });
    assert_eq!((edge.rls.burst("team"), sync.readiness()), (Some(5), Some(200)));
    cluster.create(&overrides(&[("team", 6)]));
    until("the successor holds", || edge.rls.burst("team") == Some(6));
    until("the problem is gone", || edge.rls.metric("rls_limits_problems") == Some(0.0));
}

fn edge_of(feed: &str) -> EdgeBuilder {
    Edge::builder().limits_from(feed)
}
