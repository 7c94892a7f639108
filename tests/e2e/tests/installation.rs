//! `edgectl check` without a file and `edgectl diagnose`, against a whole installation of real programs: all is well, and then one hop after the other is
//! broken, named and mended.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot do its part fails"
)]

mod before;
mod limits_of_bodies;
mod whole;

use e2e::until;
use whole::{RUNTIME, Whole};

/// One installation for all cases: it takes longer to start than a case takes.
#[test]
fn each_broken_hop_is_named_with_its_cause() {
    let mut whole = Whole::start();
    all_is_well(&whole);
    the_front_door(&whole);
    the_document(&whole);
    envoy(&mut whole);
    mimir_rls_and_overrides_sync(&mut whole);
    whole.wait_until_well();
    mimir(&mut whole);
    stale_limits(&mut whole);
}

fn all_is_well(whole: &Whole) {
    whole.wait_until_well();
    let health = whole.check(&[]);
    let checks = health["checks"].as_array().expect("a list");
    let not_ok: Vec<_> = checks.iter().filter(|check| check["status"] != "ok").collect();
    assert!(not_ok.is_empty() && checks.len() > 15, "{not_ok:?}: {health}");
    assert_eq!(health["status"], "ok", "{health}");
    let text = whole.run("check", &["-o", "table"]);
    assert!(text.contains("√ the tenant arrives as it was sent: team-a\n"), "{text}");
    assert!(text.ends_with("The result is √: 0 failures, 0 warnings, 0 skipped\n"), "{text}");
}

fn the_front_door(whole: &Whole) {
    const MARK: &str = "proxy_set_header X-Mimir-Edge-Traffic live;";
    for (value, cause) in [("other", "arrives as one of other"), ("\"\"", "arrives without a valid tenant")] {
        let line = format!("{MARK} proxy_set_header X-Scope-OrgID {value};");
        whole.nginx.switch_to_edited("full-fail-closed.conf", |text| text.replace(MARK, &line));
        whole.names("front door", cause, "proxy_set_header X-Scope-OrgID $http_x_scope_orgid;");
    }
    whole.nginx.switch_to("full-fail-closed.conf");
    whole.wait_until_well();
}

fn the_document(whole: &Whole) {
    whole.cluster.put(&RUNTIME.replace("1000", "fast"));
    let edit = "kubectl edit configmap mimir-runtime --namespace mimir";
    whole.names("overrides document", "runtime.yaml:3: MRC0030 wrong-type: tenant team-a", edit);
    until("mimir-rls and overrides-sync report it too", || {
        let health = whole.check(&[]);
        let checks = health["checks"].as_array().cloned().unwrap_or_default();
        checks.iter().any(|check| check["check"] == "the programs accept it" && check["status"] == "failure")
    });
    whole.cluster.put(RUNTIME);
    whole.wait_until_well();
    whole.mimir_reads(&RUNTIME.replace("1000", "1500"));
    let cause = "tenant team-a: field ingestion_rate is 1000 in the edge and 1500 in Mimir";
    whole.names("overrides document", cause, "let both read the same document");
    whole.mimir_reads(&format!("{RUNTIME}  team-b: {{ request_rate: 7 }}\n"));
    let cause = "tenant team-b: field request_rate is 0 in the edge, where it has no override, and 7 in Mimir";
    whole.names("overrides document", cause, "let both read the same document");
    whole.mimir_reads(RUNTIME);
    whole.wait_until_well();
}

fn envoy(whole: &mut Whole) {
    whole.edge.envoy.process.kill();
    whole.names("Envoy", "it cannot be reached", "start Envoy");
    let seen_by_clients = whole.diagnose(&["--front", &whole.front(), "--tenant", "team-a"]);
    assert_eq!(seen_by_clients["broken"], "Envoy", "{seen_by_clients}");
    whole.edge.envoy.restart();
    whole.wait_until_well();
}

fn mimir_rls_and_overrides_sync(whole: &mut Whole) {
    whole.edge.rls.process.kill();
    whole.names("mimir-rls", "it cannot be reached", "start it, or name where it is with --address");
    whole.edge.rls.restart();
    whole.wait_until_well();
    whole.sync.process.kill();
    whole.names("overrides-sync", "it cannot be reached", "start it, or name where it is with --overrides-sync");
    // A mimir-rls that starts without overrides-sync, and without a cache, has no limits.
    whole.edge.rls.process.kill();
    whole.edge.rls.restart();
    whole.names("mimir-rls", "503", "it has no limits yet, or drains");
    whole.sync.restart();
}

fn mimir(whole: &mut Whole) {
    whole.mimir.process.kill();
    whole.names(
        "Mimir",
        "it cannot be reached",
        "kubectl get pods --selector app.kubernetes.io/component=distributor --namespace mimir",
    );
    until("Envoy sees it too", || {
        let seen =
            whole.diagnose(&["--envoy", &whole.envoy(), "--envoy-admin", &whole.envoy_admin(), "--tenant", "team-a"]);
        seen["broken"] == "Mimir"
    });
}

/// overrides-sync asks the API server every 15 s whether its limits are still those of the ConfigMap.
fn stale_limits(whole: &mut Whole) {
    whole.cluster.server.kill();
    let health = whole.until_diagnosed("overrides-sync", &["--stale-after", "16s"]);
    assert!(health["cause"]["detail"].as_str().is_some_and(|why| why.contains("were last confirmed")), "{health}");
}
