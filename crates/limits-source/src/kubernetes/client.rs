//! The client of the Kubernetes API, and how its credentials are reloaded.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kube::Config;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::limit::RateLimitLayer;
use tower::timeout::TimeoutLayer;

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a response may take to begin. The response of a watch begins with the watch, and lasts as long.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most requests per second: kube's watcher restarts a watch at once, even if a proxy ends each as soon as it begins.
const REQUESTS_PER_SECOND: u64 = 20;

/// The shortest time between two reloads of the credentials: several sources can see them rejected at once.
const SHORTEST_BETWEEN_RELOADS: Duration = Duration::from_millis(150);

/// A client of the Kubernetes API whose credentials can be reloaded. Clones share it.
#[derive(Clone)]
pub struct KubeClient {
    shared: Arc<Shared>,
}

struct Shared {
    /// The path of the kubeconfig; `None` to infer it from the environment.
    kubeconfig: Option<PathBuf>,
    client: RwLock<kube::Client>,
    reloaded_at: Mutex<Instant>,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum KubeConfigError {
    /// There is no kubeconfig, and this is no pod.
    #[error(
        "no Kubernetes API is configured: set KUBECONFIG to a kubeconfig file that exists, or run in a pod with a service account's token: {0}"
    )]
    NotFound(String),
    /// The kubeconfig, or a file that it names such as a certificate, is invalid.
    #[error("the configuration of the Kubernetes API is invalid: {0}; fix the kubeconfig, or the file that it names")]
    Unusable(String),
}

impl KubeClient {
    /// A client from this kubeconfig. Without one, from the environment: the file that `KUBECONFIG` names, else `~/.kube/config`, else the pod's service
    /// account. Makes no request yet.
    ///
    /// # Errors
    /// None of them exists, or the one that exists is invalid.
    pub async fn new(kubeconfig: Option<PathBuf>) -> Result<Self, KubeConfigError> {
        let client = RwLock::new(connect(kubeconfig.as_deref()).await?);
        let shared = Shared { kubeconfig, client, reloaded_at: Mutex::new(Instant::now()) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The current client, which does not get credentials that are reloaded later.
    #[must_use]
    pub fn current(&self) -> kube::Client {
        self.shared.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reloads configuration and credentials, as is due after a 401. Concurrent calls reload once.
    ///
    /// # Errors
    /// They cannot be read. The client stays as it is.
    pub async fn renew(&self) -> Result<(), KubeConfigError> {
        let mut reloaded_at = self.shared.reloaded_at.lock().await;
        if reloaded_at.elapsed() < SHORTEST_BETWEEN_RELOADS {
            return Ok(());
        }
        *reloaded_at = Instant::now();
        let client = connect(self.shared.kubeconfig.as_deref()).await?;
        *self.shared.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }
}

impl std::fmt::Debug for KubeClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KubeClient").finish_non_exhaustive()
    }
}

async fn connect(kubeconfig: Option<&Path>) -> Result<kube::Client, KubeConfigError> {
    let mut config = match kubeconfig {
        Some(path) => read(path).await.map_err(|error| KubeConfigError::Unusable(error.to_string()))?,
        None => Config::infer().await.map_err(not_inferred)?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(RESPONSE_TIMEOUT);
    // A retry inside the client would hide failures for longer than our timeouts.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(|error| KubeConfigError::Unusable(error.to_string()))?;
    let paced = builder.with_layer(&RateLimitLayer::new(REQUESTS_PER_SECOND, Duration::from_secs(1)));
    Ok(paced.with_layer(&TimeoutLayer::new(RESPONSE_TIMEOUT)).build())
}

async fn read(path: &Path) -> Result<Config, KubeconfigError> {
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await
}

fn not_inferred(error: InferConfigError) -> KubeConfigError {
    if std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty()) {
        let kubeconfig = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        return KubeConfigError::Unusable(kubeconfig);
    }
    KubeConfigError::NotFound(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_used_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let error = KubeClient::new(Some(path.clone())).await.unwrap_err().to_string();
        assert!(error.contains("fix the kubeconfig"), "{error}");
        std::fs::write(&path, "clusters: [").unwrap();
        assert!(KubeClient::new(Some(path.clone())).await.is_err());
    }
}
