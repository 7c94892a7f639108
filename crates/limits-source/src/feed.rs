//! What a source gives a server: the current state, a wake-up on each change, and how long ago the source last confirmed the limits.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limits::{LoadedLimits, Problem, Snapshot};
use tokio::sync::watch;

/// The output of a source.
#[derive(Clone, Debug)]
pub struct LimitsFeed {
    /// The current state; wakes on each change of limits or problems.
    pub states: watch::Receiver<LoadedLimits>,
    /// When the source last confirmed the limits in force.
    pub freshness: Freshness,
}

/// How long ago the source last confirmed the limits in force. A silent source confirms nothing.
#[derive(Clone, Debug)]
pub struct Freshness {
    start: Instant,
    /// Since `start`; negative if the confirmation is older than this process.
    confirmed_after_millis: Arc<AtomicI64>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self::confirmed_ago(Duration::ZERO)
    }
}

impl Freshness {
    /// Limits that were last confirmed that long ago, which may be before this process started.
    #[must_use]
    pub fn confirmed_ago(age: Duration) -> Self {
        Self { start: Instant::now(), confirmed_after_millis: Arc::new(AtomicI64::new(-millis(age))) }
    }

    /// Records that the source has the limits in force now.
    pub fn confirm(&self) {
        self.confirm_as_of(Duration::ZERO);
    }

    /// Records that the limits in force were confirmed that long ago.
    pub(crate) fn confirm_as_of(&self, age: Duration) {
        let confirmed = millis(self.start.elapsed()).saturating_sub(millis(age));
        self.confirmed_after_millis.store(confirmed, Ordering::Relaxed);
    }

    /// Time since the last [`Freshness::confirm`], or since this was made.
    #[must_use]
    pub fn age(&self) -> Duration {
        let confirmed = self.confirmed_after_millis.load(Ordering::Relaxed);
        let age = millis(self.start.elapsed()).saturating_sub(confirmed);
        Duration::from_millis(u64::try_from(age).unwrap_or_default())
    }
}

/// A counter that a metric reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number since the start.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Logs each problem of new documents, and what changed. `from` is the source, `changed` the limits in force if they are new.
pub(crate) fn log_limits(
    from: &dyn Display,
    before: Option<&Snapshot>,
    changed: Option<&Snapshot>,
    problems: &[Problem],
) {
    for problem in problems {
        tracing::warn!(%from, "limits problem: {problem}");
    }
    let (problems, Some(snapshot)) = (problems.len(), changed) else { return };
    let Some(older) = before else {
        tracing::info!(%from, tenants = snapshot.len(), problems, "the first limits are in force");
        return;
    };
    let diff = snapshot.diff(older);
    tracing::info!(
        %from, version = snapshot.version(), tenants = snapshot.len(), problems,
        added = diff.added.len(), changed = diff.changed.len(), removed = diff.removed.len(), "limits are in force",
    );
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_confirmed_before_the_start_age_from_their_last_confirmation() {
        let day = Duration::from_secs(86_400);
        let freshness = Freshness::confirmed_ago(day);
        assert!((day..day + Duration::from_secs(60)).contains(&freshness.age()), "{:?}", freshness.age());
        freshness.clone().confirm();
        assert!(freshness.age() < Duration::from_secs(60));
    }

    #[test]
    fn a_confirmation_by_a_server_has_the_age_it_sends() {
        let freshness = Freshness::default();
        let day = Duration::from_secs(86_400);
        freshness.confirm_as_of(day);
        assert!((day..day + Duration::from_secs(60)).contains(&freshness.age()), "{:?}", freshness.age());
        freshness.confirm_as_of(Duration::MAX);
        assert!(freshness.age() > Duration::from_secs(1 << 50));
    }

    #[test]
    fn an_absurd_age_is_only_very_old() {
        assert!(Freshness::confirmed_ago(Duration::MAX).age() > Duration::from_secs(1 << 50));
    }
}
