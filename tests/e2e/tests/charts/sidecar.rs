//! mimir-rls as a container of Envoy's pod.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use e2e::{Kubectl, MimirRls, WatchedFile, free_port, push_request, samples, send, until};
use serde_json::{Value, json};

use super::envoy::start;
use super::objects::Objects;
use super::{ENVOY, NAMESPACE, Set, cluster, rendered};

const ON: Set<'_> = ("sidecar.enabled", "true");
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
    let pod = pod(&kubectl, &[ON, ("limits.maxRequestBytes", "1000000"), ("rateLimit.enabled", "true")]);
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
    let default = rendered(ENVOY, &["--set=sidecar.enabled=true,sidecar.mimir.defaultTenant=anonymous"]);
    assert!(default.contains("- \"--default-tenant=anonymous\"\n"), "{default}");
    let off = Objects::of(&kubectl, ENVOY, &[]);
    assert_eq!(off.one("Deployment", ENVOY)["spec"]["template"]["spec"]["initContainers"], Value::Null);
}

#[test]
fn a_sidecar_alone_may_read_the_configmap_and_the_token() {
    let (_server, kubectl) = cluster();
    let objects = Objects::of(&kubectl, ENVOY, &[ON, KUBE, ("http.tokenSecret.name", "api"), ("tls.enabled", "true")]);
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
    let fed = rendered(ENVOY, &["--set=sidecar.enabled=true,tls.enabled=true"]);
    assert!(fed.contains("--limits=feed:https://overrides-sync:8083\n"), "{fed}");
    assert!(fed.contains("--feed-tls-cert=/etc/mimir-edge/tls/tls.crt\n"), "{fed}");
    assert!(!fed.contains("transport_socket"), "{fed}");
    for (values, roles) in [(&[ON][..], 0), (&[KUBE][..], 0)] {
        assert_eq!(Objects::of(&kubectl, ENVOY, values).of_kind("Role").len(), roles, "{values:?}");
    }
}

#[test]
fn metrics_of_both_containers_are_scraped() {
    let (_server, kubectl) = cluster();
    let objects = Objects::of(&kubectl, ENVOY, &[ON, ("networkPolicy.httpFrom[0].ipBlock.cidr", "10.0.0.0/8")]);
    let ports = objects.one("Service", "envoy-metrics")["spec"]["ports"].to_string();
    assert!(ports.contains(r#""targetPort":"metrics""#) && ports.contains(r#""targetPort":"rls-http""#), "{ports}");
    let open = objects.one("NetworkPolicy", ENVOY)["spec"]["ingress"][1]["ports"].to_string();
    assert!(open.contains(r#""port":"metrics""#) && open.contains(r#""port":"rls-http""#), "{open}");
    let monitor = rendered(ENVOY, &["--set=sidecar.enabled=true,serviceMonitor.enabled=always"]);
    assert!(monitor.contains("relabelings: [{ targetLabel: job, replacement: mimir-rls }]"), "{monitor}");
    assert!(monitor.contains("relabelings: [{ targetLabel: job, replacement: envoy }]"), "{monitor}");
}

/// Carries connections to a unix socket on to a port.
fn forward(listener: UnixListener, port: u16) {
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            carry(&client, &server);
        }
    });
}

fn carry(client: &UnixStream, server: &TcpStream) {
    let clone = || io::Result::Ok((client.try_clone()?, server.try_clone()?));
    let (Ok((mut from, mut to)), Ok((mut back, mut answers))) = (clone(), clone()) else { return };
    thread::spawn(move || io::copy(&mut from, &mut to));
    thread::spawn(move || io::copy(&mut answers, &mut back));
}

#[test]
fn envoy_asks_a_sidecar_through_its_socket() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::of("overrides: { small: { ingestion_rate: 1, ingestion_burst_size: 1 } }");
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    let socket = UnixListener::bind(folder.path().join("grpc.sock")).expect("a socket can be made");
    forward(socket, rls.grpc_port());
    let ports @ [push, ..] = [(); 3].map(|()| free_port());
    let sockets = folder.path().display();
    let values = format!("sidecar.enabled=true,sidecar.socketFolder={sockets},mode=mirror,listeners.address=127.0.0.1");
    let _envoy = start(folder.path(), &values, ports);
    let pushed = |tenant: &str| send(push, &push_request(tenant, &samples(2).bytes));
    until("Envoy listens", || TcpStream::connect(("127.0.0.1", push)).is_ok());
    until("a push is allowed", || pushed("large").status == 200);
    assert_eq!(pushed("small").status, 429);
}
