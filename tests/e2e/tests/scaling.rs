//! Several mimir-rls behind Envoy: a tenant's limit holds over all of them, and what it costs when tenants move between them.
//!
//! A tenant's pushes are one replica's (Maglev on the bare tenant). It moves when that replica goes, and when one that comes takes it over; the
//! new one begins with a full bucket, so each move is worth one burst at most.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod deaths;
mod decision_counts;
mod limits;
mod load;
mod moves;
mod restarts;
mod tables;
mod tenants;
