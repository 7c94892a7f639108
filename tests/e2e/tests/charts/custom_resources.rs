//! Custom resources: rendered where the cluster has their kinds.

use e2e::{ADMIN, KubeApiServer, Kubectl, helm_at, until};

use super::{CHARTS, ENVOY, MIMIR_RLS, NAMESPACE, OVERRIDES_SYNC, Set, chart, cluster, rendered};

const KINDS: [(&str, &str, &str); 3] = [
    ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "PrometheusRule", "prometheusrules"),
    ("cert-manager.io", "Certificate", "certificates"),
];

/// A definition of a kind without a schema.
fn definition((group, kind, plural): (&str, &str, &str)) -> String {
    let singular = kind.to_lowercase();
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{ name: {plural}.{group} }}
spec:
  group: {group}
  names: {{ kind: {kind}, plural: {plural}, singular: {singular}, listKind: {kind}List }}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }}
"
    )
}

/// Runs `helm upgrade --install` of a chart as a release of its name.
#[track_caller]
fn install(server: &KubeApiServer, name: &str, values: &[Set<'_>]) {
    let chart = chart(name);
    let path = chart.to_str().expect("a path is text");
    let set: Vec<String> = values.iter().map(|(name, value)| format!("--set={name}={value}")).collect();
    let mut arguments = vec!["upgrade", "--install", name, path, "--namespace", NAMESPACE];
    arguments.extend(set.iter().map(String::as_str));
    drop(helm_at(server, ADMIN, &arguments).ok());
}

fn names(kubectl: &Kubectl, plural: &str) -> String {
    let namespace = format!("--namespace={NAMESPACE}");
    kubectl.ok(&["get", plural, &namespace, "--output=jsonpath={.items[*].metadata.name}"])
}

#[test]
fn custom_resources_are_installed_where_the_cluster_has_their_kinds() {
    let (server, kubectl) = cluster();
    for name in [MIMIR_RLS, OVERRIDES_SYNC, ENVOY] {
        install(&server, name, &[]);
    }
    for kind in KINDS {
        drop(kubectl.apply(&definition(kind)).ok());
        let resource = format!("{}.{}", kind.2, kind.0);
        until("the kind is served", || kubectl.run(&["get", &resource, "--all-namespaces"]).status == Some(0));
        assert_eq!(names(&kubectl, kind.2), "", "none was made before");
    }
    install(&server, MIMIR_RLS, &[("serviceMonitor.labels.release", "prometheus"), ("serviceMonitor.interval", "7s")]);
    let webhook = [("webhook.enabled", "true"), ("webhook.certManager.issuerName", "ca")];
    install(&server, OVERRIDES_SYNC, &webhook);
    install(&server, ENVOY, &[]);
    assert_eq!(names(&kubectl, "servicemonitors"), "envoy mimir-rls overrides-sync");
    assert_eq!(names(&kubectl, "prometheusrules"), "envoy mimir-rls");
    assert_eq!(names(&kubectl, "certificates"), "overrides-sync-webhook-tls");
    let namespace = format!("--namespace={NAMESPACE}");
    let monitor = kubectl.ok(&[
        "get",
        "servicemonitor",
        MIMIR_RLS,
        &namespace,
        "--output=jsonpath={.metadata.labels.release} {.spec.endpoints[0].port} {.spec.endpoints[0].interval}",
    ]);
    assert_eq!(monitor, "prometheus http 7s");

    install(&server, OVERRIDES_SYNC, &[("serviceMonitor.enabled", "false")]);
    for name in [MIMIR_RLS, ENVOY] {
        install(&server, name, &[("serviceMonitor.enabled", "false"), ("prometheusRule.enabled", "false")]);
    }
    for (_, _, plural) in KINDS {
        assert_eq!(names(&kubectl, plural), "");
    }
}

#[test]
fn monitors_and_rules_are_rendered_each_on_its_own() {
    for name in CHARTS {
        assert!(!rendered(name, &[]).contains("monitoring.coreos.com"), "{name}: helm template knows no CRDs");
        let monitors =
            rendered(name, &["--set=serviceMonitor.enabled=always,serviceMonitor.labels.release=prometheus"]);
        assert!(monitors.contains("kind: ServiceMonitor"), "{name}: {monitors}");
        assert!(monitors.contains("    release: prometheus\n"), "{name}: {monitors}");
        assert!(!monitors.contains("kind: PrometheusRule"), "{name}: {monitors}");
    }
    let set =
        "--set=serviceMonitor.enabled=false,prometheusRule.enabled=always,serviceMonitor.labels.release=prometheus";
    for name in [MIMIR_RLS, ENVOY] {
        let rules = rendered(name, &[set, "--set=prometheusRule.labels.role=alerts"]);
        assert!(rules.contains("kind: PrometheusRule") && !rules.contains("kind: ServiceMonitor"), "{rules}");
        assert!(rules.contains("    release: prometheus\n    role: alerts\nspec:"), "one value labels both: {rules}");
    }
}
