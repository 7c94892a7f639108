//! A Kubernetes cluster as far as limits go: an API server with Mimir's overrides in a ConfigMap.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kube_apiserver::{ADMIN, KubeApiServer};
use crate::kubectl::Kubectl;
use crate::overrides_sync::OverridesSync;

/// The path of the ConfigMap that a [`Cluster`] has.
pub const CONFIG_MAP: &str = "/api/v1/namespaces/mimir/configmaps/mimir-runtime";

/// An API server with the namespace `mimir`, in which the ConfigMap `mimir-runtime` holds the overrides under `runtime.yaml`, as the Helm chart
/// of Mimir has it.
#[derive(Debug)]
pub struct Cluster {
    /// The API server.
    pub server: KubeApiServer,
}

impl Cluster {
    /// Starts one with this runtime config in the ConfigMap.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(runtime_config: &str) -> Self {
        Self::of(KubeApiServer::start(&[]), runtime_config)
    }

    /// The same on an API server that runs already.
    ///
    /// # Panics
    /// When the ConfigMap cannot be made.
    #[must_use]
    #[track_caller]
    pub fn of(server: KubeApiServer, runtime_config: &str) -> Self {
        server.namespace("mimir");
        let cluster = Self { server };
        cluster.create(runtime_config);
        cluster
    }

    /// Makes the ConfigMap.
    ///
    /// # Panics
    /// When it is there already.
    #[track_caller]
    pub fn create(&self, runtime_config: &str) {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mimir-runtime" }, "data": { "runtime.yaml": runtime_config }
        });
        let answer = self.server.api(ADMIN).post("/api/v1/namespaces/mimir/configmaps", &object);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Changes the runtime config, and gives when the API server had answered.
    ///
    /// # Panics
    /// When it is rejected.
    #[track_caller]
    pub fn put(&self, runtime_config: &str) -> Instant {
        self.patch(&json!({ "data": { "runtime.yaml": runtime_config } }))
    }

    /// Changes the ConfigMap by a merge patch, and gives when the API server had answered.
    ///
    /// # Panics
    /// When it is rejected.
    #[track_caller]
    pub fn patch(&self, change: &Value) -> Instant {
        let answer = self.server.api(ADMIN).patch(CONFIG_MAP, change);
        let answered = Instant::now();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answered
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.server, ADMIN)
    }

    /// Starts an overrides-sync that watches the ConfigMap as the administrator, and waits until it is ready; its files are in a folder of this
    /// name.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn sync(&self, name: &str, arguments: &[&str]) -> OverridesSync {
        let folder: PathBuf = self.server.folder().join(name);
        let sync = OverridesSync::start(&folder, &self.server.kubeconfig(ADMIN), "kube:mimir/mimir-runtime", arguments);
        sync.wait_until_ready();
        sync
    }
}
