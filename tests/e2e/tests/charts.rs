//! The charts, on the real API server, with the real binaries and with promtool.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod alerts;
mod clusters;
mod container;
mod custom_resources;
mod envoy;
mod gitops;
mod manifests;
mod objects;
mod policies;
mod programs;
mod schema;
mod sidecar;
mod tls;

use std::path::PathBuf;

use e2e::{ADMIN, KubeApiServer, Kubectl, helm, repository};

/// A name of a value and what it is set to.
type Set<'a> = (&'a str, &'a str);

const MIMIR_RLS: &str = "mimir-rls";
const OVERRIDES_SYNC: &str = "overrides-sync";
const ENVOY: &str = "envoy";
const CHARTS: [&str; 3] = [MIMIR_RLS, OVERRIDES_SYNC, ENVOY];
/// Where releases are installed, as in the rollout guide.
const NAMESPACE: &str = "mimir-edge-enforcement";

fn chart(name: &str) -> PathBuf {
    repository().join("charts").join(name)
}

/// The manifests of a release that is called as its chart, with these arguments of helm's.
#[track_caller]
fn rendered(name: &str, arguments: &[&str]) -> String {
    let chart = chart(name);
    let path = chart.to_str().expect("a path is text");
    helm(&[&["template", name, path, "--namespace", NAMESPACE], arguments].concat()).ok()
}

/// An API server with the namespaces of Mimir and of the releases, which warns about every pod that is not restricted.
fn cluster() -> (KubeApiServer, Kubectl) {
    let server = KubeApiServer::start(&[]);
    server.namespace("mimir");
    server.namespace(NAMESPACE);
    let kubectl = Kubectl::new(&server, ADMIN);
    kubectl.ok(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/warn=restricted"]);
    (server, kubectl)
}
