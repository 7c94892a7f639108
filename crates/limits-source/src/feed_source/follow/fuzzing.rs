//! A client of the feed that is handed messages instead of a stream, for fuzz targets.

use std::sync::Arc;

use limits::{LimitsState, Snapshot, TenantLimits};
use proto::edge::limits::v1::WatchResponse;

use super::super::held::Held;
use super::super::outlets::Outlets;
use super::super::servers::Servers;
use super::super::url::{FeedUrls, FeedUrlsError};
use super::{Follower, Heard};
use crate::Freshness;

/// What a client has taken over so far.
#[derive(Debug)]
pub struct FeedClient {
    follower: Follower,
    heard: Heard,
}

impl FeedClient {
    /// A client without limits, on its first stream.
    ///
    /// # Errors
    /// None: these are URLs, of which nobody is asked.
    pub fn new() -> Result<Self, FeedUrlsError> {
        let urls: FeedUrls = "http://localhost:1".parse()?;
        let state = LimitsState::new(TenantLimits::default(), false);
        let outlets = Outlets::new(None, Freshness::default());
        let follower = Follower::new(Servers::new(urls), Held::new(state), outlets);
        Ok(Self { follower, heard: Heard::nothing() })
    }

    /// What is still to come of the stream does not come; another one begins.
    pub fn begin_stream(&mut self) {
        self.heard = Heard::nothing();
    }

    /// Takes a message over.
    ///
    /// # Errors
    /// Why it is not taken.
    pub async fn take(&mut self, message: WatchResponse) -> Result<(), String> {
        self.follower.take(message, &mut self.heard).await.map_err(|refusal| refusal.to_string())
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Option<Arc<Snapshot>> {
        self.follower.held.limits()
    }

    /// Whether no part of a change is there whose others are to come.
    #[must_use]
    pub fn is_between_changes(&self) -> bool {
        !self.heard.changes.is_under_way()
    }
}
