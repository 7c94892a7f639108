//! The elected replica of a pair of Prometheus servers, from Mimir's HA tracker. Not here: how the tracker is polled, and what
//! the edge does with it.

/// The elected replica of one cluster of one tenant, as Mimir holds it (Mimir `pkg/distributor/ha_tracker_http.go`).
///
/// Times are milliseconds since 1970-01-01 UTC, by Mimir's clock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ElectedReplica {
    /// The bare tenant, without a metadata suffix.
    pub tenant: Box<str>,
    /// The value of the tenant's `ha_cluster_label`.
    pub cluster: Box<str>,
    /// The value of the tenant's `ha_replica_label`.
    pub replica: Box<str>,
    /// When Mimir saw the replica last, as it stored it: later pushes are not stored before its update timeout.
    pub received_at: i64,
    /// When Mimir elected it.
    pub elected_at: i64,
}
