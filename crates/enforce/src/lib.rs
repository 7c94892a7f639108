//! Token buckets and decisions as Mimir makes them, with time as an argument.
//!
//! A push is decided in steps, each of which takes one short lock and gives a [`Decision`]:
//! [`Enforcer::admit_request`] before the body is looked at, [`Enforcer::charge_items`] once it is counted. A [`Level`]
//! tells beforehand what they would decide. Between the two, [`Elections`] tell which replica of a Prometheus pair is the
//! one that is charged. Nothing here does I/O, reads a clock or draws a random number: the caller passes the [`MonotonicNanos`] and the randomness, so the
//! same calls always give the same answers.
//!
//! The invariant kept throughout: a bucket refuses exactly what Go's `golang.org/x/time/rate` refuses in Mimir, and a
//! refused charge changes no token.

mod bucket;
mod decision;
mod election;
mod enforcer;
mod go_float;
mod level;
mod message;
mod monotonic_nanos;
mod retry_after;
mod tenant_state;

pub use decision::{Decision, Denial, DenyReason};
pub use election::{
    Election, ElectionRules, Elections, HaPair, MAX_BYTES as MAX_ELECTION_BYTES,
    MAX_TENANT_BYTES as MAX_TENANT_ELECTION_BYTES, ReplicaStatus, TrackerEntry, UnixMillis,
};
pub use enforcer::{Enforcer, MAX_PLACES, UNMETERED_FACTOR, unmetered_denial};
pub use go_float::format_go_float;
pub use level::Level;
pub use monotonic_nanos::MonotonicNanos;
pub use retry_after::retry_after_seconds;
pub use tenant_state::{MAX_SPELLINGS, UnmeteredCharge};
