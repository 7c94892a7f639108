//! What other tests rely on: a real API server of their own, with kubectl and helm.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;

use e2e::{ADMIN, KubeApiServer, Kubectl, Token, helm_template, until};
use serde_json::{Value, json};
use tempfile::tempdir;

const CONFIG_MAPS: &str = "/api/v1/namespaces/mimir/configmaps";
const LIMITS: &str = "/api/v1/namespaces/mimir/configmaps/limits";
const READER: &str = "reader-token";

#[test]
fn a_configmap_key_has_no_colon() {
    let server = with_limits(&[]);
    let kubectl = Kubectl::new(&server, ADMIN);
    let patch = |data: &str| {
        kubectl.shell(&format!("kubectl patch configmap limits --namespace mimir --type merge --patch '{data}'"))
    };
    let rejected = patch(r#"{"data":{"tenant-1:samples_per_second":"1000"}}"#);
    assert_eq!(rejected.status, Some(1));
    let text = "The ConfigMap \"limits\" is invalid: data[tenant-1:samples_per_second]: Invalid value: \
                \"tenant-1:samples_per_second\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    assert!(rejected.stderr.contains(text), "{}", rejected.stderr);
    assert_eq!(patch(r#"{"data":{"tenant-1.samples_per_second":"1000"}}"#).ok(), "configmap/limits patched\n");
}

#[test]
fn a_token_may_do_only_what_its_role_allows() {
    let server = with_limits(&[Token::service_account(READER, "mimir", "reader")]);
    let mut reader = server.api(READER);
    let rejected = reader.get(LIMITS);
    assert_eq!(rejected.status, 403, "{}", rejected.text());
    let user = r#"User \"system:serviceaccount:mimir:reader\" cannot get resource \"configmaps\""#;
    assert!(rejected.text().contains(user), "{}", rejected.text());
    assert_eq!(server.api("unknown").get(LIMITS).status, 401);

    let applied = Kubectl::new(&server, ADMIN).apply(ROLE).ok();
    assert!(applied.contains("role.rbac.authorization.k8s.io/reader created"), "{applied}");
    until("the role holds", || reader.get(LIMITS).status == 200);
    assert_eq!(reader.get(CONFIG_MAPS).status, 403);
    assert_eq!(reader.delete(LIMITS).status, 403);
}

#[test]
fn a_restart_keeps_data_and_changes_tokens() {
    let mut server = with_limits(&[Token::new(READER, "reader", &["system:masters"])]);
    let token_file = server.folder().join("token");
    fs::write(&token_file, READER).expect("a file can be written");
    let kubeconfig = server.kubeconfig_with_token_file(&token_file);
    let line =
        format!("kubectl --kubeconfig {} get configmap limits --namespace mimir --output name", kubeconfig.display());
    let kubectl = Kubectl::new(&server, ADMIN);
    assert_eq!(kubectl.shell(&line).ok(), "configmap/limits\n");

    server.kill();
    assert!(!server.ready());
    server.restart_with(&[Token::new("newer-token", "reader", &["system:masters"])]);
    let rejected = kubectl.shell(&line);
    assert!(rejected.stderr.contains("You must be logged in to the server"), "{}", rejected.stderr);
    fs::write(&token_file, "newer-token").expect("a file can be written");
    assert_eq!(kubectl.shell(&line).ok(), "configmap/limits\n");
    assert_eq!(server.api(ADMIN).get(LIMITS).json()["data"]["tenant-1.samples_per_second"], "1");
}

#[test]
fn a_restart_expires_watches_and_a_compaction_expires_lists() {
    let mut server = with_limits(&[]);
    let old = version(&server.api(ADMIN).get(LIMITS).json());
    let watch = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={old}");
    let list = format!("{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={old}");
    for rate in 2..5 {
        let patched =
            server.api(ADMIN).patch(LIMITS, &json!({ "data": { "tenant-1.samples_per_second": rate.to_string() } }));
        assert_eq!(patched.status, 200, "{}", patched.text());
    }
    let events = server.api(ADMIN).get(&watch);
    assert_eq!(events.text().matches(r#""type":"MODIFIED""#).count(), 3, "{}", events.text());
    assert!(server.compact() > old, "nothing was to be forgotten");
    let events = server.api(ADMIN).get(&watch);
    assert_eq!(
        events.text().matches(r#""type":"MODIFIED""#).count(),
        3,
        "the watch cache knows them: {}",
        events.text()
    );

    server.restart();
    let expired = server.api(ADMIN).get(&watch);
    assert!(expired.text().contains(r#""reason":"Expired","code":410"#), "{}", expired.text());
    let expired = server.api(ADMIN).get(&list);
    assert_eq!(expired.status, 410, "{}", expired.text());
}

#[test]
fn without_a_watch_cache_a_compaction_alone_expires_a_watch() {
    let server = KubeApiServer::start_with(&[], &["--watch-cache=false"]);
    with_limits_in(&server);
    let mut api = server.api(ADMIN);
    let old = version(&api.get(LIMITS).json());
    assert_eq!(api.patch(LIMITS, &json!({ "data": { "team.request_rate": "1" } })).status, 200);
    server.compact();
    let expired = api.get(&format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={old}"));
    assert!(expired.text().contains(r#""reason":"Expired","code":410"#), "{}", expired.text());
}

#[test]
fn a_frozen_server_answers_only_after_it_resumes() {
    let server = with_limits(&[]);
    let mut api = server.api(ADMIN);
    server.freeze();
    let rejected = Kubectl::new(&server, ADMIN).shell("kubectl --request-timeout=1s get configmaps --namespace mimir");
    assert_eq!(rejected.status, Some(1), "{}", rejected.stdout);
    server.resume();
    assert_eq!(api.get(LIMITS).status, 200);
}

#[test]
fn a_chart_renders() {
    let folder = tempdir().expect("a folder can be made");
    fs::create_dir(folder.path().join("templates")).expect("a folder can be made");
    fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: limits\nversion: 0.1.0\n")
        .expect("a file can be written");
    let template = "kind: {{ .Values.kind }} # {{ .Release.Name }} in {{ .Release.Namespace }}\n";
    fs::write(folder.path().join("templates/one.yaml"), template).expect("a file can be written");
    let rendered = helm_template(folder.path(), "edge", "mimir", &[("kind", "Role")]);
    assert!(rendered.contains("kind: Role # edge in mimir"), "{rendered}");
}

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: mimir }
rules: [{ apiGroups: [''], resources: [configmaps], resourceNames: [limits], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader, namespace: mimir }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [{ kind: ServiceAccount, name: reader, namespace: mimir }]
";

fn with_limits(tokens: &[Token]) -> KubeApiServer {
    let server = KubeApiServer::start(tokens);
    with_limits_in(&server);
    server
}

fn with_limits_in(server: &KubeApiServer) {
    server.namespace("mimir");
    let limits = json!({ "metadata": { "name": "limits" }, "data": { "tenant-1.samples_per_second": "1" } });
    let created = server.api(ADMIN).post(CONFIG_MAPS, &limits);
    assert_eq!(created.status, 201, "{}", created.text());
}

fn version(object: &Value) -> u64 {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    version.expect("an object has a version").parse().expect("a version is a number")
}
