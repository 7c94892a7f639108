//! Where limits come from. Every source fills one watch channel of [`LoadedLimits`], so that a server does not know which one it has.
//!
//! A source never takes good limits away: a document that cannot be used becomes a problem in the state, and the last good limits stay. The edge
//! configuration is watched the same way, and [`LimitsCache`] carries the last good limits over a restart.

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
pub use distributors::DistributorsSource;
pub use document_list::{DocumentList, DocumentListError};
pub use edge_config::{EdgeConfigFeed, EdgeConfigSource, LoadedEdgeConfig};
pub use feed::{Count, Freshness, LimitsFeed};
pub use feed_source::{Feed, FeedCounts, FeedSource, FeedTracker};
pub use file::FileSource;
pub use ha_tracker::{HaTrackerFeed, HaTrackerPolls, HaTrackerSource, HaTrackerState};
pub use kubernetes::{
    ConfigMapData, ConfigMapName, ConfigMapSelector, ConfigMapSource, ConfigMapSpec, KubeClient, KubeConfigError,
    ObjectNameError, ObjectNames, SelectedKeys, ServiceName, WatchCounts,
};
pub use limits_cache::LimitsCache;
pub use source::{Source, SourceError, SourceExtras, SourceSpec, SpecError};
pub use url::{FeedUrls, FeedUrlsError, HaTrackerUrl, MimirUrl, UrlError};
pub use watched::MAX_FILE_BYTES;
pub use web::{PageError, fetch_page};

pub use limits::LoadedLimits;
