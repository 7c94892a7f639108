//! What all clients get, as it is now: each input is a watch channel, so that no client waits for another.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use limits::{LoadedLimits, Problem};
use limits_source::{Freshness, HaTrackerState, LimitsFeed};
use proto::edge::limits::v1::Heartbeat;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::publication::{Published, Publisher};

/// The newest version; `None` until the first good limits.
pub(crate) type Newest = watch::Receiver<Option<Arc<Published>>>;

/// The inputs of every client.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) limits: Newest,
    pub(crate) problems: watch::Receiver<Arc<[Problem]>>,
    pub(crate) freshness: Freshness,
    pub(crate) distributors: watch::Receiver<Option<NonZeroU32>>,
    /// Where an HA tracker is asked, what it said last.
    pub(crate) ha_tracker: Option<watch::Receiver<HaTrackerState>>,
}

impl Inputs {
    pub(crate) fn heartbeat(&mut self) -> Heartbeat {
        Heartbeat {
            stale_millis: u64::try_from(self.freshness.age().as_millis()).unwrap_or(u64::MAX),
            distributors: self.distributors.borrow_and_update().map_or(0, NonZeroU32::get),
            has_ha_tracker: self.ha_tracker.is_some(),
        }
    }
}

/// Limits and problems of a source, published until `stop` is cancelled or the source ends. `on_state` gets each state once it is published.
pub(crate) fn publish(
    mut publisher: Publisher,
    source: LimitsFeed,
    stop: CancellationToken,
    on_state: impl Fn(&LoadedLimits, Option<&Published>) + Send + 'static,
) -> (Newest, watch::Receiver<Arc<[Problem]>>) {
    let (limits, problems) = (watch::Sender::new(None), watch::Sender::new(Arc::default()));
    let receivers = (limits.subscribe(), problems.subscribe());
    let mut states = source.states;
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let state = states.borrow_and_update().clone();
            let seen = Instant::now();
            // Comparing ten thousand entries takes longer than a worker may be kept from other clients.
            let step = tokio::task::spawn_blocking(move || {
                let published = publisher.publish(&state, seen);
                (publisher, state, published)
            });
            let Ok((returned, state, published)) = step.await else { return };
            publisher = returned;
            if let Some(published) = &published {
                limits.send_replace(Some(Arc::clone(published)));
            }
            problems.send_if_modified(|now| {
                let changed = **now != *state.problems;
                if changed {
                    *now = Arc::clone(&state.problems);
                }
                changed
            });
            on_state(&state, published.as_deref());
            if states.changed().await.is_err() {
                return;
            }
        }
    }));
    receivers
}
