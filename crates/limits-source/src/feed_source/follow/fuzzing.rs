//! A client of the feed that is handed messages instead of a stream, for fuzz targets.

use std::sync::Arc;

use limits::{LimitsState, Snapshot, TenantLimits};
use proto::edge::limits::v1::WatchResponse;

use super::super::FeedPublisher;
use super::super::applied::AppliedLimits;
use super::super::servers::Servers;
use super::{Follower, StreamState};
use crate::{FeedUrls, FeedUrlsError, Freshness};

/// What a client has taken over so far.
#[derive(Debug)]
pub struct FeedClient {
    follower: Follower,
    state: StreamState,
}

impl FeedClient {
    /// A client without limits, on its first stream.
    ///
    /// # Errors
    /// Never: nothing is requested from these URLs.
    pub fn new() -> Result<Self, FeedUrlsError> {
        let urls: FeedUrls = "http://localhost:1".parse()?;
        let state = LimitsState::new(TenantLimits::default(), false);
        let publisher = FeedPublisher::new(None, Freshness::default(), None);
        let follower = Follower::new(Servers::new(urls), AppliedLimits::new(state), publisher);
        Ok(Self { follower, state: StreamState::new() })
    }

    /// What is still to come of the stream does not come; another one begins.
    pub fn begin_stream(&mut self) {
        self.state = StreamState::new();
    }

    /// Takes a message over.
    ///
    /// # Errors
    /// Why it is rejected.
    pub async fn take(&mut self, message: WatchResponse) -> Result<(), String> {
        self.follower.take(message, &mut self.state).await.map_err(|rejection| rejection.to_string())
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Option<Arc<Snapshot>> {
        self.follower.applied.limits()
    }

    /// Whether no part of a change is there whose others are to come.
    #[must_use]
    pub fn is_between_changes(&self) -> bool {
        !self.state.changes.is_under_way()
    }
}
