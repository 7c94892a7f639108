//! Several mimir-rls behind Envoy: a tenant's limit holds over all of them, and what it costs when tenants move between them.
//!
//! All pushes of a tenant go to one replica (Maglev on the bare tenant). A tenant moves when that replica leaves, or when a new one takes it over. The
//! new replica begins with a full bucket, so each move is worth one burst at most.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod deaths;
mod decision_counts;
mod limits;
mod load;
mod moves;
mod restarts;
mod tables;
mod tenants;
