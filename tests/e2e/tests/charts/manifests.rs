//! The objects that the charts install for their values.

use e2e::{Kubectl, helm};
use serde_json::json;

use super::objects::Objects;
use super::{CHARTS, ENVOY, MIMIR_RLS, OVERRIDES_SYNC, Set, chart, cluster, rendered};

const HPA: &[Set<'_>] = &[("hpa.enabled", "true")];
const KUBE: &[Set<'_>] = &[("limits.source", "kube:mimir/mimir-runtime")];

/// Sets of values that each change what is installed.
const VALUE_SETS: &[(&str, &[Set<'_>])] = &[
    (MIMIR_RLS, &[]),
    (MIMIR_RLS, HPA),
    (MIMIR_RLS, &[("hpa.enabled", "true"), ("hpa.minReplicas", "3"), ("hpa.targetCPUUtilizationPercentage", "50")]),
    (MIMIR_RLS, &[("image.tag", "v0.1.0"), ("image.repository", "edge/mimir-rls"), ("image.pullPolicy", "Always")]),
    (MIMIR_RLS, &[("imagePullSecrets[0].name", "registry"), ("replicaCount", "5"), ("pdb.enabled", "false")]),
    (MIMIR_RLS, KUBE),
    (
        MIMIR_RLS,
        &[("limits.cache", "false"), ("limits.allowEmptyOverrides", "true"), ("limits.enforceBodyParsing", "false")],
    ),
    (
        MIMIR_RLS,
        &[
            ("limits.unreadableBody", "forward"),
            ("limits.maxInFlightBytes", "1000000000"),
            ("limits.maxRequestBytes", "1000"),
        ],
    ),
    (MIMIR_RLS, &[("chargeSamplesIn", "rate-limit"), ("mimir.distributors", "3"), ("mimir.haTracker", "false")]),
    (
        MIMIR_RLS,
        &[("mimir.haTrackerUrl", "http://mimir-distributor.mimir:8080"), ("mimir.limits.ingestion_rate", "50000000")],
    ),
    (
        MIMIR_RLS,
        &[
            ("mimir.limitsFlags", "-distributor.ingestion-rate-limit=5 -distributor.ha-tracker.cluster=dc"),
            ("mimir.version", "3.0"),
        ],
    ),
    (MIMIR_RLS, &[("mimir.configUrl", "http://mimir-distributor.mimir:8080"), ("mimir.defaultTenant", "anonymous")]),
    (
        MIMIR_RLS,
        &[
            ("edgeConfig.mode", "shadow"),
            ("edgeConfig.tenants.a.mode", "enforce"),
            ("edgeConfig.edge_limits.max_body_bytes", "9"),
        ],
    ),
    (MIMIR_RLS, &[("networkPolicy.grpcFrom[0].podSelector.matchLabels.app", "gateway")]),
    (MIMIR_RLS, &[("networkPolicy.httpFrom[0].namespaceSelector.matchLabels.name", "monitoring")]),
    (OVERRIDES_SYNC, &[("networkPolicy.httpFrom[0].podSelector.matchLabels.app", "prometheus")]),
    (MIMIR_RLS, &[("auditLog", "-"), ("extraArgs", "{--decode-threads=2}"), ("extraEnv[0].name", "RUST_BACKTRACE")]),
    (MIMIR_RLS, &[("networkPolicy.enabled", "false"), ("serviceAccount.name", "default"), ("log.format", "text")]),
    (
        MIMIR_RLS,
        &[
            ("resources.limits.memory", "3Gi"),
            ("resources.limits.cpu", "2"),
            ("podLabels.a", "b"),
            ("podAnnotations.c", "d"),
        ],
    ),
    (MIMIR_RLS, &[("nodeSelector.disk", "fast"), ("tolerations[0].operator", "Exists"), ("priorityClassName", "high")]),
    (OVERRIDES_SYNC, &[]),
    (
        OVERRIDES_SYNC,
        &[("image.tag", "v0.1.0"), ("mimir.namespace", "mimir"), ("mimir.overridesConfigMap", "mimir-overrides")],
    ),
    (
        OVERRIDES_SYNC,
        &[("mimir.haTrackerUrl", "http://mimir-distributor.mimir:8080"), ("mimir.limits.ingestion_rate", "5")],
    ),
    (OVERRIDES_SYNC, &[("mimir.limitsFlags", "-distributor.ingestion-rate-limit=5"), ("mimir.version", "3.0")]),
    (OVERRIDES_SYNC, &[("mimir.configUrl", "http://mimir-distributor.mimir:8080")]),
    (OVERRIDES_SYNC, &[("mimir.distributorService", "mimir-distributor-headless"), ("allowEmptyOverrides", "true")]),
    (OVERRIDES_SYNC, &[("events.enabled", "false"), ("pdb.enabled", "false"), ("networkPolicy.enabled", "false")]),
    (
        OVERRIDES_SYNC,
        &[("networkPolicy.grpcFrom[0].ipBlock.cidr", "10.0.0.0/8"), ("serviceAccount.annotations.a", "b")],
    ),
    (ENVOY, &[]),
    (ENVOY, HPA),
    (ENVOY, &[("mode", "mirror"), ("limits.enforceBodyParsing", "false"), ("extAuthz.failureModeAllow", "true")]),
    (ENVOY, &[("image.tag", "v0.1.0"), ("imagePullSecrets[0].name", "registry"), ("pdb.enabled", "false")]),
    (ENVOY, &[("service.type", "LoadBalancer"), ("service.annotations.a", "b"), ("networkPolicy.enabled", "false")]),
    (ENVOY, &[("service.ipFamilyPolicy", "PreferDualStack"), ("listeners.address", "::"), ("dnsLookupFamily", "ALL")]),
    (ENVOY, &[("networkPolicy.pushFrom[0].ipBlock.cidr", "10.0.0.0/8"), ("serviceAccount.name", "default")]),
    (
        ENVOY,
        &[
            ("podLabels.a", "b"),
            ("podAnnotations.c", "d"),
            ("nodeSelector.disk", "fast"),
            ("priorityClassName", "high"),
        ],
    ),
];

#[test]
fn kubernetes_accepts_every_set_of_values_without_a_warning() {
    let (_server, kubectl) = cluster();
    for ((name, _), objects) in VALUE_SETS.iter().zip(Objects::of_each(&kubectl, VALUE_SETS)) {
        let deployment = objects.one("Deployment", name);
        let strategy = &deployment["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(strategy, &json!({ "maxSurge": 1, "maxUnavailable": 0 }), "{name}: never fewer ready pods");
    }
    what_the_values_decide(&kubectl);
    pods_are_selected_by_their_labels(&kubectl);
}

fn what_the_values_decide(kubectl: &Kubectl) {
    let default = Objects::of(kubectl, MIMIR_RLS, &[]);
    let spec = |objects: &Objects| objects.one("Deployment", MIMIR_RLS)["spec"].clone();
    assert_eq!(spec(&default)["replicas"], 2);
    assert_eq!(default.of_kind("HorizontalPodAutoscaler").len(), 0);
    assert_eq!(default.of_kind("PodDisruptionBudget").len(), 1);
    assert_eq!(spec(&default)["template"]["spec"]["automountServiceAccountToken"], false);
    assert_eq!(default.of_kind("Role").len() + default.of_kind("RoleBinding").len(), 0);
    assert_eq!(spec(&default)["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"], "1153Mi");

    let kube = Objects::of(kubectl, MIMIR_RLS, KUBE);
    assert_eq!(spec(&kube)["template"]["spec"]["automountServiceAccountToken"], true);
    let role = kube.one("Role", MIMIR_RLS);
    let rule = json!({ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mimir-runtime"], "verbs": ["get", "list", "watch"] });
    assert_eq!((&role["metadata"]["namespace"], &role["rules"]), (&json!("mimir"), &json!([rule])));

    let set = |values: &[Set<'_>]| Objects::of(kubectl, MIMIR_RLS, values);
    let least = set(&[("hpa.enabled", "true"), ("replicaCount", "4")]);
    assert_eq!(least.one("HorizontalPodAutoscaler", MIMIR_RLS)["spec"]["minReplicas"], 4);
    let annotations = |objects: &Objects| spec(objects)["template"]["metadata"]["annotations"].clone();
    let limits = set(&[("mimir.limits.ingestion_rate", "5")]);
    assert_ne!(annotations(&limits), annotations(&default), "default limits are read once, so a change rolls the pods");
    let edge = set(&[("edgeConfig.mode", "shadow")]);
    assert_eq!(annotations(&edge), annotations(&default), "the edge config is read again when it changes");
    let without = set(&[("pdb.enabled", "false"), ("networkPolicy.enabled", "false")]);
    assert_eq!(without.of_kind("PodDisruptionBudget").len() + without.of_kind("NetworkPolicy").len(), 0);
}

/// Services, policies and budgets select the pods of their release.
fn pods_are_selected_by_their_labels(kubectl: &Kubectl) {
    for name in CHARTS {
        let objects = Objects::of(kubectl, name, &[]);
        let labels = &objects.one("Deployment", name)["spec"]["template"]["metadata"]["labels"];
        let policy = &objects.one("NetworkPolicy", name)["spec"];
        let selector = &objects.one("Deployment", name)["spec"]["selector"]["matchLabels"];
        // Nothing that an upgrade changes.
        assert_eq!(*selector, json!({ "app.kubernetes.io/name": name, "app.kubernetes.io/instance": name }));
        let selected = selector.as_object().expect("a selector is a map");
        assert!(selected.iter().all(|(key, value)| labels[key] == *value), "{labels}");
        for service in objects.of_kind("Service") {
            assert_eq!(service["spec"]["selector"], *selector);
            assert_eq!(service["spec"]["clusterIP"] == "None", name != ENVOY, "{name}");
        }
        assert_eq!(policy["podSelector"]["matchLabels"], *selector);
        let budget = &objects.one("PodDisruptionBudget", name)["spec"];
        assert_eq!(budget["selector"]["matchLabels"], *selector);
        assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    }
}

#[test]
fn a_deployment_leaves_its_replicas_to_the_autoscaler() {
    for name in [MIMIR_RLS, ENVOY] {
        for (values, replicas) in [(&[][..], true), (HPA, false)] {
            let manifests = e2e::helm_template(&chart(name), name, "edge", values);
            let deployment = manifests.split("---\n").find(|manifest| manifest.contains("kind: Deployment"));
            assert_eq!(deployment.expect("there is a Deployment").contains("replicas:"), replicas, "{name} {values:?}");
        }
    }
}

#[test]
fn mimir_rls_reads_limits_where_overrides_sync_serves_them() {
    let (_server, kubectl) = cluster();
    let service =
        &Objects::of(&kubectl, OVERRIDES_SYNC, &[]).one("Service", OVERRIDES_SYNC)["spec"]["ports"][0].clone();
    assert_eq!((&service["name"], &service["targetPort"]), (&json!("grpc"), &json!("grpc")));
    let source = format!("--limits=feed:http://{OVERRIDES_SYNC}:{}", service["port"]);
    let objects = Objects::of(&kubectl, MIMIR_RLS, &[]);
    let arguments = &objects.one("Deployment", MIMIR_RLS)["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().is_some_and(|all| all.contains(&json!(source))), "{arguments}");
}

#[test]
fn mimir_rls_accepts_the_largest_push_of_any_envoy() {
    let (_server, kubectl) = cluster();
    let largest = |name: &str, values: &[Set<'_>], object: &str, before: &str| {
        let objects = Objects::of(&kubectl, name, values);
        let text = objects.one(object, name).to_string();
        let (_, after) = text.split_once(before).unwrap_or_else(|| panic!("{name} has no {before}"));
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().expect("it is a number")
    };
    let read = largest(MIMIR_RLS, &[], "Deployment", "--max-request-bytes=");
    for (values, expected) in [(&[][..], 16 << 20), (&[("mode", "mirror")][..], 100 << 20)] {
        let taken = largest(ENVOY, values, "ConfigMap", "max_request_bytes: ");
        assert_eq!(taken, expected, "{values:?}");
        assert!(taken <= read, "Envoy takes {taken}, mimir-rls {read}");
    }
}

#[test]
fn templates_that_charts_share_are_the_same() {
    let read = |chart_name: &str, file: &str| {
        std::fs::read_to_string(chart(chart_name).join("templates").join(file)).expect("a template can be read")
    };
    for (file, others) in [("_edge.tpl", &[OVERRIDES_SYNC, ENVOY][..]), ("_mimir-rls.tpl", &[ENVOY])] {
        for other in others {
            assert!(read(MIMIR_RLS, file) == read(other, file), "{file} of {other} is not that of mimir-rls");
        }
    }
}

#[test]
fn distributors_are_counted_at_the_service_that_envoy_uses() {
    let sync = rendered(OVERRIDES_SYNC, &[]);
    assert!(sync.contains("--distributor-service=mimir/mimir-distributor-headless\n"), "{sync}");
    assert!(sync.contains("--limits=kube:mimir/mimir-runtime\n"), "{sync}");
    assert!(rendered(ENVOY, &[]).contains("address: mimir-distributor-headless.mimir.svc.cluster.local"));
}

#[test]
fn notes_warn_where_one_distributor_is_assumed() {
    for (name, set, warns) in [
        (MIMIR_RLS, "limits.source=kube:mimir/mimir-runtime", true),
        (MIMIR_RLS, "limits.source=kube:mimir/mimir-runtime,mimir.distributors=3", false),
        (MIMIR_RLS, "limits.cache=true", false),
        (OVERRIDES_SYNC, "mimir.distributorService=", true),
        (OVERRIDES_SYNC, "events.enabled=true", false),
        (ENVOY, "sidecar.enabled=true,sidecar.stickyFront=true,sidecar.limits.source=kube:mimir/mimir-runtime", true),
        (ENVOY, "sidecar.enabled=true,sidecar.stickyFront=true", false),
    ] {
        let chart = chart(name);
        let path = chart.to_str().expect("a path is text");
        let notes = helm(&["install", name, path, "--dry-run=client", &format!("--set={set}")]).ok();
        assert_eq!(notes.contains("accepts D bursts of a"), warns, "{name} {set}: {notes}");
        let no_metrics = "networkPolicy.httpFrom is empty, so no Prometheus may read the metrics";
        assert!(notes.contains(no_metrics), "{notes}");
    }
}

#[test]
fn notes_warn_of_each_path_that_passes() {
    let notes = |set: &str| {
        let chart = chart(ENVOY);
        helm(&["install", ENVOY, chart.to_str().expect("a path is text"), "--dry-run=client", &format!("--set={set}")])
            .ok()
    };
    let otlp = "paths[0].path=/otlp/v1.0,paths[0].match=prefix,paths[0].action=pass";
    let warned =
        notes(&format!("{otlp},paths[1].path=/x,paths[1].action=refuse,paths[2].path=/y/push,paths[2].action=decide"));
    assert_eq!(warned.matches("WARNING: paths lets").count(), 1, "{warned}");
    assert!(warned.contains("WARNING: paths lets /otlp/v1.0 and what is below it pass"), "{warned}");
    assert!(warned.contains("envoy_vhost_route_upstream_rq_total{envoy_route=\"/otlp/v1_0\"} counts them"), "{warned}");
    let all = notes("paths[0].path=/,paths[0].match=prefix,paths[0].action=pass");
    assert!(all.contains("admin"), "{all}");
    let push = notes("paths[0].path=/mimir/api/v1/push,paths[0].action=pass");
    assert!(push.contains("action: decide lets mimir-rls limit it"), "{push}");
    assert!(!notes(&format!("{otlp},mode=mirror")).contains("paths lets"));
}

#[test]
fn helm_lints_the_charts_without_a_warning() {
    for name in [MIMIR_RLS, OVERRIDES_SYNC, ENVOY] {
        let chart = chart(name);
        let path = chart.to_str().expect("a path is text");
        drop(helm(&["lint", "--strict", path]).ok());
        let old = helm(&["template", name, path, "--kube-version=1.23.17"]);
        assert!(old.stderr.contains("requires kubeVersion: >=1.24.0-0"), "{}", old.stderr);
        drop(helm(&["template", name, path, "--kube-version=1.24.0"]).ok());
    }
}
