//! The snapshot that decisions read, without a lock, and what `/ready` and the metrics say about it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use limits::{ControlState, Snapshot};
use limits_source::LimitsFeed;
use tokio_util::sync::CancellationToken;

/// The newest good snapshot; none until the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitsInForce {
    snapshot: Arc<ArcSwapOption<Snapshot>>,
}

impl LimitsInForce {
    pub(crate) fn load(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Takes over what `feed` holds now and each change, until `stop` is cancelled or the source ends; calls `changed` after each.
    pub(crate) async fn follow(self, mut feed: LimitsFeed, stop: CancellationToken, changed: impl Fn(&ControlState)) {
        loop {
            let state = feed.states.borrow_and_update().clone();
            self.snapshot.store(state.limits.clone());
            changed(&state);
            tokio::select! {
                () = stop.cancelled() => return,
                change = feed.states.changed() => if change.is_err() { return },
            }
        }
    }
}
