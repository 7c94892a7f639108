//! mimir-rls as a container of Envoy's pod.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{ADMIN, Cluster, Kubectl, Process, Signal, Upstream, free_port, push_request, samples, send, tool, until};
use serde_json::{Value, json};

use super::container::{command, inside, mount};
use super::envoy::{arguments, status};
use super::objects::Objects;
use super::{ENVOY, MIMIR_RLS, NAMESPACE, Set, cluster, rendered};

const ON: Set<'_> = ("sidecar.enabled", "true");
/// Two pods of a sidecar need it.
const STICKY: Set<'_> = ("sidecar.stickyFront", "true");
const KUBE: Set<'_> = ("sidecar.limits.source", "kube:mimir/mimir-runtime");

fn pod(kubectl: &Kubectl, values: &[Set<'_>]) -> Value {
    Objects::of(kubectl, ENVOY, values).one("Deployment", ENVOY)["spec"]["template"]["spec"].clone()
}

fn has(list: &Value, item: &str) -> bool {
    list.as_array().is_some_and(|all| all.contains(&json!(item)))
}

fn mounts(container: &Value) -> Vec<&str> {
    container["volumeMounts"].as_array().into_iter().flatten().filter_map(|mount| mount["mountPath"].as_str()).collect()
}

#[test]
fn a_sidecar_shares_a_socket_and_the_values_of_envoy() {
    let (_server, kubectl) = cluster();
    let pod = pod(&kubectl, &[ON, STICKY, ("limits.maxRequestBytes", "1000000"), ("rateLimit.enabled", "true")]);
    let rls = &pod["initContainers"][0];
    // It starts before Envoy, and stops after it.
    assert_eq!((&rls["name"], &rls["restartPolicy"]), (&json!("mimir-rls"), &json!("Always")));
    for argument in [
        "--grpc-listen=unix:/run/mimir-rls/grpc.sock",
        "--http-listen=0.0.0.0:9090",
        "--limits=feed:http://overrides-sync:8083",
        "--limits-cache=/var/cache/mimir-rls/limits",
        "--edge-config=/etc/mimir-rls/edge.yaml",
        "--max-request-bytes=1000000",
        "--charge-samples-in=rate-limit",
    ] {
        assert!(has(&rls["args"], argument), "{argument}: {rls}");
    }
    assert_eq!(mounts(rls), ["/run/mimir-rls", "/etc/mimir-rls", "/var/cache/mimir-rls"]);
    assert!(mounts(&pod["containers"][0]).contains(&"/run/mimir-rls"), "{pod}");
    // The default of the chart mimir-rls for what this Envoy lets through.
    assert_eq!(rls["resources"]["limits"]["memory"], "968Mi");
    assert_eq!(pod["terminationGracePeriodSeconds"], 20 + 30 + 10);
    let default =
        rendered(ENVOY, &["--set=sidecar.enabled=true,sidecar.stickyFront=true,sidecar.mimir.defaultTenant=anonymous"]);
    assert!(default.contains("- \"--default-tenant=anonymous\"\n"), "{default}");
    let off = Objects::of(&kubectl, ENVOY, &[]);
    assert_eq!(off.one("Deployment", ENVOY)["spec"]["template"]["spec"]["initContainers"], Value::Null);
}

#[test]
fn a_sidecar_alone_may_read_the_configmap_and_the_token() {
    let (_server, kubectl) = cluster();
    let objects =
        Objects::of(&kubectl, ENVOY, &[ON, STICKY, KUBE, ("http.tokenSecret.name", "api"), ("tls.enabled", "true")]);
    let role = objects.one("Role", ENVOY);
    let rule = json!({ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mimir-runtime"], "verbs": ["get", "list", "watch"] });
    assert_eq!((&role["metadata"]["namespace"], &role["rules"]), (&json!("mimir"), &json!([rule])));
    let bound = &objects.one("RoleBinding", ENVOY)["subjects"][0];
    assert_eq!((&bound["name"], &bound["namespace"]), (&json!(ENVOY), &json!(NAMESPACE)));
    let pod = &objects.one("Deployment", ENVOY)["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let (rls, envoy) = (&pod["initContainers"][0], &pod["containers"][0]);
    for secret in ["/var/run/secrets/kubernetes.io/serviceaccount", "/etc/mimir-edge/token"] {
        assert!(mounts(rls).contains(&secret) && !mounts(envoy).contains(&secret), "{secret}: {pod}");
    }
    // The feed's client certificate; the socket needs none.
    assert!(!rls["args"].to_string().contains("grpc-tls"), "{rls}");
    let fed = rendered(ENVOY, &["--set=sidecar.enabled=true,sidecar.stickyFront=true,tls.enabled=true"]);
    assert!(fed.contains("--limits=feed:https://overrides-sync:8083\n"), "{fed}");
    assert!(fed.contains("--feed-tls-cert=/etc/mimir-edge/tls/tls.crt\n"), "{fed}");
    assert!(!fed.contains("transport_socket"), "{fed}");
    for (values, roles) in [(&[ON, STICKY][..], 0), (&[KUBE][..], 0)] {
        assert_eq!(Objects::of(&kubectl, ENVOY, values).of_kind("Role").len(), roles, "{values:?}");
    }
}

#[test]
fn metrics_of_both_containers_are_scraped() {
    let (_server, kubectl) = cluster();
    let values = [ON, STICKY, ("networkPolicy.httpFrom[0].ipBlock.cidr", "10.0.0.0/8"), ("sidecar.httpPort", "9099")];
    let objects = Objects::of(&kubectl, ENVOY, &values);
    // The sidecar's by number: Kubernetes does not look for names among the ports of init containers.
    let named = |name: &str| {
        let ports = objects.one("Service", "envoy-metrics")["spec"]["ports"].as_array().expect("there are ports");
        ports.iter().find(|port| port["name"] == name).expect("the port is there")["targetPort"].clone()
    };
    assert_eq!((named("metrics"), named("rls-http")), (json!("metrics"), json!(9099)));
    let open = &objects.one("NetworkPolicy", ENVOY)["spec"]["ingress"][1]["ports"];
    assert_eq!((&open[0]["port"], &open[1]["port"]), (&json!("metrics"), &json!(9099)));
    let rls = &objects.one("Deployment", ENVOY)["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(rls["ports"][0]["containerPort"], 9099);
    assert!(has(&rls["args"], "--http-listen=0.0.0.0:9099"), "{rls}");
    let monitor =
        rendered(ENVOY, &["--set=sidecar.enabled=true,sidecar.stickyFront=true,serviceMonitor.enabled=always"]);
    assert!(monitor.contains("relabelings: [{ targetLabel: job, replacement: mimir-rls }]"), "{monitor}");
    assert!(monitor.contains("relabelings: [{ targetLabel: job, replacement: envoy }]"), "{monitor}");
}

#[test]
fn a_pod_that_fails_open_is_ready_without_limits() {
    let (_server, kubectl) = cluster();
    for (allow, waits) in [("false", true), ("true", false)] {
        let pod = pod(&kubectl, &[ON, STICKY, ("extAuthz.failureModeAllow", allow)]);
        let rls = &pod["initContainers"][0];
        assert_eq!(rls["readinessProbe"]["httpGet"]["path"] == "/ready", waits, "{allow}: {rls}");
        assert_eq!(rls["readinessProbe"].is_null(), !waits, "{allow}: {rls}");
        assert_eq!(rls["livenessProbe"]["httpGet"]["path"], "/live", "{rls}");
    }
}

/// Limits for two pushes of two samples, and for none.
const OVERRIDES: &str = "
overrides:
  small: { ingestion_rate: 0.001, ingestion_burst_size: 4 }
  none: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
";

/// An Envoy of a pod, not yet started.
struct PodEnvoy {
    folder: PathBuf,
    objects: Objects,
    ports: [u16; 3],
}

impl PodEnvoy {
    /// What the chart renders with ports of the test's own.
    fn render(kubectl: &Kubectl, folder: PathBuf, mimir: u16, failure_mode_allow: &str) -> Self {
        let ports = [(); 3].map(|()| free_port());
        let [push, metrics, drain, mimir] = [ports[0], ports[1], ports[2], mimir].map(|port| port.to_string());
        let values = [
            ON,
            STICKY,
            KUBE,
            ("extAuthz.failureModeAllow", failure_mode_allow),
            ("mimir.host", "127.0.0.1"),
            ("mimir.port", &mimir),
            ("listeners.address", "127.0.0.1"),
            ("listeners.pushPort", &push),
            ("listeners.metricsPort", &metrics),
            ("listeners.probePort", "null"),
            ("listeners.drainPort", &drain),
            ("listeners.socketFolder", folder.to_str().expect("a path is text")),
        ];
        let objects = Objects::of(kubectl, ENVOY, &values);
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder, objects, ports }
    }

    fn pod(&self) -> &Value {
        &self.objects.one("Deployment", ENVOY)["spec"]["template"]["spec"]
    }

    /// Starts it with the sidecar's socket below `pod`.
    fn start(&self, pod: &Path) -> Process {
        let bootstrap =
            self.objects.one("ConfigMap", ENVOY)["data"]["envoy.yaml"].as_str().expect("there is a bootstrap");
        let shared = self.pod()["containers"][0]["volumeMounts"].as_array().into_iter().flatten();
        let shared =
            shared.filter(|mount| mount["name"] == "sidecar-socket").filter_map(|mount| mount["mountPath"].as_str());
        let here = shared
            .fold(bootstrap.to_owned(), |text, path| text.replace(path, &inside(pod, path).display().to_string()));
        let file = self.folder.join("envoy.yaml");
        fs::write(&file, here).expect("a file can be written");
        let mut command = Command::new(tool("envoy"));
        command.args(arguments(&self.pod()["containers"][0], &file.display().to_string()));
        let envoy = Process::start("envoy", &self.folder, &mut command);
        until("Envoy is ready", || status(self.ports[1], "/ready") == Some(200));
        envoy
    }

    /// The status and the edge's reason for a push of two samples.
    fn push(&self, tenant: &str) -> (u16, Option<String>) {
        let answer = send(self.ports[0], &push_request(tenant, &samples(2).bytes));
        (answer.status, answer.reason().map(Into::into))
    }
}

/// Two Envoys, one for each failure mode, on the socket of one sidecar.
#[test]
fn a_sidecar_and_its_envoy_run_as_their_chart_says() {
    let cluster = Cluster::start(OVERRIDES);
    cluster.server.namespace(NAMESPACE);
    let (kubectl, upstream) = (cluster.kubectl(), Upstream::start());
    let folder = cluster.server.folder().join("pod");
    let [closed, open] = [("closed", "false"), ("open", "true")]
        .map(|(name, allow)| PodEnvoy::render(&kubectl, folder.join(name), upstream.port(), allow));
    let sidecar = &closed.pod()["initContainers"][0];
    mount(&cluster.server, &folder, closed.pod(), sidecar, &closed.objects);
    let http_port = free_port();
    let mut command = command(&cluster.server, ADMIN, &folder, MIMIR_RLS, sidecar, http_port);
    let mut start = || {
        let rls = Process::start(MIMIR_RLS, &folder, &mut command);
        until("mimir-rls is ready", || status(http_port, "/ready") == Some(200));
        rls
    };
    let mut rls = start();
    let _envoys = [closed.start(&folder), open.start(&folder)];
    let limited = || (429, Some("ingestion_rate".to_owned()));
    let decided = || {
        assert_eq!((closed.push("small"), open.push("small")), ((200, None), (200, None)), "4 samples pass");
        assert_eq!((closed.push("small"), open.push("small")), (limited(), limited()));
    };
    decided();

    rls.kill();
    assert_eq!(closed.push("small"), (503, Some("not_checked".to_owned())));
    assert_eq!(open.push("small"), (200, None));
    rls = start();
    // Each of an Envoy's workers learns it by itself.
    until("both Envoys are back on the socket", || {
        (0..8).all(|_| [&closed, &open].iter().all(|envoy| envoy.push("none").0 == 429))
    });
    decided();

    rls.signal(Signal::TERM);
    assert!(rls.wait().success());
    assert_eq!(closed.push("small"), (503, Some("not_checked".to_owned())));
    assert_eq!(upstream.requests_of("small").len(), 2 + 1 + 2);
}
