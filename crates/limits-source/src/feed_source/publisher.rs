//! Publishes what the feed sends: a watch channel for each part of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use limits::{Code, ControlState, MAX_PROBLEMS, Problem, Severity, Snapshot};
use proto::edge::limits::v1::{Problem as FeedProblem, Severity as FeedSeverity};
use tokio::sync::watch;
use tokio::time::Instant;

use super::applied::AppliedLimits;
use super::parts::ElectedList;
use super::{Feed, FeedCounts, FeedTracker};
use crate::{Freshness, HaTrackerFeed, HaTrackerState, LimitsFeed};

/// The sending ends of a [`Feed`].
#[derive(Debug)]
pub(super) struct FeedPublisher {
    states: watch::Sender<ControlState>,
    pub(super) freshness: Freshness,
    elected: watch::Sender<HaTrackerState>,
    elected_freshness: Freshness,
    has_tracker: watch::Sender<Option<bool>>,
    distributors: watch::Sender<Option<NonZeroU32>>,
    pub(super) counts: Arc<FeedCounts>,
}

impl FeedPublisher {
    pub(super) fn new(limits: Option<Arc<Snapshot>>, freshness: Freshness) -> Self {
        Self {
            states: watch::Sender::new(ControlState { limits, ..ControlState::default() }),
            freshness,
            elected: watch::Sender::default(),
            elected_freshness: Freshness::default(),
            has_tracker: watch::Sender::default(),
            distributors: watch::Sender::default(),
            counts: Arc::default(),
        }
    }

    pub(super) fn feed(&self) -> Feed {
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
    pub(super) fn publish_limits(&self, applied: &AppliedLimits) {
        self.states.send_modify(|state| (state.limits, state.origin) = (applied.limits(), applied.origin()));
    }

    /// Publishes the problems that there are now, if they have changed.
    pub(super) fn publish_problems(&self, problems: Vec<FeedProblem>) {
        let problems: Arc<[_]> = problems.into_iter().take(MAX_PROBLEMS).map(problem).collect();
        self.states.send_if_modified(|state| {
            let changed = state.problems != problems;
            state.problems = problems;
            changed
        });
    }

    /// What the server knows of Mimir. A count of 0 is none, and the last one holds.
    pub(super) fn publish_mimir(&self, distributors: u32, has_tracker: bool) {
        if let Some(count) = NonZeroU32::new(distributors) {
            self.distributors.send_if_modified(|published| published.replace(count) != Some(count));
        }
        self.has_tracker.send_if_modified(|published| published.replace(has_tracker) != Some(has_tracker));
    }

    /// Publishes a list of elected replicas. The first one of a stream may be known, or older than one from another server.
    pub(super) fn publish_elected(&self, list: ElectedList, is_first: bool) {
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
