//! The feed source: limits, elections and the count of distributors as overrides-sync serves them, from whichever of its servers answers.
//!
//! Nothing that happens here takes limits away: without a server the last good ones hold, and their age tells.

mod counts;
mod follow;
mod gather;
mod held;
mod outlets;
mod servers;
mod stream;
mod url;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use limits::LimitsState;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Freshness, HaTrackerFeed, LimitsFeed};
pub use counts::FeedCounts;
#[cfg(feature = "fuzzing")]
pub use follow::FeedClient;
use follow::Follower;
use held::Held;
use outlets::Outlets;
use servers::Servers;
pub use url::{FeedUrls, FeedUrlsError};

/// How long the start waits for the first limits.
const FIRST_LIMITS: Duration = Duration::from_secs(5);
/// How long it waits where there are limits already.
const FIRST_LIMITS_AFTER_RESTORED: Duration = Duration::from_secs(1);

/// Follows the feed of overrides-sync.
#[derive(Debug)]
pub struct FeedSource {
    urls: FeedUrls,
    state: LimitsState,
    freshness: Freshness,
}

/// What the feed gives.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The limits. Their freshness is the server's own plus the time since it was told, from when the message was read here.
    pub limits: LimitsFeed,
    /// Whom Mimir has elected.
    pub ha_tracker: FeedTracker,
    /// Ready distributors of Mimir, as counted last; `None` until a server has counted any. A server that counts none takes no count away.
    pub distributors: watch::Receiver<Option<NonZeroU32>>,
    /// How the feed goes.
    pub counts: Arc<FeedCounts>,
}

/// Mimir's HA tracker, as the servers of the feed ask it.
#[derive(Clone, Debug)]
pub struct FeedTracker {
    /// The lists, as if this process had polled them. Its polls stay 0, and its freshness is by the clocks of both machines.
    pub feed: HaTrackerFeed,
    /// Whether the server asks a tracker; `None` until one was heard.
    pub is_asked: watch::Receiver<Option<bool>>,
}

impl FeedSource {
    /// A source that has asked nothing yet. Limits that `state` has already are published at once, and hold until a server gives others.
    #[must_use]
    pub fn new(urls: FeedUrls, state: LimitsState) -> Self {
        Self { urls, state, freshness: Freshness::default() }
    }

    /// Says how old the limits are that the state was made with: [`crate::LimitsCache::load`] tells.
    #[must_use]
    pub fn restored(self, age: Duration) -> Self {
        Self { freshness: Freshness::confirmed_ago(age), ..self }
    }

    /// Asks the servers for limits, which this waits for up to 5 seconds (1 where there are limits already), and follows them until `stop` is
    /// cancelled.
    pub async fn start(self, stop: CancellationToken) -> Feed {
        let Self { urls, state, freshness } = self;
        let first_limits = if state.current().is_some() { FIRST_LIMITS_AFTER_RESTORED } else { FIRST_LIMITS };
        let outlets = Outlets::new(state.current(), freshness);
        let mut feed = outlets.feed();
        let shown = urls.to_string();
        let follower = Follower::new(Servers::new(urls), Held::new(state), outlets);
        tokio::spawn(stop.run_until_cancelled_owned(follower.follow()));
        if timeout(first_limits, feed.limits.states.changed()).await.is_err() {
            tracing::warn!(urls = shown, "the feed gave no limits within {first_limits:?}; still trying");
        }
        feed
    }
}
