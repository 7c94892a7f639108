//! The limits in force from the feed, and which updates may replace them.
//!
//! Invariant: limits never go back to an older revision of the object that they were read from, and a change is applied completely, with the result
//! that its server has, or not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use limits::{EntryUpdate, LimitsState, Mode, ObjectRevision, Snapshot, Update};
use proto::edge::limits::v1::{Mode as FeedMode, TenantLimits, Version};
use thiserror::Error;

use super::parts::{Change, PartError};
use super::servers::StreamError;

/// Two healthy servers confirm the same object at most so far apart: each polls every 15 seconds.
const CONFIRMED_APART: Duration = Duration::from_secs(30);

/// The last good limits, and which version of the feed they are.
#[derive(Debug)]
pub(super) struct AppliedLimits {
    state: LimitsState,
    /// The version that a request names; `None` requests everything.
    version: Option<Version>,
    /// The revision that the limits were read from.
    origin: Option<Arc<ObjectRevision>>,
    /// Tenants whose limits here differ from the server's: in shadow there and good here, or with fields that only a newer build knows.
    different: HashSet<String>,
}

/// Why a change was rejected.
#[derive(Debug, Error)]
pub(super) enum UpdateError {
    #[error("its limits are of resource version {theirs}, and those in force of {ours}")]
    Older { theirs: Box<str>, ours: Box<str> },
    #[error(
        "its limits are different, not known to be newer, and were last confirmed {theirs:?} ago, those in force {ours:?} ago"
    )]
    LessFresh { theirs: Duration, ours: Duration },
    #[error("{0}")]
    Message(StreamError),
    #[error(transparent)]
    Parts(#[from] PartError),
    #[error("{0}")]
    Update(#[from] limits::UpdateError),
    #[error("tenant {tenant:?} has mode {mode}, which this version does not know")]
    Mode { tenant: String, mode: i32 },
    #[error("its limits have the sum {theirs:016x}, and the result here has {ours:016x}")]
    Sum { theirs: u64, ours: u64 },
    #[error("applying it was interrupted")]
    Interrupted,
}

/// The result of a change.
struct Applied {
    state: LimitsState,
    different: HashSet<String>,
    changed: bool,
}

impl AppliedLimits {
    /// The limits that the state has already.
    pub(super) fn new(state: LimitsState) -> Self {
        Self { state, version: None, origin: None, different: HashSet::new() }
    }

    pub(super) fn limits(&self) -> Option<Arc<Snapshot>> {
        self.state.current()
    }

    pub(super) fn origin(&self) -> Option<Arc<ObjectRevision>> {
        self.origin.clone()
    }

    /// The version that a request names.
    pub(super) fn version(&self) -> Option<Version> {
        self.version.clone()
    }

    /// Makes the next request a request for everything.
    pub(super) fn request_everything(&mut self) {
        self.version = None;
    }

    /// Whether limits of this version may replace those in force.
    pub(super) fn check_age(&self, version: &Version) -> Result<(), UpdateError> {
        let (Some(theirs), Some(ours)) = (origin(version), &self.origin) else { return Ok(()) };
        if theirs.is_older_than(ours) {
            let ours = ours.resource_version.clone();
            return Err(UpdateError::Older { theirs: theirs.resource_version, ours });
        }
        Ok(())
    }

    /// Whether a server may start with limits of this version. `theirs` and `ours` are how long ago its limits and those in force were confirmed; they
    /// decide if the revisions cannot: for limits from a server's cache, or of an object that was deleted and recreated.
    pub(super) fn check_freshness(
        &self,
        version: &Version,
        theirs: Duration,
        ours: Duration,
    ) -> Result<(), UpdateError> {
        let Some(limits) = self.state.current() else { return Ok(()) };
        let has = |sum: u64| sum == version.content_sum;
        if has(limits.content_sum()) || self.version.as_ref().is_some_and(|version| has(version.content_sum)) {
            return Ok(());
        }
        let slack = match (origin(version), self.origin.as_deref()) {
            (Some(theirs), Some(ours)) if theirs.uid == ours.uid => return Ok(()),
            (None, Some(_)) => Duration::ZERO,
            _ => CONFIRMED_APART,
        };
        if theirs > ours.saturating_add(slack) { Err(UpdateError::LessFresh { theirs, ours }) } else { Ok(()) }
    }

    /// Applies a change completely or not at all; returns whether the limits or their revision changed.
    pub(super) async fn apply(&mut self, change: Change) -> Result<bool, UpdateError> {
        self.check_age(&change.version)?;
        let version = change.version.clone();
        let (state, different) = (self.state.clone(), self.different.clone());
        // Many tenants take longer than an async worker may be blocked.
        let applying = tokio::task::spawn_blocking(move || apply(state, different, &change));
        let applied = applying.await.map_err(|_| UpdateError::Interrupted)??;
        (self.state, self.different) = (applied.state, applied.different);
        // A server that has the same limits from its cache does not know their revision.
        let known = self.origin.clone().filter(|_| !applied.changed);
        // The revision may be new while the limits are the same.
        let origin = origin(&version).map(Arc::new).or(known);
        let changed = applied.changed || origin != self.origin;
        (self.origin, self.version) = (origin, Some(version));
        Ok(changed)
    }
}

fn apply(mut state: LimitsState, mut different: HashSet<String>, change: &Change) -> Result<Applied, UpdateError> {
    let put = change.put.iter().map(entry_update).collect::<Result<Vec<_>, _>>()?;
    let removed = change.removed.iter().map(String::as_str).collect();
    let updated = state.update(&Update { complete: change.complete, put, removed })?;
    if change.complete {
        different.clear();
    }
    for tenant in &change.removed {
        different.remove(tenant);
    }
    for TenantLimits { tenant, mode, .. } in &change.put {
        let good_here = updated.snapshot.entry(tenant).is_some_and(|entry| entry.mode == Mode::Enforce);
        if *mode == i32::from(FeedMode::Shadow) && good_here {
            different.insert(tenant.clone());
        } else {
            different.remove(tenant);
        }
    }
    if let Some(tenant) = updated.passed_over.first() {
        tracing::warn!(
            tenants = updated.passed_over.len(),
            tenant,
            "the feed has fields that this version does not know, and ignores; run the same version as overrides-sync"
        );
    }
    different.extend(updated.passed_over);
    let (ours, theirs) = (updated.snapshot.content_sum(), change.version.content_sum);
    if different.is_empty() && ours != theirs {
        return Err(UpdateError::Sum { theirs, ours });
    }
    Ok(Applied { state, different, changed: updated.changed })
}

fn entry_update(entry: &TenantLimits) -> Result<EntryUpdate<'_>, UpdateError> {
    let TenantLimits { tenant, mode, fields } = entry;
    let mode = match FeedMode::try_from(*mode) {
        Ok(FeedMode::Enforce) => Mode::Enforce,
        Ok(FeedMode::Shadow) => Mode::Shadow,
        Err(_) => {
            let tenant = tenant.chars().take(SHOWN_CHARACTERS).collect();
            return Err(UpdateError::Mode { tenant, mode: *mode });
        }
    };
    Ok(EntryUpdate { tenant, mode, own_fields: fields })
}

/// The most characters of a tenant in a log line.
const SHOWN_CHARACTERS: usize = 100;

fn origin(version: &Version) -> Option<ObjectRevision> {
    let Version { uid, resource_version, .. } = version;
    let is_known = !uid.is_empty() && !resource_version.is_empty();
    is_known.then(|| ObjectRevision { uid: uid.as_str().into(), resource_version: resource_version.as_str().into() })
}

#[cfg(test)]
mod tests;
