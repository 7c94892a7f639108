//! Limits from wherever the operator says, and from the cache until that has given any.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use limits::LimitsState;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    ConfigMapSource, Feed, FeedSource, FileSource, KubeClient, KubeConfigError, LimitsCache, LimitsFeed, ObjectNames,
    SourceSpec, WatchCounts,
};

/// A source that runs.
#[derive(Debug)]
pub struct Source {
    /// The limits.
    pub limits: LimitsFeed,
    /// What its kind has besides limits.
    pub extras: SourceExtras,
    /// How often the cache could not be read or written.
    pub cache_faults: Arc<AtomicU64>,
    /// Ends when a write of the cache that has begun is done.
    pub cache: Option<JoinHandle<()>>,
}

/// What a kind of source has besides limits.
#[derive(Clone, Debug)]
pub enum SourceExtras {
    /// A file has nothing.
    None,
    /// A watched ConfigMap.
    ConfigMap {
        /// What happened to its watch.
        counts: Arc<WatchCounts>,
        /// The name of the object that was last read.
        names: ObjectNames,
    },
    /// The feed of overrides-sync.
    Feed(Box<Feed>),
}

/// Why a source cannot be started.
#[derive(Debug, Error)]
pub enum SourceError {
    /// No way to a cluster.
    #[error(transparent)]
    Kube(#[from] KubeConfigError),
    /// No root certificates, and one of the URLs is https.
    #[error(transparent)]
    Certificates(io::Error),
}

impl SourceSpec {
    /// Starts the source, which this waits a few seconds for, and keeps its limits in `cache` until `stop` is cancelled. A ConfigMap is watched
    /// through `kube`, or through a client of its own.
    ///
    /// # Errors
    /// There is a ConfigMap to watch, and no way to a cluster is known; or one of the URLs is https, and there are no root certificates.
    pub async fn start(
        self,
        mut state: LimitsState,
        cache: Option<PathBuf>,
        kube: Option<KubeClient>,
        stop: CancellationToken,
    ) -> Result<Source, SourceError> {
        let cache = cache.map(LimitsCache::new);
        let cache_faults = cache.as_ref().map(LimitsCache::faults).unwrap_or_default();
        let restored = cache.as_ref().and_then(|cache| cache.load(&mut state));
        let (limits, extras) = self.run(state, restored, kube, stop.clone()).await?;
        let cache = cache.map(|cache| tokio::spawn(cache.keep(limits.clone(), stop)));
        Ok(Source { limits, extras, cache_faults, cache })
    }

    async fn run(
        self,
        state: LimitsState,
        restored: Option<Duration>,
        kube: Option<KubeClient>,
        stop: CancellationToken,
    ) -> Result<(LimitsFeed, SourceExtras), SourceError> {
        Ok(match self {
            Self::Files(documents) => {
                let source = FileSource::new(documents, state).map_err(SourceError::Certificates)?;
                let source = if let Some(age) = restored { source.restored(age) } else { source };
                (source.start(stop).await, SourceExtras::None)
            }
            Self::Kube(name) => {
                let client = match kube {
                    Some(client) => client,
                    None => KubeClient::infer().await?,
                };
                let source = ConfigMapSource::new(client, name, state);
                let source = if let Some(age) = restored { source.restored(age) } else { source };
                let (counts, names) = (source.counts(), source.names());
                (source.start(stop).await, SourceExtras::ConfigMap { counts, names })
            }
            Self::Feed(urls) => {
                let source = FeedSource::new(urls, state);
                let source = if let Some(age) = restored { source.restored(age) } else { source };
                let feed = source.start(stop).await;
                (feed.limits.clone(), SourceExtras::Feed(Box::new(feed)))
            }
        })
    }
}
