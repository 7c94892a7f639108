//! The charts, on the real API server, with the real binaries and with promtool.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod alerts;
mod container;
mod custom_resources;
mod envoy;
mod manifests;
mod objects;
mod programs;
mod schema;

use std::path::PathBuf;

use e2e::{ADMIN, KubeApiServer, Kubectl, repository};

/// A name of a value and what it is set to.
type Set<'a> = (&'a str, &'a str);

const MIMIR_RLS: &str = "mimir-rls";
const OVERRIDES_SYNC: &str = "overrides-sync";
const ENVOY: &str = "envoy";
/// Where releases are installed, as in the rollout guide.
const NAMESPACE: &str = "mimir-edge-enforcement";

fn chart(name: &str) -> PathBuf {
    repository().join("charts").join(name)
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
