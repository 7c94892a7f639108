//! What the log says of new limits, whichever source they come from.

use std::fmt::Display;

use limits::{Problem, Snapshot};

/// New documents as they were applied.
#[derive(Debug)]
pub(crate) struct Outcome<'o> {
    /// The limits in force before.
    pub(crate) before: Option<&'o Snapshot>,
    /// The limits in force now, if they are new.
    pub(crate) changed: Option<&'o Snapshot>,
    pub(crate) problems: &'o [Problem],
}

/// Logs each problem, and what changed. `from` is where the documents come from.
pub(crate) fn log(from: &dyn Display, outcome: &Outcome<'_>) {
    let problems = outcome.problems.len();
    for problem in outcome.problems {
        tracing::warn!(%from, "limits problem: {problem}");
    }
    let Some(snapshot) = outcome.changed else { return };
    let Some(older) = outcome.before else {
        tracing::info!(%from, tenants = snapshot.len(), problems, "the first limits are in force");
        return;
    };
    let diff = snapshot.diff(older);
    tracing::info!(
        %from, version = snapshot.version(), tenants = snapshot.len(), problems,
        added = diff.added.len(), changed = diff.changed.len(), removed = diff.removed.len(), "limits are in force",
    );
}
