//! The one task that writes the control state: it takes what the sources of limits, edge config, distributors and elections have loaded, and puts it into the
//! state that decides pushes. Every shell around `edge` starts it.

use std::num::NonZeroU32;
use std::sync::Arc;

use edge::{ControlWriter, TrackerList};
use limits::LoadedLimits;
use limits_source::{HaTrackerFeed, HaTrackerState, LimitsFeed, LoadedEdgeConfig, SourceExtras};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A source of one part of the control state. One that has ended, or does not exist, never changes again.
struct Changes<T> {
    states: Option<watch::Receiver<T>>,
    /// Whether the first state is still to be applied.
    is_first: bool,
}

impl<T: Clone> Changes<T> {
    fn new(states: Option<watch::Receiver<T>>) -> Self {
        Self { is_first: states.is_some(), states }
    }

    /// The current state at first, and then the state after each change.
    async fn next(&mut self) -> T {
        if let Some(states) = &mut self.states {
            if std::mem::take(&mut self.is_first) || states.changed().await.is_ok() {
                return states.borrow_and_update().clone();
            }
            self.states = None;
        }
        std::future::pending().await
    }
}

/// Everything that the control state is made of.
pub struct ControlSources {
    limits: Changes<LoadedLimits>,
    edge: Changes<LoadedEdgeConfig>,
    distributors: Changes<Option<NonZeroU32>>,
    tracker: Changes<HaTrackerState>,
    is_tracker_polled: Changes<Option<bool>>,
}

impl ControlSources {
    /// `tracker` is the one that this process polls; without one, the lists of the feed are used.
    pub fn new(
        limits: &LimitsFeed,
        edge: &watch::Receiver<LoadedEdgeConfig>,
        extras: &SourceExtras,
        tracker: Option<&HaTrackerFeed>,
    ) -> Self {
        let feed = match extras {
            SourceExtras::Feed(feed) => Some(feed),
            _ => None,
        };
        let of_feed = feed.filter(|_| tracker.is_none());
        let lists = tracker.or(of_feed.map(|feed| &feed.ha_tracker)).map(|tracker| tracker.states.clone());
        Self {
            limits: Changes::new(Some(limits.states.clone())),
            edge: Changes::new(Some(edge.clone())),
            distributors: Changes::new(feed.map(|feed| feed.distributors.clone())),
            tracker: Changes::new(lists),
            is_tracker_polled: Changes::new(of_feed.map(|feed| feed.has_ha_tracker.clone())),
        }
    }

    /// Applies the current state of each source. Waits up to a second for the relabelling rules of the limits.
    pub async fn apply_first(
        &mut self,
        writer: &mut ControlWriter,
        changed_limits: &impl Fn(&LoadedLimits),
        changed_edge: &impl Fn(&LoadedEdgeConfig),
    ) {
        while self.limits.is_first
            || self.edge.is_first
            || self.distributors.is_first
            || self.is_tracker_polled.is_first
            || self.tracker.is_first
        {
            self.apply_next(writer, changed_limits, changed_edge).await;
        }
    }

    /// Applies each change; `changed_limits` and `changed_edge` are called after theirs. The only task that writes the control state. Never returns.
    pub async fn follow(
        mut self,
        mut writer: ControlWriter,
        changed_limits: impl Fn(&LoadedLimits),
        changed_edge: impl Fn(&LoadedEdgeConfig),
    ) {
        loop {
            self.apply_next(&mut writer, &changed_limits, &changed_edge).await;
        }
    }

    async fn apply_next(
        &mut self,
        writer: &mut ControlWriter,
        changed_limits: &impl Fn(&LoadedLimits),
        changed_edge: &impl Fn(&LoadedEdgeConfig),
    ) {
        let expires = writer.list_expires();
        tokio::select! {
            // Limits first: what is taken over at the start is then in a fixed order.
            biased;
            state = self.limits.next() => {
                if let Some(snapshot) = &state.limits {
                    writer.put_limits(Arc::clone(snapshot)).await;
                }
                changed_limits(&state);
            }
            edge = self.edge.next() => {
                writer.put_edge_config(Arc::clone(&edge.config));
                changed_edge(&edge);
            }
            count = self.distributors.next() => if let Some(count) = count {
                writer.put_distributors(count);
            },
            polled = self.is_tracker_polled.next() => writer.put_tracker_polled(is_polled(polled)),
            state = self.tracker.next() => if let Some(list) = list_of(state) {
                writer.put_list(list).await;
            },
            () = sleep_until(expires.unwrap_or_else(Instant::now)), if expires.is_some() => writer.expire_list().await,
            () = writer.compiled() => {}
        }
    }
}

/// Until an overrides-sync has sent it, a tracker is assumed to be polled: pairs are then charged nothing, rather than the wrong replica.
fn is_polled(sent: Option<bool>) -> bool {
    sent.unwrap_or(true)
}

fn list_of(state: HaTrackerState) -> Option<TrackerList> {
    let HaTrackerState { elected, requested_at_unix_millis, requested_at } = state;
    elected.map(|elected| TrackerList { elected, requested_at_unix_millis, requested_at })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edge::HaTracker;
    use limits::{EdgeConfig, ElectedReplica};

    use super::*;

    const LIST_VALID_FOR: Duration = Duration::from_secs(20);

    /// How old the list of a source, of which one is `age` old, is when it is no longer believed; `None` if it never is.
    async fn age_when_it_expires(age: Duration) -> Option<Duration> {
        let (sender, states) = watch::channel(HaTrackerState::default());
        let mut sources = ControlSources {
            limits: Changes::new(None),
            edge: Changes::new(None),
            distributors: Changes::new(None),
            tracker: Changes::new(Some(states)),
            is_tracker_polled: Changes::new(None),
        };
        let tracker = HaTracker { is_polled: true, fresh_until: None };
        let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), tracker);
        let requested_at_unix_millis = 1_790_000_000_000;
        let elected = ElectedReplica {
            tenant: "team".into(),
            cluster: "c".into(),
            replica: "b".into(),
            received_at: requested_at_unix_millis,
            elected_at: requested_at_unix_millis,
        };
        let elected = Some([elected].into());
        let requested_at = Instant::now().checked_sub(age).unwrap();
        let state = HaTrackerState { elected, requested_at_unix_millis, requested_at: Some(requested_at) };
        sender.send_replace(state);
        sources.apply_next(&mut writer, &|_| {}, &|_| {}).await;
        let is_believed = control.load().elections.is_confirmed("team", b"c");
        assert_eq!(control.load().ha_tracker.has_fresh_list(), is_believed);
        // The next change is that the list expires.
        sources.apply_next(&mut writer, &|_| {}, &|_| {}).await;
        assert!(!control.load().elections.is_confirmed("team", b"c") && !control.load().ha_tracker.has_fresh_list());
        is_believed.then(|| requested_at.elapsed())
    }

    #[tokio::test]
    async fn a_list_is_believed_until_it_is_twenty_seconds_old() {
        for age in [LIST_VALID_FOR, 3 * LIST_VALID_FOR] {
            assert_eq!(age_when_it_expires(age).await, None, "a list that is {age:?} old");
        }
        let age = age_when_it_expires(LIST_VALID_FOR - Duration::from_secs(1)).await.unwrap();
        assert!((LIST_VALID_FOR..LIST_VALID_FOR + Duration::from_secs(5)).contains(&age), "{age:?}");
    }
}
