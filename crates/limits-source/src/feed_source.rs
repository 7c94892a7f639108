//! The feed source: limits, elections and the count of distributors as overrides-sync serves them, from the first of its servers that answers.
//!
//! Nothing that happens here takes limits away: without a server the last good ones hold, and only grow older.

mod applied;
mod follow;
mod parts;
mod servers;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use limits::{Code, LimitsState, LoadedLimits, MAX_PROBLEMS, Problem, Severity, Snapshot};
use proto::edge::limits::v1::{Problem as FeedProblem, Severity as FeedSeverity};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Count, FeedUrls, Freshness, HaTrackerFeed, HaTrackerState, LimitsFeed};
use applied::AppliedLimits;
use parts::ElectedList;

#[cfg(feature = "fuzzing")]
pub use follow::FeedClient;
use follow::Follower;
use servers::Servers;

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
    /// The limits. Their freshness is what the server last sent, plus the time since then.
    pub limits: LimitsFeed,
    /// The replicas that Mimir has elected.
    pub ha_tracker: FeedTracker,
    /// Ready distributors of Mimir, as counted last; `None` until a server has counted any. A server that counts none takes no count away.
    pub distributors: watch::Receiver<Option<NonZeroU32>>,
    /// What happened to the feed.
    pub counts: Arc<FeedCounts>,
}

/// Mimir's HA tracker, as the servers of the feed ask it.
#[derive(Clone, Debug)]
pub struct FeedTracker {
    /// The lists, as if this process had polled them. Its polls stay 0, and its freshness is by the clocks of both machines.
    pub feed: HaTrackerFeed,
    /// Whether the server polls a tracker; `None` before the first heartbeat.
    pub is_asked: watch::Receiver<Option<bool>>,
}

/// What happened to the feed since the start.
#[derive(Debug, Default)]
pub struct FeedCounts {
    /// Streams on which a server sent something.
    pub connects: Count,
    /// Names that could not be resolved, and servers that could not be reached, refused the stream, or sent nothing in time.
    pub failed_connects: Count,
    /// Streams that broke, went silent, or gave no limits in time; not those that a server ended in order or whose update was rejected.
    pub streams_lost: Count,
    /// Updates that replaced everything.
    pub snapshots_taken: Count,
    /// Updates with what changed, also where nothing did.
    pub deltas_taken: Count,
    /// Updates rejected because the limits in force are of a newer revision.
    pub refused_older: Count,
    /// Updates, and lists of elected replicas, rejected because they could not be decoded or do not add up to what their server has.
    pub refused_unreadable: Count,
    connected: AtomicBool,
}

impl FeedCounts {
    /// Whether there is a stream now.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }
}

impl FeedSource {
    /// A source that does not run yet. Limits that `state` has already are published at once, and hold until a server gives others.
    #[must_use]
    pub fn new(urls: FeedUrls, state: LimitsState) -> Self {
        Self { urls, state, freshness: Freshness::default() }
    }

    /// Says how old the limits are that the state was made with: [`crate::LimitsCache::load`] tells.
    #[must_use]
    pub fn restored(self, age: Duration) -> Self {
        Self { freshness: Freshness::confirmed_ago(age), ..self }
    }

    /// Requests limits from the servers, which this waits for up to 5 seconds (1 where there are limits already), and follows them until `stop` is
    /// cancelled.
    pub async fn start(self, stop: CancellationToken) -> Feed {
        let Self { urls, state, freshness } = self;
        let first_limits = if state.current().is_some() { FIRST_LIMITS_AFTER_RESTORED } else { FIRST_LIMITS };
        let publisher = FeedPublisher::new(state.current(), freshness);
        let mut feed = publisher.feed();
        let servers = urls.to_string();
        let follower = Follower::new(Servers::new(urls), AppliedLimits::new(state), publisher);
        tokio::spawn(stop.run_until_cancelled_owned(follower.follow()));
        if timeout(first_limits, feed.limits.states.changed()).await.is_err() {
            tracing::warn!(urls = servers, "the feed gave no limits within {first_limits:?}; still trying");
        }
        feed
    }
}

/// The sending ends of a [`Feed`].
#[derive(Debug)]
struct FeedPublisher {
    states: watch::Sender<LoadedLimits>,
    freshness: Freshness,
    elected: watch::Sender<HaTrackerState>,
    elected_freshness: Freshness,
    has_tracker: watch::Sender<Option<bool>>,
    distributors: watch::Sender<Option<NonZeroU32>>,
    counts: Arc<FeedCounts>,
}

impl FeedPublisher {
    fn new(limits: Option<Arc<Snapshot>>, freshness: Freshness) -> Self {
        Self {
            states: watch::Sender::new(LoadedLimits { limits, ..LoadedLimits::default() }),
            freshness,
            elected: watch::Sender::default(),
            elected_freshness: Freshness::default(),
            has_tracker: watch::Sender::default(),
            distributors: watch::Sender::default(),
            counts: Arc::default(),
        }
    }

    fn feed(&self) -> Feed {
        let lists = HaTrackerFeed {
            states: self.elected.subscribe(),
            freshness: self.elected_freshness.clone(),
            polls: Arc::default(),
        };
        Feed {
            limits: LimitsFeed { states: self.states.subscribe(), freshness: self.freshness.clone() },
            ha_tracker: FeedTracker { feed: lists, is_asked: self.has_tracker.subscribe() },
            distributors: self.distributors.subscribe(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Publishes the limits that are now in force.
    fn publish_limits(&self, applied: &AppliedLimits) {
        self.states.send_modify(|state| (state.limits, state.origin) = (applied.limits(), applied.origin()));
    }

    /// Publishes the problems that there are now, if they have changed.
    fn publish_problems(&self, problems: Vec<FeedProblem>) {
        let problems: Arc<[_]> = problems.into_iter().take(MAX_PROBLEMS).map(problem).collect();
        self.states.send_if_modified(|state| {
            let changed = state.problems != problems;
            state.problems = problems;
            changed
        });
    }

    /// What the server knows of Mimir. A count of 0 is none, and the last one holds.
    fn publish_mimir(&self, distributors: u32, has_tracker: bool) {
        if let Some(count) = NonZeroU32::new(distributors) {
            self.distributors.send_if_modified(|published| published.replace(count) != Some(count));
        }
        self.has_tracker.send_if_modified(|published| published.replace(has_tracker) != Some(has_tracker));
    }

    /// Publishes a list of elected replicas. The first one of a stream may be known, or older than one from another server.
    fn publish_elected(&self, list: ElectedList, is_first: bool) {
        let ElectedList { asked_at, age, elected } = list;
        // The clocks of two machines differ: only a server that does not say how old its list is, is judged by them.
        let age = age.unwrap_or_else(|| since(asked_at));
        let asked = Instant::now().checked_sub(age);
        let is_known = {
            let published = self.elected.borrow();
            published.elected.is_some() && (published.asked_at == asked_at || published.asked >= asked)
        };
        if is_first && is_known {
            return;
        }
        self.elected_freshness.confirm_as_of(age);
        self.elected.send_replace(HaTrackerState { elected: Some(elected.into()), asked_at, asked });
    }
}

/// Time since then, which is in milliseconds since 1970; none where that is to come.
fn since(millis: i64) -> Duration {
    let then = UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(millis).unwrap_or_default()));
    then.and_then(|then| SystemTime::now().duration_since(then).ok()).unwrap_or_default()
}

fn problem(problem: FeedProblem) -> Problem {
    let severity = match problem.severity() {
        FeedSeverity::Ignored => Severity::Ignored,
        FeedSeverity::Kept => Severity::Kept,
        FeedSeverity::Shadowed => Severity::Shadowed,
        FeedSeverity::Rejected => Severity::Rejected,
    };
    let FeedProblem { document, tenant, field, line, message, code, mimir, .. } = problem;
    // A newer server may know kinds that are not known here.
    let code = Code::from_id(&code).unwrap_or(Code::Other);
    Problem { code, document, tenant, field, line, severity, message, mimir }
}
