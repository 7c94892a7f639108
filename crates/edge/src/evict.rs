//! Evicts the tenants that push no more, from the buckets and from what is recorded.

use std::sync::Arc;
use std::time::Duration;

use tasks::blocking;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::pipeline::Pipeline;
use crate::record::Recorder;

const EVERY: Duration = Duration::from_secs(60);
/// While there is no room for new tenants.
const WHEN_FULL_EVERY: Duration = Duration::from_secs(2);

/// Evicts idle tenants every minute, and every two seconds while there is no room for new ones. Never returns: a shell spawns it once for each pipeline.
pub async fn evict_idle(pipeline: Arc<Pipeline>, recorder: Recorder) {
    let mut ticks = interval_at(Instant::now() + WHEN_FULL_EVERY, WHEN_FULL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        if last.elapsed() < EVERY && !pipeline.enforcer().is_full() {
            continue;
        }
        last = Instant::now();
        let (pipeline, recorder) = (Arc::clone(&pipeline), recorder.clone());
        blocking(move || {
            recorder.evict_idle();
            recorder.evicted(pipeline.evict_idle());
        })
        .await;
    }
}
