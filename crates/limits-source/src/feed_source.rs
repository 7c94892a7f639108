//! Limits, elections and the number of distributors from the feed of overrides-sync: from the first of its servers that answers.
//!
//! Without a server, the last good limits stay in force and grow older.

mod applied;
mod follow;
mod locator;
mod parts;
mod servers;
mod tls;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use limits::{Code, LimitsState, LoadedLimits, MAX_PROBLEMS, Problem, Severity, Snapshot};
use proto::edge::limits::v1::{Problem as FeedProblem, Severity as FeedSeverity};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::{Count, FeedUrls, Freshness, HaTrackerFeed, HaTrackerState, LimitsFeed};
use applied::AppliedLimits;
use parts::ElectedList;

#[cfg(feature = "fuzzing")]
pub use follow::FeedClient;
use follow::Follower;
pub use locator::{Located, LocatedField, Locator};
use servers::Servers;
pub use tls::{FeedTlsError, FeedTlsFiles, Identity, client_tls, tls_trusting};

/// How long the start waits for the first limits.
const FIRST_LIMITS: Duration = Duration::from_secs(5);
/// How long it waits if there are limits already.
const FIRST_LIMITS_AFTER_RESTORED: Duration = Duration::from_secs(1);

/// The output of the feed.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The limits. Their freshness is what the server last sent, plus the time since then.
    pub limits: LimitsFeed,
    /// The replicas that Mimir has elected, as if this process had polled its HA tracker; `polls` stay 0.
    pub ha_tracker: HaTrackerFeed,
    /// Whether the server polls an HA tracker; `None` before the first heartbeat.
    pub has_ha_tracker: watch::Receiver<Option<bool>>,
    /// The number of Mimir's ready distributors: at first the last known one, `None` until a server has counted any. The number of a server that counts none
    /// is ignored.
    pub distributors: watch::Receiver<Option<NonZeroU32>>,
    /// Counts of the feed.
    pub counts: Arc<FeedCounts>,
    /// Asks the server where limits are written.
    pub locator: Locator,
}

/// Counts of the feed since the start.
#[derive(Debug, Default)]
pub struct FeedCounts {
    /// Streams on which a server sent a message.
    pub connects: Count,
    /// Names that could not be resolved, and servers that could not be reached, rejected the stream, or sent nothing in time.
    pub failed_connects: Count,
    /// Streams that broke, went silent, or gave no limits in time; not those that a server ended or whose update was rejected.
    pub streams_lost: Count,
    /// Applied updates with all limits.
    pub snapshots_taken: Count,
    /// Applied updates with changes, including empty ones.
    pub deltas_taken: Count,
    /// Updates that were rejected because the limits in force are newer.
    pub rejected_older: Count,
    /// Updates and lists of elected replicas that were rejected because they could not be decoded, or resulted in other limits than their server has.
    pub rejected_unreadable: Count,
    connected: AtomicBool,
}

impl FeedCounts {
    /// Whether there is an open stream.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }
}

/// Requests limits from the servers, waiting up to 5 seconds (1 if `state` already has limits), and follows them until `tasks` are stopped. Limits that
/// `state` already has are as old as `freshness`, and stay in force until a server sends others. So does the last known number of `distributors`.
pub async fn follow_feed(
    urls: FeedUrls,
    state: LimitsState,
    freshness: Freshness,
    distributors: Option<NonZeroU32>,
    tasks: &Tasks,
) -> Feed {
    let first_limits = if state.current().is_some() { FIRST_LIMITS_AFTER_RESTORED } else { FIRST_LIMITS };
    let publisher = FeedPublisher::new(state.current(), freshness, distributors);
    let mut feed = publisher.feed();
    let servers = urls.to_string();
    let follower = Follower::new(Servers::new(urls), AppliedLimits::new(state), publisher);
    tasks.spawn("feed", follower.follow());
    if timeout(first_limits, feed.limits.states.changed()).await.is_err() {
        tracing::warn!(urls = servers, "the feed gave no limits within {first_limits:?}; still trying");
    }
    feed
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
    locator: Locator,
}

impl FeedPublisher {
    fn new(limits: Option<Arc<Snapshot>>, freshness: Freshness, distributors: Option<NonZeroU32>) -> Self {
        Self {
            states: watch::Sender::new(LoadedLimits { limits, ..LoadedLimits::default() }),
            freshness,
            elected: watch::Sender::default(),
            elected_freshness: Freshness::default(),
            has_tracker: watch::Sender::default(),
            distributors: watch::Sender::new(distributors),
            counts: Arc::default(),
            locator: Locator::default(),
        }
    }

    fn feed(&self) -> Feed {
        let (states, freshness) = (self.elected.subscribe(), self.elected_freshness.clone());
        Feed {
            limits: LimitsFeed { states: self.states.subscribe(), freshness: self.freshness.clone() },
            ha_tracker: HaTrackerFeed { states, freshness, polls: Arc::default() },
            has_ha_tracker: self.has_tracker.subscribe(),
            distributors: self.distributors.subscribe(),
            counts: Arc::clone(&self.counts),
            locator: self.locator.clone(),
        }
    }

    /// Publishes the limits in force.
    fn publish_limits(&self, applied: &AppliedLimits) {
        self.states.send_modify(|state| (state.limits, state.origin) = (applied.limits(), applied.origin()));
    }

    /// Publishes the current problems, if they have changed.
    fn publish_problems(&self, problems: Vec<FeedProblem>) {
        let problems: Arc<[_]> = problems.into_iter().take(MAX_PROBLEMS).map(problem).collect();
        self.states.send_if_modified(|state| {
            let changed = state.problems != problems;
            state.problems = problems;
            changed
        });
    }

    /// Publishes what the server knows about Mimir. A count of 0 means unknown, and the last one stays.
    fn publish_mimir(&self, distributors: u32, has_tracker: bool) {
        if let Some(count) = NonZeroU32::new(distributors) {
            self.distributors.send_if_modified(|published| published.replace(count) != Some(count));
        }
        self.has_tracker.send_if_modified(|published| published.replace(has_tracker) != Some(has_tracker));
    }

    /// Publishes a list of elected replicas. The first one of a stream may be known already, or older than one from another server.
    fn publish_elected(&self, list: ElectedList, is_first: bool) {
        let ElectedList { requested_at_unix_millis, age, elected } = list;
        // The clocks of two machines differ, so they only count if the server does not send the age of its list.
        let age = age.unwrap_or_else(|| since(requested_at_unix_millis));
        let requested_at = Instant::now().checked_sub(age);
        let is_known = {
            let published = self.elected.borrow();
            published.elected.is_some()
                && (published.requested_at_unix_millis == requested_at_unix_millis
                    || published.requested_at >= requested_at)
        };
        if is_first && is_known {
            return;
        }
        self.elected_freshness.confirm_as_of(age);
        self.elected.send_replace(HaTrackerState {
            elected: Some(elected.into()),
            requested_at_unix_millis,
            requested_at,
        });
    }
}

/// Time since `millis`, which is in milliseconds since 1970; zero if that is in the future.
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
    // A newer server may have codes that are unknown here.
    let code = Code::from_id(&code).unwrap_or(Code::Other);
    Problem { code, document, tenant, field, line, severity, message, mimir }
}
