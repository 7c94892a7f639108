//! What kinds of clusters need: OpenShift, IPv6, meshes, private CAs, load balancers.

use std::net::{Ipv6Addr, TcpStream};

use e2e::{Connection, Kubectl, Upstream, free_port, push_request, samples, send, until};
use serde_json::{Value, json};

use super::envoy::start;
use super::objects::Objects;
use super::{CHARTS, ENVOY, MIMIR_RLS, OVERRIDES_SYNC, Set, cluster, rendered};

/// Volumes of the SCC `restricted-v2`.
const RESTRICTED: [&str; 5] = ["configMap", "emptyDir", "projected", "secret", "downwardAPI"];

fn pod(kubectl: &Kubectl, name: &str, values: &[Set<'_>]) -> Value {
    Objects::of(kubectl, name, values).one("Deployment", name)["spec"]["template"]["spec"].clone()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(move |kind| pod[kind].as_array().into_iter().flatten())
}

#[test]
fn openshift_chooses_user_and_group_of_every_pod() {
    let (_server, kubectl) = cluster();
    let removed = [
        ("podSecurityContext.runAsUser", "null"),
        ("podSecurityContext.runAsGroup", "null"),
        ("podSecurityContext.fsGroup", "null"),
    ];
    let sidecar = [
        ("sidecar.enabled", "true"),
        ("sidecar.stickyFront", "true"),
        ("sidecar.limits.source", "kube:mimir/mimir-runtime"),
    ];
    let everything = [("tls.enabled", "true"), ("http.tokenSecret.name", "token"), ("caBundle.configMap", "ca")];
    let none: &[Set<'_>] = &[];
    for (name, more) in CHARTS.map(|name| (name, none)).into_iter().chain([(ENVOY, &sidecar[..])]) {
        let pod = pod(&kubectl, name, &[&removed[..], &everything, more].concat());
        let expected = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
        assert_eq!(pod["securityContext"], expected, "{name}");
        for container in containers(&pod) {
            let expected = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } });
            assert_eq!(container["securityContext"], expected, "{name}");
        }
        for volume in pod["volumes"].as_array().expect("a pod has volumes") {
            assert!(RESTRICTED.iter().any(|kind| !volume[kind].is_null()), "{name}: {volume}");
        }
    }
    for name in CHARTS {
        let none = rendered(name, &["--set=podSecurityContext=null,securityContext=null"]);
        assert!(!none.contains("securityContext"), "{name}: {none}");
        let open = rendered(
            name,
            &["--set=securityContext.readOnlyRootFilesystem=false,podSecurityContext.supplementalGroups={7}"],
        );
        assert!(
            open.contains("readOnlyRootFilesystem: false") && open.contains("supplementalGroups:"),
            "{name}: {open}"
        );
    }
}

#[test]
fn pods_get_the_volumes_variables_and_containers_of_values() {
    let (_server, kubectl) = cluster();
    let values = [
        ("extraVolumes[0].name", "more"),
        ("extraVolumes[0].configMap.name", "more"),
        ("extraVolumeMounts[0].name", "more"),
        ("extraVolumeMounts[0].mountPath", "/more"),
        ("extraEnv[0].name", "HTTPS_PROXY"),
        ("extraEnv[0].value", "http://proxy:3128"),
        ("extraArgs[0]", "--more"),
        ("extraContainers[0].name", "more"),
        ("extraContainers[0].image", "more:v1"),
        ("extraContainers[0].securityContext.allowPrivilegeEscalation", "false"),
        ("extraContainers[0].securityContext.capabilities.drop[0]", "ALL"),
        ("caBundle.secret", "private-ca"),
        ("caBundle.key", "root.pem"),
    ];
    for name in CHARTS {
        let pod = pod(&kubectl, name, &values);
        let volume = |wanted: &str| pod["volumes"].as_array().into_iter().flatten().find(|it| it["name"] == wanted);
        assert_eq!(volume("more").expect("it is there")["configMap"]["name"], "more");
        assert_eq!(volume("ca-bundle").expect("it is there")["secret"]["secretName"], "private-ca");
        let container = &pod["containers"][0];
        let has = |list: &str, item: &Value| container[list].as_array().is_some_and(|all| all.contains(item));
        assert!(has("volumeMounts", &json!({ "name": "more", "mountPath": "/more" })), "{name}: {container}");
        assert!(has("env", &json!({ "name": "HTTPS_PROXY", "value": "http://proxy:3128" })), "{name}: {container}");
        assert!(has("args", &json!("--more")), "{name}: {container}");
        let trusted = json!({ "name": "SSL_CERT_FILE", "value": "/etc/mimir-edge/ca/root.pem" });
        assert_eq!(has("env", &trusted), name != ENVOY, "{name}: {container}");
        assert_eq!(pod["containers"][1]["image"], "more:v1");
    }
    let tls = "--set=mimir.tls.enabled=true,caBundle.configMap=ca";
    assert!(rendered(ENVOY, &[tls]).contains("trusted_ca: { filename: /etc/mimir-edge/ca/ca.crt }"));
    let own = rendered(ENVOY, &[tls, "--set=mimir.tls.caFile=/own/ca.pem"]);
    assert!(own.contains("trusted_ca: { filename: /own/ca.pem }"), "{own}");
    let system = rendered(ENVOY, &["--set=mimir.tls.enabled=true"]);
    assert!(system.contains("trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }"), "{system}");
    assert!(!own.contains("mimir-ca.yaml") && !system.contains("mimir-ca.yaml"), "{own}");
}

#[test]
fn only_pods_that_use_the_api_have_a_token() {
    let (_server, kubectl) = cluster();
    let kube = ("limits.source", "kube:mimir/mimir-runtime");
    for (name, values, mounted) in [
        (MIMIR_RLS, &[][..], false),
        (MIMIR_RLS, &[kube][..], true),
        (OVERRIDES_SYNC, &[][..], true),
        (ENVOY, &[][..], false),
    ] {
        let objects = Objects::of(&kubectl, name, values);
        assert_eq!(objects.one("ServiceAccount", name)["automountServiceAccountToken"], false, "{name}");
        let pod = &objects.one("Deployment", name)["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], mounted, "{name}");
    }
}

#[test]
fn ports_name_protocols_and_load_balancers_publish_no_metrics() {
    let (_server, kubectl) = cluster();
    let ports = |name: &str, values: &[Set<'_>], service: &str| {
        let objects = Objects::of(&kubectl, name, values);
        let ports = objects.one("Service", service)["spec"]["ports"].clone();
        let ports = ports.as_array().expect("a Service has ports").iter();
        ports.map(|port| format!("{} {}", port["name"], port["appProtocol"]).replace('"', "")).collect::<Vec<_>>()
    };
    for name in [MIMIR_RLS, OVERRIDES_SYNC] {
        assert_eq!(ports(name, &[], name), ["grpc grpc", "http http"]);
        assert_eq!(ports(name, &[("tls.enabled", "true")], name), ["grpc tls", "http http"]);
    }
    assert_eq!(ports(ENVOY, &[], ENVOY), ["http http"]);
    let balanced = [("service.type", "LoadBalancer")];
    assert_eq!(ports(ENVOY, &balanced, ENVOY), ["http null"]);
    let objects = Objects::of(&kubectl, ENVOY, &balanced);
    assert_eq!(objects.one("Service", "envoy-metrics")["spec"]["type"], "ClusterIP");
    assert_eq!(ports(ENVOY, &balanced, "envoy-metrics"), ["metrics http"]);
    // A proxy of a mesh routes calls by their authority.
    let bootstrap = rendered(ENVOY, &[]);
    assert_eq!(bootstrap.matches("authority: \"mimir-rls.mimir-edge-enforcement.svc.cluster.local\"").count(), 4);
    let rewrite = "route:\n                      cluster: mimir\n                      auto_host_rewrite: true\n";
    assert_eq!(bootstrap.matches("auto_host_rewrite").count(), 0, "{bootstrap}");
    let meshed = rendered(ENVOY, &["--set=mimir.rewriteHost=true"]);
    assert_eq!(meshed.matches(rewrite).count(), 1, "{meshed}");
}

#[test]
fn mimir_gets_its_own_host_where_a_mesh_needs_it() {
    for (rewrite, expected) in [("false", "edge"), ("true", "localhost")] {
        let (folder, upstream) = (tempfile::tempdir().expect("a folder can be made"), Upstream::start());
        let [push_port, metrics_port, drain_port, none] = [(); 4].map(|()| free_port());
        let values = format!(
            "extAuthz.failureModeAllow=true,mimirRls.host=localhost,mimirRls.port={none},listeners.address=127.0.0.1,mimir.host=localhost,mimir.port={},mimir.rewriteHost={rewrite}",
            upstream.port()
        );
        let _envoy = start(folder.path(), &values, [push_port, metrics_port, drain_port]);
        let push = push_request("team", &samples(1).bytes);
        until("Envoy forwards a push", || {
            Connection::open(push_port)
                .ok()
                .and_then(|mut open| open.send(&push).ok())
                .is_some_and(|it| it.status == 200)
        });
        let requests = upstream.requests_of("team");
        let hosts: Vec<_> = requests.iter().filter_map(|request| request.headers.get("host")).collect();
        assert!(!hosts.is_empty() && hosts.iter().all(|host| host == expected), "{rewrite}: {hosts:?}");
    }
}

#[test]
fn envoy_takes_and_resolves_both_families() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [push_port, metrics_port, drain_port, none] = [(); 4].map(|()| free_port());
    let values = format!(
        "mode=mirror,extAuthz.failureModeAllow=true,mimirRls.host=localhost,mimirRls.port={none},listeners.address=::"
    );
    let _envoy = start(folder.path(), &values, [push_port, metrics_port, drain_port]);
    for port in [push_port, metrics_port] {
        until("Envoy takes IPv6", || TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());
    }
    until("Envoy takes a push by IPv4", || send(push_port, &push_request("team", &samples(1).bytes)).status == 200);
    for (set, family) in [
        ("listeners.address=0.0.0.0", "V4_PREFERRED"),
        ("listeners.address=::", "AUTO"),
        ("dnsLookupFamily=ALL", "ALL"),
    ] {
        let text = format!("dns_lookup_family: {family}");
        assert_eq!(rendered(ENVOY, &[&format!("--set={set}")]).matches(&text).count(), 2, "{set}");
    }
    for name in CHARTS {
        let families =
            rendered(name, &["--set=service.ipFamilyPolicy=RequireDualStack,service.ipFamilies={IPv6,IPv4}"]);
        assert!(
            families.contains("  ipFamilyPolicy: RequireDualStack\n  ipFamilies:\n    - IPv6\n    - IPv4\n"),
            "{families}"
        );
    }
}
