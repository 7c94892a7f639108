//! Where limits, edge config, distributors and elections come from, and the one task that makes control states of them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use edge::{ControlWriter, TrackerList};
use limits::{EdgeConfig, LoadedLimits};
use limits_source::{
    EdgeConfigFeed, EdgeConfigSource, FeedTracker, HaTrackerFeed, HaTrackerSource, HaTrackerState, HaTrackerUrl,
    LimitsFeed, LoadedEdgeConfig, SourceExtras,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The edge config of a file, or what holds without one.
pub(super) async fn edge_config(path: Option<PathBuf>, stop: CancellationToken) -> EdgeConfigFeed {
    match path {
        Some(path) => EdgeConfigSource::new(path).start(stop).await,
        None => EdgeConfigFeed::fixed(EdgeConfig::default()),
    }
}

/// Has this server ask the HA tracker, if it is to. It does not wait for the first answer.
pub(super) fn ha_tracker(url: Option<HaTrackerUrl>, stop: CancellationToken) -> anyhow::Result<Option<HaTrackerFeed>> {
    let source = url.map(HaTrackerSource::new).transpose().context("--ha-tracker-url")?;
    Ok(source.map(|source| source.start(stop)))
}

/// A source of one part of the control state. What has ended, or is not there, never changes again.
struct Changes<T> {
    states: Option<watch::Receiver<T>>,
}

impl<T: Clone> Changes<T> {
    fn new(states: Option<watch::Receiver<T>>) -> Self {
        Self { states }
    }

    /// The state now; later calls of [`Changes::next`] give what comes after it.
    fn now(&mut self) -> Option<T> {
        self.states.as_mut().map(|states| states.borrow_and_update().clone())
    }

    async fn next(&mut self) -> T {
        if let Some(states) = &mut self.states {
            if states.changed().await.is_ok() {
                return states.borrow_and_update().clone();
            }
            self.states = None;
        }
        std::future::pending().await
    }
}

/// Everything that the control state is made of.
pub(super) struct ControlSources {
    limits: Changes<LoadedLimits>,
    edge: Changes<LoadedEdgeConfig>,
    distributors: Changes<Option<NonZeroU32>>,
    tracker: Changes<HaTrackerState>,
    is_tracker_polled: Changes<Option<bool>>,
}

impl ControlSources {
    /// `tracker` is the one that this server asks; without one, what the source of the limits learns of a tracker counts.
    pub(super) fn new(
        limits: &LimitsFeed,
        edge: &EdgeConfigFeed,
        extras: &SourceExtras,
        tracker: Option<&HaTrackerFeed>,
    ) -> Self {
        let feed = match extras {
            SourceExtras::Feed(feed) => Some(feed),
            _ => None,
        };
        let told = feed.filter(|_| tracker.is_none()).map(|feed| &feed.ha_tracker);
        let lists = tracker.or(told.map(|FeedTracker { feed, .. }| feed)).map(|tracker| tracker.states.clone());
        Self {
            limits: Changes::new(Some(limits.states.clone())),
            edge: Changes::new(Some(edge.states.clone())),
            distributors: Changes::new(feed.map(|feed| feed.distributors.clone())),
            tracker: Changes::new(lists),
            is_tracker_polled: Changes::new(told.map(|tracker| tracker.is_asked.clone())),
        }
    }

    /// Takes over what the sources have now, and returns the state of the limits. Waits up to a second for their relabelling rules.
    pub(super) async fn take_over_first(&mut self, writer: &mut ControlWriter) -> LoadedLimits {
        let limits = self.limits.now().unwrap_or_default();
        if let Some(snapshot) = &limits.limits {
            writer.put_limits(Arc::clone(snapshot)).await;
        }
        if let Some(edge) = self.edge.now() {
            writer.put_edge_config(edge.config);
        }
        if let Some(Some(count)) = self.distributors.now() {
            writer.put_distributors(count);
        }
        if let Some(polled) = self.is_tracker_polled.now() {
            writer.put_tracker_polled(is_polled(polled));
        }
        if let Some(list) = self.tracker.now().and_then(list_of) {
            writer.put_list(list).await;
        }
        limits
    }

    /// Takes over each change until `stop` is cancelled; `changed_limits` and `changed_edge` are called after theirs. The only task that writes the
    /// control state.
    pub(super) async fn follow(
        mut self,
        mut writer: ControlWriter,
        stop: CancellationToken,
        changed_limits: impl Fn(&LoadedLimits),
        changed_edge: impl Fn(&LoadedEdgeConfig),
    ) {
        let follow = async {
            loop {
                let expires = writer.list_expires();
                tokio::select! {
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
                    () = sleep_until(expires.unwrap_or_else(Instant::now)), if expires.is_some() => {
                        writer.expire_list().await;
                    }
                    () = writer.compiled() => {}
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }
}

/// Until an overrides-sync said it, a tracker is taken to be asked: pairs are then charged nothing, rather than the wrong replica.
fn is_polled(told: Option<bool>) -> bool {
    told.unwrap_or(true)
}

fn list_of(state: HaTrackerState) -> Option<TrackerList> {
    let HaTrackerState { elected, asked_at, asked } = state;
    elected.map(|elected| TrackerList { elected, asked_at, asked })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edge::HaTracker;
    use limits::ElectedReplica;

    use super::*;

    const LIST_VALID_FOR: Duration = Duration::from_secs(20);

    /// Follows a source that gives one list, which is `age` old: for how long it is believed.
    async fn believed_for(age: Duration) -> Duration {
        let (sender, states) = watch::channel(HaTrackerState::default());
        let sources = ControlSources {
            limits: Changes::new(None),
            edge: Changes::new(None),
            distributors: Changes::new(None),
            tracker: Changes::new(Some(states)),
            is_tracker_polled: Changes::new(None),
        };
        let tracker = HaTracker { is_polled: true, has_fresh_list: false };
        let (writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), tracker);
        let following = tokio::spawn(sources.follow(writer, CancellationToken::new(), |_| {}, |_| {}));
        let heard = Instant::now();
        let asked_at = 1_790_000_000_000;
        let elected = ElectedReplica {
            tenant: "team".into(),
            cluster: "c".into(),
            replica: "b".into(),
            received_at: asked_at,
            elected_at: asked_at,
        };
        let elected = Some([elected].into());
        sender.send_replace(HaTrackerState { elected, asked_at, asked: heard.checked_sub(age) });
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let mut last = Duration::ZERO;
        while heard.elapsed() < last + Duration::from_millis(800) {
            ticks.tick().await;
            let control = control.load();
            if control.elections.is_confirmed("team", b"c") {
                last = heard.elapsed();
            }
        }
        assert!(!control.load().ha_tracker.has_fresh_list);
        following.abort();
        last
    }

    #[tokio::test]
    async fn a_list_is_believed_until_it_is_twenty_seconds_old() {
        for age in [LIST_VALID_FOR, 3 * LIST_VALID_FOR] {
            assert_eq!(believed_for(age).await, Duration::ZERO, "a list that is {age:?} old");
        }
        let believed = believed_for(LIST_VALID_FOR - Duration::from_secs(1)).await;
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&believed), "{believed:?}");
    }
}
