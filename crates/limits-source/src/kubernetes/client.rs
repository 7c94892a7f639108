//! The connection to the Kubernetes API, and how its credentials are read again.

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

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take to begin. That of a watch begins when the watch does, and ends when it ends.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The most requests of one client in a second. A watch that something on the way ends as soon as it begins is begun again at once, by kube's watcher.
const REQUESTS_PER_SECOND: u64 = 20;

/// Credentials are not read again more often: several sources can find them refused at once.
const LEAST_BETWEEN_READINGS: Duration = Duration::from_millis(150);

/// A client of the Kubernetes API that can be made anew for all who hold it.
#[derive(Clone)]
pub struct KubeClient {
    shared: Arc<Shared>,
}

struct Shared {
    /// The kubeconfig that says where the API is; `None` where the environment says it.
    kubeconfig: Option<PathBuf>,
    client: RwLock<kube::Client>,
    read_at: Mutex<Instant>,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum KubeConfigError {
    /// Neither a kubeconfig nor a cluster around this process.
    #[error(
        "no Kubernetes API to ask: set KUBECONFIG to a kubeconfig file that exists, or run in a pod with a service account's token: {0}"
    )]
    NotFound(String),
    /// A kubeconfig that cannot be read, or names something that cannot be used, for example a certificate.
    #[error(
        "the configuration of the Kubernetes API cannot be used: {0}; mend the kubeconfig, or the file that it names"
    )]
    Unusable(String),
}

impl KubeClient {
    /// A client as the environment says: the file that `KUBECONFIG` names, else `~/.kube/config`, else the pod's service account. Nothing is asked yet.
    ///
    /// # Errors
    /// None of them is there, or what is there cannot be used.
    pub async fn infer() -> Result<Self, KubeConfigError> {
        Self::new(None).await
    }

    /// A client as this kubeconfig says, whatever the environment says. Nothing is asked yet.
    ///
    /// # Errors
    /// It cannot be read, or what it names cannot be used.
    pub async fn from_kubeconfig(path: &Path) -> Result<Self, KubeConfigError> {
        Self::new(Some(path.to_owned())).await
    }

    async fn new(kubeconfig: Option<PathBuf>) -> Result<Self, KubeConfigError> {
        let client = RwLock::new(connect(kubeconfig.as_deref()).await?);
        let shared = Shared { kubeconfig, client, read_at: Mutex::new(Instant::now()) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The client as it is now. One that is held longer does not see credentials that are read later.
    #[must_use]
    pub fn current(&self) -> kube::Client {
        self.shared.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads configuration and credentials again, as it is due after an answer 401; what several ask for at once is done once.
    ///
    /// # Errors
    /// They cannot be read now. The client stays as it is.
    pub async fn renew(&self) -> Result<(), KubeConfigError> {
        let mut read_at = self.shared.read_at.lock().await;
        if read_at.elapsed() < LEAST_BETWEEN_READINGS {
            return Ok(());
        }
        *read_at = Instant::now();
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
    config.write_timeout = Some(ANSWER_TIMEOUT);
    // A retry of the client's own would hide a failure for longer than ours wait.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(|error| KubeConfigError::Unusable(error.to_string()))?;
    let paced = builder.with_layer(&RateLimitLayer::new(REQUESTS_PER_SECOND, Duration::from_secs(1)));
    Ok(paced.with_layer(&TimeoutLayer::new(ANSWER_TIMEOUT)).build())
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
        let error = KubeClient::from_kubeconfig(&path).await.unwrap_err().to_string();
        assert!(error.contains("mend the kubeconfig"), "{error}");
        std::fs::write(&path, "clusters: [").unwrap();
        assert!(KubeClient::from_kubeconfig(&path).await.is_err());
    }
}
