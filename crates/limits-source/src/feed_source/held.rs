//! The limits in force from the feed, and what may replace them.
//!
//! The invariant: limits never go back to an older revision of the object that they were read from, and a change is taken whole and as its server
//! meant it, or not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use limits::{EntryUpdate, LimitsState, Mode, Origin, Snapshot, Update};
use proto::edge::limits::v1::{Mode as FeedMode, TenantLimits, Version};
use thiserror::Error;

use super::gather::{Change, PartError};
use super::stream::StreamError;

/// Two servers that are well confirm one object so far apart at most: each asks every 15 seconds.
const CONFIRMED_APART: Duration = Duration::from_secs(30);

/// The last good limits, and which of the feed's they are.
#[derive(Debug)]
pub(super) struct Held {
    state: LimitsState,
    /// What a server is told that we have; `None` to be given everything.
    have: Option<Version>,
    /// Where the limits were read from.
    origin: Option<Arc<Origin>>,
    /// Tenants whose limits here are not the server's: in shadow there, and good here; or with fields that only a newer build knows.
    kept: HashSet<String>,
}

/// Why a change was not taken.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("its limits are of resource version {theirs}, and those in force of {ours}")]
    Older { theirs: Box<str>, ours: Box<str> },
    #[error(
        "its limits are other ones, which nothing shows to be newer, and were last confirmed {theirs:?} ago, those in force {ours:?} ago"
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
    #[error("its limits have the sum {theirs:016x}, and what came of them here has {ours:016x}")]
    Sum { theirs: u64, ours: u64 },
    #[error("applying it was interrupted")]
    Interrupted,
}

/// What a change came to.
struct Applied {
    state: LimitsState,
    kept: HashSet<String>,
    changed: bool,
}

impl Held {
    /// Holds what the state has already.
    pub(super) fn new(state: LimitsState) -> Self {
        Self { state, have: None, origin: None, kept: HashSet::new() }
    }

    pub(super) fn limits(&self) -> Option<Arc<Snapshot>> {
        self.state.current()
    }

    pub(super) fn origin(&self) -> Option<Arc<Origin>> {
        self.origin.clone()
    }

    /// What a server is told that we have.
    pub(super) fn have(&self) -> Option<Version> {
        self.have.clone()
    }

    /// Has the next server give everything.
    pub(super) fn ask_for_everything(&mut self) {
        self.have = None;
    }

    /// Whether limits of this version may replace those in force.
    pub(super) fn check_age(&self, version: &Version) -> Result<(), Refusal> {
        let (Some(theirs), Some(ours)) = (origin(version), &self.origin) else { return Ok(()) };
        if theirs.is_older_than(ours) {
            let ours = ours.resource_version.clone();
            return Err(Refusal::Older { theirs: theirs.resource_version, ours });
        }
        Ok(())
    }

    /// Whether a server may begin with limits of this version, which its source confirmed that long ago, as it did those in force. Where revisions
    /// do not tell which are newer, as with limits from a server's cache, or of an object that was deleted and made anew, the time has to.
    pub(super) fn check_freshness(&self, version: &Version, theirs: Duration, ours: Duration) -> Result<(), Refusal> {
        let Some(limits) = self.state.current() else { return Ok(()) };
        let has = |sum: u64| sum == version.content_sum;
        if has(limits.content_sum()) || self.have.as_ref().is_some_and(|have| has(have.content_sum)) {
            return Ok(());
        }
        let slack = match (origin(version), self.origin.as_deref()) {
            (Some(theirs), Some(ours)) if theirs.uid == ours.uid => return Ok(()),
            (None, Some(_)) => Duration::ZERO,
            _ => CONFIRMED_APART,
        };
        if theirs > ours.saturating_add(slack) { Err(Refusal::LessFresh { theirs, ours }) } else { Ok(()) }
    }

    /// Takes a change over; whether the limits are new ones. Nothing is taken where it is refused.
    pub(super) async fn take(&mut self, change: Change) -> Result<bool, Refusal> {
        self.check_age(&change.version)?;
        let version = change.version.clone();
        let (state, kept) = (self.state.clone(), self.kept.clone());
        // Many tenants take longer than a worker may be kept from decisions.
        let applying = tokio::task::spawn_blocking(move || apply(state, kept, &change));
        let applied = applying.await.map_err(|_| Refusal::Interrupted)??;
        (self.state, self.kept) = (applied.state, applied.kept);
        // A server that has the same limits from its cache does not know their revision.
        let known = self.origin.clone().filter(|_| !applied.changed);
        // The revision may be a new one while the limits are the same.
        let origin = origin(&version).map(Arc::new).or(known);
        let changed = applied.changed || origin != self.origin;
        (self.origin, self.have) = (origin, Some(version));
        Ok(changed)
    }
}

fn apply(mut state: LimitsState, mut kept: HashSet<String>, change: &Change) -> Result<Applied, Refusal> {
    let put = change.put.iter().map(entry_update).collect::<Result<Vec<_>, _>>()?;
    let removed = change.removed.iter().map(String::as_str).collect();
    let updated = state.update(&Update { complete: change.complete, put, removed })?;
    if change.complete {
        kept.clear();
    }
    for tenant in &change.removed {
        kept.remove(tenant);
    }
    for TenantLimits { tenant, mode, .. } in &change.put {
        let good_here = updated.snapshot.entry(tenant).is_some_and(|entry| entry.mode == Mode::Enforce);
        if *mode == i32::from(FeedMode::Shadow) && good_here {
            kept.insert(tenant.clone());
        } else {
            kept.remove(tenant);
        }
    }
    if let Some(tenant) = updated.passed_over.first() {
        tracing::warn!(
            tenants = updated.passed_over.len(),
            tenant,
            "the feed has fields that this version does not know, which are passed over; run the version of the overrides-sync"
        );
    }
    kept.extend(updated.passed_over);
    let (ours, theirs) = (updated.snapshot.content_sum(), change.version.content_sum);
    if kept.is_empty() && ours != theirs {
        return Err(Refusal::Sum { theirs, ours });
    }
    Ok(Applied { state, kept, changed: updated.changed })
}

fn entry_update(entry: &TenantLimits) -> Result<EntryUpdate<'_>, Refusal> {
    let TenantLimits { tenant, mode, fields } = entry;
    let mode = match FeedMode::try_from(*mode) {
        Ok(FeedMode::Enforce) => Mode::Enforce,
        Ok(FeedMode::Shadow) => Mode::Shadow,
        Err(_) => {
            let tenant = tenant.chars().take(SHOWN_CHARACTERS).collect();
            return Err(Refusal::Mode { tenant, mode: *mode });
        }
    };
    Ok(EntryUpdate { tenant, mode, own_fields: fields })
}

/// As much of a tenant as a log line needs.
const SHOWN_CHARACTERS: usize = 100;

fn origin(version: &Version) -> Option<Origin> {
    let Version { uid, resource_version, .. } = version;
    let is_known = !uid.is_empty() && !resource_version.is_empty();
    is_known.then(|| Origin { uid: uid.as_str().into(), resource_version: resource_version.as_str().into() })
}

#[cfg(test)]
mod tests;
