//! Where the edge config and elections come from, as the command line and the source of the limits say.

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::Context;
use limits::EdgeConfig;
use limits_source::{
    EdgeConfigFeed, EdgeConfigSource, FeedTracker, HaTrackerFeed, HaTrackerSource, HaTrackerUrl, SourceExtras,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::elections::HaElections;
use crate::rules::RulesInForce;

/// The edge config of a file, or what holds without one.
pub(super) async fn edge_config(path: Option<PathBuf>, stop: CancellationToken) -> EdgeConfigFeed {
    match path {
        Some(path) => EdgeConfigSource::new(path).start(stop).await,
        None => EdgeConfigFeed::fixed(EdgeConfig::default()),
    }
}

/// Mimir's HA tracker, asked by this server or by overrides-sync.
pub(super) struct Tracker {
    pub(super) feed: HaTrackerFeed,
    /// Whether it is asked.
    pub(super) is_asked: watch::Receiver<bool>,
}

/// Has this server ask the tracker, if it is to. Nothing waits for the first answer.
pub(super) fn ha_tracker(url: Option<HaTrackerUrl>, stop: CancellationToken) -> anyhow::Result<Option<Tracker>> {
    let source = url.map(HaTrackerSource::new).transpose().context("--ha-tracker-url")?;
    Ok(source.map(|source| Tracker { feed: source.start(stop), is_asked: watch::channel(true).1 }))
}

/// What overrides-sync learns of a tracker. Until it was heard it is taken for asking one: pairs are then charged nothing, rather than the wrong
/// replica.
pub(super) fn told(tracker: &FeedTracker, elections: HaElections, stop: CancellationToken) -> Tracker {
    let (sender, is_asked) = watch::channel(true);
    let mut told = tracker.is_asked.clone();
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let asked = told.borrow_and_update().unwrap_or(true);
            elections.set_tracker(asked);
            sender.send_replace(asked);
            if told.changed().await.is_err() {
                return;
            }
        }
    }));
    Tracker { feed: tracker.feed.clone(), is_asked }
}

/// How many distributors there are: as the operator says, until overrides-sync has counted them.
pub(super) fn follow_distributors(
    said: NonZeroU32,
    extras: &SourceExtras,
    rules: &RulesInForce,
    stop: CancellationToken,
) {
    rules.put_distributors(said);
    if let SourceExtras::Feed(feed) = extras {
        tokio::spawn(rules.clone().follow_distributors(feed.distributors.clone(), stop));
    }
}
