//! The steps of ops/ingress: an API server accepts them in their order, and each has the annotations or weights of its step.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::Path;

use e2e::{ADMIN, KubeApiServer, Kubectl, repository, tool};
use serde_json::{Value, json};

const STEPS: &str = "ops/ingress";
const ANNOTATION: &str = "nginx.ingress.kubernetes.io/";

fn step(folder: &str, name: &str) -> String {
    fs::read_to_string(repository().join(STEPS).join(folder).join(name)).expect("a step is a file")
}

fn server() -> (KubeApiServer, Kubectl) {
    let server = KubeApiServer::start(&[]);
    let kubectl = Kubectl::new(&server, ADMIN);
    for namespace in ["mimir", "mimir-edge-enforcement"] {
        kubectl.ok(&["create", "namespace", namespace]);
    }
    (server, kubectl)
}

/// One object as the API server has it.
fn object(kubectl: &Kubectl, kind: &str, namespace: &str, name: &str) -> Value {
    let text = kubectl.ok(&["get", kind, name, "--namespace", namespace, "--output", "json"]);
    serde_json::from_str(&text).expect("kubectl prints JSON")
}

/// The annotations of a push's two Ingresses that a step is about.
fn annotations(kubectl: &Kubectl) -> Value {
    let of = |namespace: &str, name: &str, wanted: &[&str]| -> Value {
        let ingress = object(kubectl, "ingress", namespace, name);
        let found = wanted.iter().filter_map(|key| {
            let value = ingress["metadata"]["annotations"].get(format!("{ANNOTATION}{key}"))?;
            Some(((*key).to_owned(), value.clone()))
        });
        Value::Object(found.collect())
    };
    let mirror = ["mirror-target", "mirror-host", "mirror-request-body"];
    let canary = [
        "canary",
        "canary-weight",
        "canary-by-header",
        "canary-by-header-pattern",
        "canary-by-header-value",
        "upstream-hash-by",
    ];
    json!([of("mimir", "mimir-push", &mirror), of("mimir-edge-enforcement", "mimir-push-edge", &canary)])
}

#[test]
fn an_api_server_accepts_each_step_of_ingress_nginx() {
    let (_server, kubectl) = server();
    let nothing = json!({});
    let mirror = json!({
        "mirror-target": "http://mimir-envoy.mimir-edge-enforcement.svc.cluster.local:8080/$request_uri",
        "mirror-host": "mimir.example.com",
        "mirror-request-body": "on",
    });
    let share = |percent: &str| json!({ "canary": "true", "canary-weight": percent });
    let listed = |share: Value, more: Value| {
        let all = [share, more].into_iter().filter_map(|part| part.as_object().cloned()).flatten();
        Value::Object(all.collect())
    };
    let always = json!({ "canary-by-header": "X-Scope-OrgID", "canary-by-header-pattern": "^(canary-team)([|:].*)?$" });
    let by_header = json!({ "canary-by-header": "X-Mimir-Edge-Canary" });
    let steps = [
        ("direct.yaml", &nothing, share("0")),
        ("mirror.yaml", &mirror, share("0")),
        ("direct.yaml", &nothing, share("0")),
        ("canary.yaml", &nothing, listed(share("1"), always)),
        ("canary-by-header.yaml", &nothing, listed(share("1"), by_header)),
        ("full.yaml", &nothing, share("100")),
        ("full-sticky.yaml", &nothing, listed(share("100"), json!({ "upstream-hash-by": "$mimir_tenant" }))),
        ("direct.yaml", &nothing, share("0")),
    ];
    for (name, push, edge) in steps {
        let applied = kubectl.apply(&step("ingress-nginx", name));
        assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{name}");
        assert_eq!(annotations(&kubectl), json!([push, edge]), "{name}");
    }
    assert_eq!(of_no_snippet("ingress-nginx"), 6);
    let pushes = object(&kubectl, "ingress", "mimir", "mimir-push");
    let path = &pushes["spec"]["rules"][0]["http"]["paths"][0];
    assert_eq!(path["pathType"], "Exact");
    assert_eq!(path["backend"]["service"]["name"], "mimir-gateway", "what clients push to today");
}

/// EndpointSlices of Envoy's Service: two ready pods, and one that is not.
const ENDPOINTS: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: mimir-envoy-1
  namespace: mimir-edge-enforcement
  labels: { kubernetes.io/service-name: mimir-envoy }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints:
- { addresses: [10.0.0.3], conditions: { ready: true } }
- { addresses: [10.0.0.9], conditions: { ready: false } }
- { addresses: [10.0.0.2], conditions: { ready: true } }
";

#[test]
fn the_command_for_sticky_pods_lists_those_that_are_ready() {
    let (_server, kubectl) = server();
    assert_eq!(kubectl.apply(ENDPOINTS).stderr, "");
    let list = fs::read_to_string(repository().join("ops/nginx/mimir-edge/envoy-pods.conf")).expect("a list is a file");
    let (_, command) = list.split_once("#   kubectl ").expect("the list has its command");
    let (command, _) = command.split_once(" > /etc/nginx/").expect("the command writes the list");
    let line = |address: &str| format!("server {address}:8080 max_fails=1 fail_timeout=10s;\n");
    assert_eq!(kubectl.shell(&format!("kubectl {command}")).ok(), line("10.0.0.2") + &line("10.0.0.3"));
    let service =
        fs::read_to_string(repository().join("ops/haproxy/mimir-envoy-pods.yaml")).expect("a Service is a file");
    assert_eq!(kubectl.apply(&service).stderr, "");
    let service = object(&kubectl, "service", "mimir-edge-enforcement", "mimir-envoy-pods");
    assert_eq!(service["spec"]["clusterIP"], "None");
}

/// Files of a folder, none of which has a snippet.
fn of_no_snippet(folder: &str) -> usize {
    let files = fs::read_dir(repository().join(STEPS).join(folder)).expect("a folder can be listed");
    let texts =
        files.map(|file| fs::read_to_string(file.expect("a folder can be listed").path()).expect("a step is text"));
    let has_snippet = |text: &String| text.lines().any(|line| !line.starts_with('#') && line.contains("-snippet"));
    let without = texts.filter(|text| !has_snippet(text));
    without.count()
}

/// The share of a route's pushes that goes to each Service, by the rule that all tenants have who are not named.
fn weights(route: &Value) -> Value {
    let rules = route["spec"]["rules"].as_array().expect("a route has rules");
    let is_for_all = |rule: &&Value| {
        let matches = &rule["matches"][0];
        matches["path"]["value"] == "/api/v1/push" && matches["headers"].is_null()
    };
    let rule = rules.iter().find(is_for_all).expect("a route has a rule for pushes");
    let backends = rule["backendRefs"].as_array().expect("a rule has backends");
    Value::Object(
        backends.iter().map(|to| (to["name"].as_str().unwrap_or_default().to_owned(), to["weight"].clone())).collect(),
    )
}

#[test]
fn an_api_server_accepts_each_step_of_gateway_api() {
    let (_server, kubectl) = server();
    let definitions = tool("gateway-api");
    let definitions = definitions.parent().and_then(Path::to_str).expect("an installed file is in a folder");
    kubectl.ok(&["create", "--filename", definitions]);
    kubectl.ok(&["wait", "--for=condition=Established", "--timeout=25s", "--all", "customresourcedefinitions"]);
    let steps = [
        ("direct.yaml", json!({ "mimir-gateway": 1 })),
        ("mirror.yaml", json!({ "mimir-gateway": 1 })),
        ("canary.yaml", json!({ "mimir-envoy": 1, "mimir-gateway": 99 })),
        ("full.yaml", json!({ "mimir-envoy": 1 })),
        ("direct.yaml", json!({ "mimir-gateway": 1 })),
    ];
    for (name, expected) in steps {
        let applied = kubectl.apply(&step("gateway-api", name));
        assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{name}");
        let route = object(&kubectl, "httproute", "mimir", "mimir");
        assert_eq!(weights(&route), expected, "{name}");
        let mirrors =
            serde_json::to_string(&route["spec"]).expect("a route is JSON").matches("\"requestMirror\":").count();
        assert_eq!(mirrors, usize::from(name == "mirror.yaml"), "{name}");
    }
    // The schema is the real one, and rejects a mistake.
    let wrong = step("gateway-api", "mirror.yaml").replace("type: RequestMirror", "type: RequestMirrors");
    let rejected = kubectl.apply(&wrong);
    assert!(rejected.stderr.contains("Unsupported value: \"RequestMirrors\""), "{}", rejected.stderr);
}
