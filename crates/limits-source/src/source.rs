//! The source of limits that `--limits` names, and the flags around it.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use limits::{LimitsState, MimirVersion};
use tasks::Tasks;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::url::{DocumentUrl, UrlError};
use crate::{
    ConfigMapSpec, Count, DefaultLimitsOptions, DocumentList, DocumentListError, Feed, FeedTlsError, FeedTlsFiles,
    FeedUrls, FeedUrlsError, FileSource, Freshness, KubeClient, KubeConfigError, LastReadName, LimitsCache, LimitsFeed,
    NamespacedName, ObjectNameError, WatchCounts, count_distributors, follow_feed, watch_configmap,
};

/// Flags that are the same for every server with limits.
#[derive(Args, Clone, Debug)]
pub struct LimitsArgs {
    /// Default limits.
    #[command(flatten)]
    pub default_limits: DefaultLimitsOptions,

    /// The version of your Mimir, such as 3.1. All fields of 3.1 are known, and a document with another field is rejected as Mimir rejects it; for
    /// any other version such a field is ignored with a problem
    #[arg(long, value_name = "X.Y", default_value_t = MimirVersion::KNOWN)]
    pub mimir_version: MimirVersion,

    /// Where the last good limits and the last number of distributors are kept, for a restart while their source is unavailable
    #[arg(long, value_name = "FILE")]
    pub limits_cache: Option<PathBuf>,

    /// Apply a limits document that suddenly names no tenant at all, instead of keeping the last good limits
    #[arg(long)]
    pub allow_empty_overrides: bool,

    /// A distributor of Mimir that is polled every 5 seconds for the replicas that its HA tracker has elected, such as
    /// http://mimir-distributor:8080; without a path, /distributor/ha_tracker [default: none]
    #[arg(long, value_name = "URL")]
    pub ha_tracker_url: Option<String>,
}

/// The value of `--limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// `file:PATH[,PATH…]`, each a path or a URL, or `http://…` and `https://…` alone: documents that are watched for changes, and
    /// merged from left to right.
    Files(DocumentList),
    /// `kube:NAMESPACE/CONFIGMAP[/KEY,KEY…]` or `kube:NAMESPACE/LABEL=VALUE[/KEY,KEY…]`: a ConfigMap that is watched for changes.
    Kube(ConfigMapSpec),
    /// `feed:URL[,URL…]`: the feed of overrides-sync.
    Feed(FeedUrls),
}

/// Why a value of `--limits` is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// There is no `KIND:` at the start, or it is unknown.
    #[error(
        "{0:?} is no source; write file:PATH[,PATH…], http://HOST/PATH, kube:NAMESPACE/CONFIGMAP or feed:URL, for example file:/etc/mimir/runtime.yaml"
    )]
    UnknownKind(String),
    /// What follows `file:` is no list of documents.
    #[error(
        "write a list of documents, such as file:/etc/mimir/runtime.yaml,/etc/mimir/teams.yaml or http://config.mimir:8080/runtime.yaml: {0}"
    )]
    Documents(#[from] DocumentListError),
    /// What follows `kube:` names no ConfigMap.
    #[error("kube: needs a ConfigMap, for example kube:mimir/mimir-runtime: {0}")]
    ConfigMap(#[from] ObjectNameError),
    /// What follows `feed:` is no list of URLs.
    #[error("feed: needs the URL of an overrides-sync, for example feed:http://overrides-sync:8083: {0}")]
    Feed(#[from] FeedUrlsError),
}

impl SourceSpec {
    /// The files that are watched, if there are any.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let documents = match self {
            Self::Files(documents) => Some(documents),
            Self::Kube(_) | Self::Feed(_) => None,
        };
        documents.into_iter().flat_map(DocumentList::files)
    }

    /// The certificate that a feed with https is shown, if there is one.
    #[must_use]
    pub fn feed_certificate(&self) -> Option<&Path> {
        match self {
            Self::Feed(urls) => urls.tls().certificate(),
            Self::Files(_) | Self::Kube(_) => None,
        }
    }

    /// Uses these files for a feed with https.
    ///
    /// # Errors
    /// They cannot be used, or there are some and nothing to use them for.
    pub fn use_feed_tls(&mut self, files: FeedTlsFiles) -> Result<(), FeedTlsError> {
        match self {
            Self::Feed(urls) => urls.use_tls(files),
            Self::Files(_) | Self::Kube(_) => match files.files().next() {
                Some((flag, _)) => Err(FeedTlsError::NoHttps(flag)),
                None => Ok(()),
            },
        }
    }
}

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| SpecError::UnknownKind(text.to_owned()))?;
        match kind {
            "file" => Ok(Self::Files(rest.parse()?)),
            "http" | "https" if rest.starts_with("//") => Ok(Self::Files(text.parse()?)),
            "http" | "https" => Err(DocumentListError::Url(UrlError::NoHttpUrl(DocumentUrl::EXAMPLE)).into()),
            "kube" => Ok(Self::Kube(rest.parse()?)),
            "feed" => Ok(Self::Feed(rest.parse()?)),
            other => Err(SpecError::UnknownKind(other.to_owned())),
        }
    }
}

/// A running source.
#[derive(Debug)]
pub struct Source {
    /// The limits.
    pub limits: LimitsFeed,
    /// The number of Mimir's distributors: that of the feed, or of a Service whose endpoints are counted; the cached one at first. `None` while there is none.
    pub distributors: watch::Receiver<Option<NonZeroU32>>,
    /// What this kind of source has besides limits.
    pub extras: SourceExtras,
    /// How often the cache could not be read or written.
    pub cache_faults: Arc<Count>,
    /// Ends after the last write of the cache.
    pub cache: Option<JoinHandle<()>>,
}

/// What a kind of source has besides limits.
#[derive(Clone, Debug)]
pub enum SourceExtras {
    /// Nothing: files and URLs.
    None,
    /// A watched ConfigMap.
    ConfigMap {
        /// Counts of its watch.
        counts: Arc<WatchCounts>,
        /// The name of the object that was last read.
        last_read: LastReadName,
    },
    /// The feed of overrides-sync.
    Feed(Box<Feed>),
}

impl SourceExtras {
    /// The number of distributors, of a kind of source that has one.
    fn distributors(&self) -> Option<watch::Receiver<Option<NonZeroU32>>> {
        match self {
            Self::Feed(feed) => Some(feed.distributors.clone()),
            Self::None | Self::ConfigMap { .. } => None,
        }
    }
}

/// A Service whose ready endpoints are Mimir's distributors, and the client that watches them.
#[derive(Debug)]
pub struct DistributorService {
    /// The client of the Kubernetes API.
    pub client: KubeClient,
    /// The name of the Service.
    pub name: NamespacedName,
}

/// Why a source cannot be started.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is no client for the Kubernetes API.
    #[error(transparent)]
    Kube(#[from] KubeConfigError),
    /// One of the URLs is https, and this system has no root certificates.
    #[error(transparent)]
    Certificates(io::Error),
}

impl SourceSpec {
    /// Starts the source, waits some seconds for its first limits, and writes its limits to `cache` until `tasks` are stopped, with the number of
    /// distributors. `kube` is the client that watches a ConfigMap; without it, one is made. `distributors` is counted also where the limits are no
    /// ConfigMap.
    ///
    /// # Errors
    /// A ConfigMap is to be watched, and there is no client for the Kubernetes API; or a URL is https, and there are no root certificates.
    pub async fn start(
        self,
        mut state: LimitsState,
        cache: Option<PathBuf>,
        kube: Option<KubeClient>,
        distributors: Option<DistributorService>,
        tasks: &Tasks,
    ) -> Result<Source, SourceError> {
        let cache = cache.map(LimitsCache::new);
        let cache_faults = cache.as_ref().map(LimitsCache::faults).unwrap_or_default();
        let loaded = cache.as_ref().and_then(|cache| cache.load(&mut state));
        let freshness = loaded.map(|loaded| Freshness::confirmed_ago(loaded.age)).unwrap_or_default();
        let last_count = loaded.and_then(|loaded| loaded.distributors);
        let counted =
            distributors.map(|DistributorService { client, name }| count_distributors(client, name, last_count, tasks));
        let (limits, extras) = self.run(state, freshness, last_count, kube, tasks).await?;
        let distributors = counted.or_else(|| extras.distributors()).unwrap_or_else(|| watch::channel(None).1);
        let cache = cache.map(|cache| {
            let kept = cache.keep(limits.clone(), distributors.clone(), tasks.stop().clone());
            tasks.spawn_finishing("limits cache", kept)
        });
        Ok(Source { limits, distributors, extras, cache_faults, cache })
    }

    async fn run(
        self,
        state: LimitsState,
        freshness: Freshness,
        last_count: Option<NonZeroU32>,
        kube: Option<KubeClient>,
        tasks: &Tasks,
    ) -> Result<(LimitsFeed, SourceExtras), SourceError> {
        Ok(match self {
            Self::Files(documents) => {
                let source = FileSource::new(documents, state, freshness).map_err(SourceError::Certificates)?;
                (source.start(tasks).await, SourceExtras::None)
            }
            Self::Kube(spec) => {
                let client = match kube {
                    Some(client) => client,
                    None => KubeClient::new(None).await?,
                };
                let feed = watch_configmap(client, spec, state, freshness, tasks).await;
                (feed.limits, SourceExtras::ConfigMap { counts: feed.counts, last_read: feed.last_read })
            }
            Self::Feed(urls) => {
                let feed = follow_feed(urls, state, freshness, last_count, tasks).await;
                (feed.limits.clone(), SourceExtras::Feed(Box::new(feed)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_spelling() {
        for files in ["/a/b.yaml", "with:colon.yaml", "a.yaml,b.yaml"] {
            assert_eq!(format!("file:{files}").parse(), Ok(SourceSpec::Files(files.parse().expect("files"))));
        }
        let url = "http://config/runtime.yaml";
        assert_eq!(url.parse(), Ok(SourceSpec::Files(url.parse().expect("a URL"))));
        assert_eq!(
            format!("file:a.yaml,{url}").parse(),
            Ok(SourceSpec::Files(format!("a.yaml,{url}").parse().expect("both")))
        );
        let no_url = DocumentListError::Url(UrlError::NoHttpUrl(DocumentUrl::EXAMPLE));
        assert_eq!("https:config".parse::<SourceSpec>(), Err(SpecError::Documents(no_url)));
        assert_eq!("file:".parse::<SourceSpec>(), Err(SpecError::Documents(DocumentListError::NoPath)));
        for map in ["mimir/mimir-runtime", "mimir/mimir-runtime/a.yaml,b.yaml", "mimir/app.kubernetes.io/name=a/b.yaml"]
        {
            assert_eq!(format!("kube:{map}").parse(), Ok(SourceSpec::Kube(map.parse().expect("a ConfigMap"))));
        }
        let no_slash = ObjectNameError::NoSlash("mimir-runtime".into());
        assert_eq!("kube:mimir-runtime".parse::<SourceSpec>(), Err(SpecError::ConfigMap(no_slash)));
        let urls = "http://a:1,http://b:2".parse().expect("URLs");
        assert_eq!("feed:http://a:1,http://b:2".parse(), Ok(SourceSpec::Feed(urls)));
        assert_eq!("feed:".parse::<SourceSpec>(), Err(SpecError::Feed(FeedUrlsError::NoHttpUrl)));
        assert_eq!("limits.yaml".parse::<SourceSpec>(), Err(SpecError::UnknownKind("limits.yaml".into())));
        assert_eq!("etcd:x".parse::<SourceSpec>(), Err(SpecError::UnknownKind("etcd".into())));
    }
}
