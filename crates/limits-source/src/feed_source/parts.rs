//! Changes and lists that arrive in parts: they are complete with their last part, and their size is bounded.

use std::time::Duration;

use limits::ElectedReplica;
use proto::edge::limits::v1::{ElectedPart, LimitsPart, TenantLimits, Version};
use thiserror::Error;

/// The most bytes of text in a change or list.
const MAX_CHANGE_BYTES: usize = 64 * 1024 * 1024;
/// The most tenants in a change.
const MAX_TENANTS: usize = 1_000_000;
/// The most elected replicas, as in a response of the tracker itself.
const MAX_ELECTED: usize = 250_000;

/// A complete change of limits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) version: Version,
    /// Whether it replaces all limits.
    pub(super) complete: bool,
    pub(super) put: Vec<TenantLimits>,
    pub(super) removed: Vec<String>,
}

/// A complete list of elected replicas.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ElectedList {
    /// Milliseconds since 1970.
    pub(super) requested_at_unix_millis: i64,
    /// How long ago that was when the last part was sent, if the server sends it.
    pub(super) age: Option<Duration>,
    pub(super) elected: Vec<ElectedReplica>,
}

/// Why parts are rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum PartError {
    #[error("a part has no version")]
    NoVersion,
    #[error("parts of two changes are mixed")]
    Mixed,
    #[error("a complete change removes tenants")]
    RemovesFromNothing,
    #[error("the parts of one change have more than {MAX_CHANGE_BYTES} bytes or {MAX_TENANTS} tenants")]
    LargeChange,
    #[error("the list of elected replicas has more than {MAX_CHANGE_BYTES} bytes or {MAX_ELECTED} entries")]
    LargeList,
}

/// The parts of a change so far.
#[derive(Debug, Default)]
pub(super) struct Changes {
    begun: Option<Change>,
    bytes: usize,
}

impl Changes {
    /// Whether a change is incomplete.
    pub(super) fn is_under_way(&self) -> bool {
        self.begun.is_some()
    }

    /// Adds a part; returns the change if this was its last part.
    pub(super) fn add(&mut self, part: LimitsPart) -> Result<Option<Change>, PartError> {
        let LimitsPart { version, complete, last, put, removed } = part;
        let version = version.ok_or(PartError::NoVersion)?;
        if complete && !removed.is_empty() {
            return Err(PartError::RemovesFromNothing);
        }
        let texts = put.iter().map(|entry| entry.tenant.len() + entry.fields.len());
        let bytes = self.bytes + texts.chain(removed.iter().map(String::len)).sum::<usize>();
        let mut change = match self.begun.take() {
            None => Change { version, complete, put, removed },
            Some(begun) if begun.version != version || begun.complete != complete => return Err(PartError::Mixed),
            Some(mut begun) => {
                begun.put.extend(put);
                begun.removed.extend(removed);
                begun
            }
        };
        if bytes > MAX_CHANGE_BYTES || change.put.len() + change.removed.len() > MAX_TENANTS {
            return Err(PartError::LargeChange);
        }
        if last {
            self.bytes = 0;
            change.put.shrink_to_fit();
            return Ok(Some(change));
        }
        (self.begun, self.bytes) = (Some(change), bytes);
        Ok(None)
    }
}

/// The parts of a list so far.
#[derive(Debug, Default)]
pub(super) struct ElectedLists {
    elected: Vec<ElectedReplica>,
    bytes: usize,
    too_large: bool,
}

impl ElectedLists {
    /// Adds a part; returns the list if this was its last part. A list that is too large is one error, at its last part.
    pub(super) fn add(&mut self, part: ElectedPart) -> Result<Option<ElectedList>, PartError> {
        let ElectedPart { requested_at_unix_millis, last, elected, age_millis } = part;
        let bytes = |entry: &proto::edge::limits::v1::ElectedReplica| {
            entry.tenant.len() + entry.cluster.len() + entry.replica.len()
        };
        self.bytes = self.bytes.saturating_add(elected.iter().map(bytes).sum());
        self.too_large |= self.bytes > MAX_CHANGE_BYTES || self.elected.len() + elected.len() > MAX_ELECTED;
        if self.too_large {
            self.elected = Vec::new();
        } else {
            self.elected.extend(elected.into_iter().map(elected_replica));
        }
        if !last {
            return Ok(None);
        }
        let age = age_millis.map(Duration::from_millis);
        let Self { elected, too_large, .. } = std::mem::take(self);
        if too_large {
            Err(PartError::LargeList)
        } else {
            Ok(Some(ElectedList { requested_at_unix_millis, age, elected }))
        }
    }
}

fn elected_replica(entry: proto::edge::limits::v1::ElectedReplica) -> ElectedReplica {
    let proto::edge::limits::v1::ElectedReplica { tenant, cluster, replica, received_at, elected_at } = entry;
    let (tenant, cluster, replica) = (tenant.into(), cluster.into(), replica.into());
    ElectedReplica { tenant, cluster, replica, received_at, elected_at }
}

#[cfg(test)]
mod tests;
