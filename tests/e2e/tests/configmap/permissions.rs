//! A token with only the rights that the source needs, and what the source reports without them.

use std::fs;
use std::time::{Duration, Instant};

use e2e::{ADMIN, Cluster, KubeApiServer, Token, until};
use limits::{LimitsState, TenantLimits};
use serde_json::json;

use super::{Watched, rates};

const SOON: Duration = Duration::from_secs(5);
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/mimir/rolebindings";

fn account(secret: &str) -> Token {
    Token::service_account(secret, "mimir", "overrides-sync")
}

/// Lets the account read this one ConfigMap.
fn make_role(cluster: &Cluster) {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "reads-overrides" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mimir-runtime"], "verbs": ["get", "list", "watch"] }],
    });
    let answer = cluster.server.api(ADMIN).post("/apis/rbac.authorization.k8s.io/v1/namespaces/mimir/roles", &role);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn bind_role(cluster: &Cluster) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "reads-overrides" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads-overrides" },
        "subjects": [{ "kind": "ServiceAccount", "name": "overrides-sync", "namespace": "mimir" }],
    });
    let answer = cluster.server.api(ADMIN).post(BINDINGS, &binding);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn unbind_role(cluster: &Cluster) {
    assert_eq!(cluster.server.api(ADMIN).delete(&format!("{BINDINGS}/reads-overrides")).status, 200);
}

#[test]
fn a_missing_role_is_named_and_an_expired_watch_relists() {
    // Without a watch cache etcd itself rejects a watch from before a compaction.
    let server = KubeApiServer::start_with(&[account("token")], &["--watch-cache=false"]);
    let mut cluster = Cluster::of(server, &rates(&[("team", 1)]));
    make_role(&cluster);
    bind_role(&cluster);
    let kubeconfig = cluster.server.kubeconfig("token");
    let mut watched = Watched::with(&kubeconfig, LimitsState::new(TenantLimits::default(), false), Duration::ZERO);
    assert!(
        watched.wait_for_rate("team", 2, cluster.put(&rates(&[("team", 2)]))) < SOON,
        "get, list and watch by name are enough"
    );
    assert_eq!(watched.counts.restarts.get(), 0);

    unbind_role(&cluster);
    cluster.server.kill();
    cluster.server.restart();
    for verb in ["get", "watch"] {
        let missing =
            format!("add {verb} on configmaps with resourceNames [mimir-runtime] to a Role in namespace mimir");
        until("the missing right is named", || watched.reports(&missing));
    }
    cluster.put(&rates(&[("team", 3)]));
    cluster.put(&rates(&[("team", 4)]));
    cluster.server.compact();
    assert_eq!(watched.rate("team"), Some(2.0));
    bind_role(&cluster);
    assert!(watched.wait_for_rate("team", 4, Instant::now()) < SOON);
    for rate in 5..10 {
        assert!(
            watched.wait_for_rate("team", rate, cluster.put(&rates(&[("team", rate)]))) < SOON,
            "a watch is there again"
        );
    }
    until("nothing is wrong any more", || watched.problems().is_empty());
}

#[test]
fn an_expired_token_is_read_again_from_its_file() {
    let server = KubeApiServer::start(&[account("first")]);
    let mut cluster = Cluster::of(server, &rates(&[("team", 1)]));
    make_role(&cluster);
    bind_role(&cluster);
    let token = cluster.server.folder().join("token");
    fs::write(&token, "first").expect("a file");
    let kubeconfig = cluster.server.kubeconfig_with_token_file(&token);
    let mut watched = Watched::with(&kubeconfig, LimitsState::new(TenantLimits::default(), false), Duration::ZERO);
    assert_eq!(watched.rate("team"), Some(1.0));

    cluster.server.kill();
    cluster.server.restart_with(&[account("second")]);
    until("the rejected token is a problem", || watched.reports("the API server rejects the credentials (401)"));
    assert!(watched.counts.rejected_credentials.get() > 0);
    assert_eq!(watched.rate("team"), Some(1.0));
    cluster.put(&rates(&[("team", 2)]));
    fs::write(&token, "second").expect("a file");
    let since = Instant::now();
    assert!(
        watched.wait_for_rate("team", 2, since) < SOON,
        "long before the client of its own would read the file again"
    );
    assert!(watched.wait_for_rate("team", 3, cluster.put(&rates(&[("team", 3)]))) < SOON);
    until("nothing is wrong any more", || watched.problems().is_empty());
}
