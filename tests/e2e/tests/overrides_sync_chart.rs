//! The chart of overrides-sync on the real API server: what it installs, and that its Role allows everything overrides-sync does, and nothing else.

use std::fs;

use e2e::{ADMIN, Cluster, KubeApiServer, Kubectl, OverridesSync, Token, helm, helm_template, repository, until};
use serde_json::json;

const SERVICE_ACCOUNT: &str = "service-account-token";
const GOOD: &str = "overrides:\n  team-a: { ingestion_rate: 5 }\n";

/// A cluster where the chart's Role is bound to its service account, the user of the token [`SERVICE_ACCOUNT`].
fn cluster() -> Cluster {
    let token = Token::service_account(SERVICE_ACCOUNT, "edge", "overrides-sync");
    let cluster = Cluster::of(KubeApiServer::start(&[token]), GOOD);
    let chart = repository().join("charts/overrides-sync");
    let values = [("mimir.distributorService", "mimir-distributor")];
    let manifests = helm_template(&chart, "overrides-sync", "edge", &values);
    let roles: Vec<_> = manifests.split("---\n").filter(|manifest| manifest.contains("kind: Role")).collect();
    assert_eq!(roles.len(), 2, "a Role and its binding: {manifests}");
    assert!(!manifests.contains("kind: ClusterRole"), "{manifests}");
    drop(cluster.kubectl().apply(&roles.join("---\n")).ok());
    cluster
}

#[test]
fn the_role_of_the_chart_allows_all_that_is_needed() {
    let cluster = cluster();
    let endpoints = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": "mimir-distributor-1", "labels": { "kubernetes.io/service-name": "mimir-distributor" } },
        "endpoints": [{ "addresses": ["10.1.0.1"], "conditions": { "ready": true } }, { "addresses": ["10.1.0.2"] }],
        "ports": [],
    });
    let made = cluster.server.api(ADMIN).post("/apis/discovery.k8s.io/v1/namespaces/mimir/endpointslices", &endpoints);
    assert_eq!(made.status, 201, "{}", made.text());
    let kubeconfig = cluster.server.kubeconfig(SERVICE_ACCOUNT);
    let start = |name: &str| {
        let folder = cluster.server.folder().join(name);
        let arguments = ["--distributor-service=mimir/mimir-distributor"];
        OverridesSync::start(&folder, &kubeconfig, "kube:mimir/mimir-runtime", &arguments)
    };
    let both = [start("one"), start("two")];
    both.iter().for_each(OverridesSync::wait_until_ready);
    let sum = |series: &str| both.iter().filter_map(|sync| sync.metric(series)).sum::<f64>();
    until("distributors are counted", || sum("overrides_sync_distributors") == 4.0);
    cluster.put("overrides:\n  team-a: {}\n  team/a: { ingestion_rate: 5 }\n");
    until("an Event is made and repeated", || {
        sum("overrides_sync_events_total{result=\"created\"}") == 1.0
            && sum("overrides_sync_events_total{result=\"repeated\"}") == 1.0
    });
    assert_eq!(sum("overrides_sync_events_total{result=\"forbidden\"}"), 0.0);
    assert_eq!(sum("overrides_sync_watch_restarts_total"), 0.0);
}

#[test]
fn the_role_of_the_chart_allows_nothing_else() {
    let cluster = cluster();
    let service_account = Kubectl::new(&cluster.server, SERVICE_ACCOUNT);
    let may = |arguments: &[&str]| service_account.may(arguments);
    for verb in ["get", "list", "watch"] {
        assert!(may(&[verb, "configmaps/mimir-runtime", "--namespace=mimir"]), "{verb} the ConfigMap");
        assert!(!may(&[verb, "configmaps/mimir-config", "--namespace=mimir"]), "{verb} another ConfigMap");
        assert!(!may(&[verb, "configmaps", "--namespace=mimir"]), "{verb} every ConfigMap");
        assert!(!may(&[verb, "configmaps/mimir-runtime", "--namespace=default"]), "{verb} elsewhere");
        assert!(!may(&[verb, "secrets", "--namespace=mimir"]), "{verb} Secrets");
        assert!(!may(&[verb, "pods", "--namespace=mimir"]), "{verb} pods");
        assert!(!may(&[verb, "events.events.k8s.io", "--namespace=mimir"]), "{verb} Events");
        assert!(!may(&[verb, "endpointslices.discovery.k8s.io", "--namespace=default"]), "{verb} other endpoints");
    }
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        assert!(!may(&[verb, "configmaps/mimir-runtime", "--namespace=mimir"]), "{verb} the ConfigMap");
        assert!(!may(&[verb, "endpointslices.discovery.k8s.io", "--namespace=mimir"]), "{verb} endpoints");
        assert!(!may(&[verb, "events", "--namespace=mimir"]), "{verb} Events of the core group");
        let writes_events = ["create", "patch"].contains(&verb);
        assert_eq!(may(&[verb, "events.events.k8s.io", "--namespace=mimir"]), writes_events, "{verb} Events");
    }
    let listed = service_account.run(&["get", "configmaps", "--namespace=mimir"]);
    assert!(listed.stderr.contains("configmaps is forbidden"), "{}", listed.stderr);
    let read = service_account.run(&["get", "configmap", "mimir-runtime", "--namespace=mimir", "--output=name"]);
    assert_eq!(read.stdout, "configmap/mimir-runtime\n", "{}", read.stderr);
}

#[test]
fn a_label_and_keys_become_flags_and_a_role() {
    let token = Token::service_account(SERVICE_ACCOUNT, "edge", "overrides-sync");
    let cluster = Cluster::of(KubeApiServer::start(&[token]), GOOD);
    let chart = repository().join("charts/overrides-sync");
    let authority = fs::read_to_string(cluster.server.certificate()).expect("the certificate can be read");
    let values = [
        ("mimir.overridesLabel", "app.kubernetes.io/component=runtime"),
        ("mimir.overridesKeys", "{base.yaml,team.yaml}"),
        ("webhook.enabled", "true"),
        ("webhook.caBundle", &authority),
    ];
    let manifests = helm_template(&chart, "overrides-sync", "edge", &values);
    let limits = "--limits=kube:mimir/app.kubernetes.io/component=runtime/base.yaml,team.yaml\n";
    assert!(manifests.contains(limits), "{manifests}");
    assert!(manifests.contains("matchLabels:\n        app.kubernetes.io/component: \"runtime\""), "{manifests}");
    let roles: Vec<_> = manifests.split("---\n").filter(|manifest| manifest.contains("kind: Role")).collect();
    drop(cluster.kubectl().apply(&roles.join("---\n")).ok());
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "runtime-7f9c", "labels": { "app.kubernetes.io/component": "runtime" } },
        "data": { "base.yaml": GOOD, "team.yaml": "overrides:\n  team-b: {}\n  team/b: {}\n", "more.yaml": "" },
    });
    let made = cluster.server.api(ADMIN).post("/api/v1/namespaces/mimir/configmaps", &object);
    assert_eq!(made.status, 201, "{}", made.text());
    let kubeconfig = cluster.server.kubeconfig(SERVICE_ACCOUNT);
    let folder = cluster.server.folder().join("labelled");
    let source = limits.trim_start_matches("--limits=").trim_end();
    let sync = OverridesSync::start(&folder, &kubeconfig, source, &[]);
    sync.wait_until_ready();
    until("both keys are read", || sync.metric("overrides_sync_tenants") == Some(2.0));
    until("both problems are reported on the object", || {
        let described = cluster.kubectl().run(&["describe", "configmap", "runtime-7f9c", "--namespace=mimir"]).stdout;
        described.contains("unsupported character") && described.contains("more.yaml: is not read")
    });
}

#[test]
fn kubernetes_accepts_each_manifest_without_a_warning() {
    let server = KubeApiServer::start(&[]);
    server.namespace("mimir");
    server.namespace("edge");
    let kubectl = Kubectl::new(&server, ADMIN);
    kubectl.ok(&["label", "namespace", "edge", "pod-security.kubernetes.io/warn=restricted"]);
    let chart = repository().join("charts/overrides-sync");
    let authority = fs::read_to_string(server.certificate()).expect("the certificate can be read");
    let every_part = [
        ("mimir.haTrackerUrl", "http://mimir-distributor.mimir:8080"),
        ("mimir.distributorService", "mimir-distributor-headless"),
        ("mimir.limits.ingestion_rate", "5"),
        ("allowEmptyOverrides", "true"),
        ("webhook.enabled", "true"),
        ("webhook.caBundle", &authority),
    ];
    let by_label =
        [("mimir.overridesLabel", "app=runtime"), ("webhook.enabled", "true"), ("webhook.caBundle", &authority)];
    for values in [&every_part[..0], &every_part[..], &by_label[..]] {
        let manifests = helm_template(&chart, "overrides-sync", "edge", values);
        let applied = kubectl.run_with(&["apply", "--dry-run=server", "-f", "-"], &manifests);
        assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{}", applied.stdout);
    }
}

#[test]
fn a_webhook_without_a_certificate_issuer_is_not_rendered() {
    let chart = repository().join("charts/overrides-sync");
    let chart = chart.to_str().unwrap_or_default();
    let rendered = helm(&["template", "overrides-sync", chart, "--set=webhook.enabled=true"]);
    assert_eq!(rendered.status, Some(1));
    assert!(rendered.stderr.contains("webhook.enabled needs webhook.certManager.issuerName"), "{}", rendered.stderr);
    let by_cert_manager = "--set=webhook.enabled=true,webhook.certManager.issuerName=ca";
    let with_cert_manager = "--api-versions=cert-manager.io/v1/Certificate";
    let signed = helm(&["template", "overrides-sync", chart, by_cert_manager, with_cert_manager]).ok();
    assert!(signed.contains("cert-manager.io/inject-ca-from: default/overrides-sync-webhook-tls"), "{signed}");
    assert!(signed.contains("kind: Certificate"), "{signed}");
}
