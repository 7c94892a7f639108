//! Where limits come from. Every source fills one watch channel of [`ControlState`], so that a server does not know which one it has.
//!
//! A source never takes good limits away: a document that cannot be used becomes a problem in the state, and the last good limits stay. The edge
//! configuration is watched the same way, and [`LimitsCache`] carries the last good limits over a restart.

mod applied;
mod default_limits;
mod distributors;
mod document_list;
mod document_url;
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
mod mimir_pages;
mod mimir_url;
mod pace;
mod source;
mod spec;
mod stamp;
mod watched;
mod web;

pub use default_limits::{DefaultLimits, DefaultLimitsError, DefaultLimitsOptions, DefaultLimitsSource};
pub use distributors::DistributorsSource;
pub use document_list::{DocumentList, DocumentListError};
pub use document_url::DocumentUrlError;
pub use edge_config::{EdgeConfigFeed, EdgeConfigSource, EdgeControl};
pub use feed::{Freshness, LimitsFeed};
pub use feed_source::{Feed, FeedCounts, FeedSource, FeedTracker, FeedUrls, FeedUrlsError};
pub use file::FileSource;
pub use ha_tracker::{HaTrackerFeed, HaTrackerPolls, HaTrackerSource, HaTrackerState, HaTrackerUrl};
pub use kubernetes::{
    ConfigMapData, ConfigMapName, ConfigMapSelector, ConfigMapSource, ConfigMapSpec, KubeClient, KubeConfigError,
    ObjectNameError, ObjectNames, SelectedKeys, ServiceName, WatchCounts,
};
pub use limits_cache::LimitsCache;
pub use mimir_pages::{PageError, fetch_page};
pub use mimir_url::{MimirUrl, MimirUrlError};
pub use source::{Beside, Source, SourceError};
pub use spec::{SourceSpec, SpecError};
pub use watched::MAX_FILE_BYTES;

pub use limits::ControlState;
