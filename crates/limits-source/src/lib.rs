//! The sources of limits. Every source publishes to a watch channel of [`LoadedLimits`], so that a server treats all sources alike.
//!
//! A source never removes good limits: a bad document becomes a problem in the state, and the last good limits stay. The edge
//! configuration is watched the same way, and [`LimitsCache`] keeps the last good limits for a restart.

mod default_limits;
mod distributors;
mod document_list;
mod edge_config;
mod feed;
mod feed_source;
mod fetched;
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::feed_source::FeedClient;
}
mod ha_tracker;
mod kubernetes;
mod limits_cache;
mod retry;
mod source;
mod url;
mod watched;
mod web;

pub use default_limits::{DefaultLimits, DefaultLimitsError, DefaultLimitsOptions, DefaultLimitsSource};
pub use distributors::count_distributors;
pub use document_list::{DocumentList, DocumentListError};
pub use edge_config::{EdgeConfigSource, LoadedEdgeConfig};
pub use feed::{Count, Freshness, LimitsFeed};
pub use feed_source::{
    Feed, FeedCounts, FeedTlsError, FeedTlsFiles, Identity, Located, LocatedField, Locator, client_tls, follow_feed,
    tls_trusting,
};
pub use file::FileSource;
pub use ha_tracker::{HaTrackerFeed, HaTrackerPolls, HaTrackerState, poll_ha_tracker};
pub use kubernetes::{
    ConfigMapData, ConfigMapFeed, ConfigMapSelector, ConfigMapSpec, KubeClient, KubeConfigError, LastReadName,
    NamespacedName, ObjectNameError, SelectedKeys, WatchCounts, watch_configmap,
};
pub use limits_cache::{LimitsCache, LoadedCache};
pub use source::{DistributorService, LimitsArgs, Source, SourceError, SourceExtras, SourceSpec, SpecError};
pub use url::{FeedUrls, FeedUrlsError, HttpUrlError, MimirUrl, UrlError, parse_http_url};
pub use watched::{MAX_FILE_BYTES, read_file};
pub use web::{Bounds, PageError, WebClient, WebError, fetch_page, system_tls};

pub use limits::LoadedLimits;
pub use tokio_rustls::rustls::ClientConfig;
