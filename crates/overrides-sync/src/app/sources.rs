//! Where limits and elections come from, as the command line says.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use limits::LimitsState;
use limits_source::{FileSource, HaTrackerFeed, HaTrackerSource, HaTrackerUrl, LimitsCache, LimitsFeed, SourceSpec};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The limits of a source, and those of the cache until the source has given any.
pub(super) struct Limits {
    pub(super) feed: LimitsFeed,
    /// How often the cache could not be read or written.
    pub(super) cache_faults: Arc<AtomicU64>,
    /// Ends when a write of the cache that has begun is done.
    pub(super) cache: Option<JoinHandle<()>>,
}

pub(super) async fn limits(
    spec: SourceSpec,
    mut state: LimitsState,
    cache: Option<PathBuf>,
    stop: CancellationToken,
) -> Limits {
    let cache = cache.map(LimitsCache::new);
    let cache_faults = cache.as_ref().map(LimitsCache::faults).unwrap_or_default();
    let restored = cache.as_ref().and_then(|cache| cache.load(&mut state));
    let feed = match spec {
        SourceSpec::File(path) => {
            let source = FileSource::new(path, state);
            let source = if let Some(age) = restored { source.restored(age) } else { source };
            source.start(stop.clone()).await
        }
    };
    let cache = cache.map(|cache| tokio::spawn(cache.keep(feed.clone(), stop)));
    Limits { feed, cache_faults, cache }
}

/// What Mimir's HA tracker says, where there is one to ask. Nothing waits for its first answer.
pub(super) fn ha_tracker(url: Option<HaTrackerUrl>, stop: CancellationToken) -> anyhow::Result<Option<HaTrackerFeed>> {
    let source = url.map(HaTrackerSource::new).transpose().context("--ha-tracker-url")?;
    Ok(source.map(|source| source.start(stop)))
}
