//! Token buckets and decisions as Mimir makes them, with time as an argument.
//!
//! A push is decided in steps, each with one short lock and a [`Decision`]: [`Enforcer::admit_request`] before the body is
//! decoded, [`Enforcer::charge_items`] once it is counted. A [`Level`] previews both. Between the two, [`Elections`] say
//! which replica of a Prometheus pair is charged. Nothing here does I/O, reads a clock or draws a random number: the caller
//! passes the [`MonotonicNanos`] and the randomness, so the same calls always return the same results.
//!
//! The invariant: a bucket denies exactly what Go's `golang.org/x/time/rate` denies in Mimir, and a denied charge changes
//! no token.

mod bucket;
mod decision;
mod election;
mod enforcer;
mod go_float;
mod level;
mod message;
mod retry_after;
mod tenant_state;
mod time;
mod unmetered;

pub use decision::{Decision, Denial, DenyReason};
pub use election::{
    Election, ElectionRules, Elections, HaPair, MAX_BYTES as MAX_ELECTION_BYTES,
    MAX_TENANT_BYTES as MAX_TENANT_ELECTION_BYTES, ReplicaStatus, TrackerEntry,
};
pub use enforcer::{BucketOwner, Enforcer, MAX_PLACES};
pub use go_float::format_go_float;
pub use level::Level;
pub use retry_after::retry_after_seconds;
pub use tenant_state::{MAX_SPELLINGS, UnmeteredCharge};
pub use time::{MonotonicNanos, UnixMillis};
pub use unmetered::{UNMETERED_FACTOR, unmetered_denial};
