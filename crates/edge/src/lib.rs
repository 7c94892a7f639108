//! The decision on a push, as a library: a [`Push`] in, a [`Verdict`] out, and a record of it.
//!
//! A push passes through these stages, each a module:
//!
//! 1. [`admit`]: is there room in memory for it?
//! 2. [`identify`]: which tenant, mode and limits apply?
//! 3. [`decode`]: what does its body hold?
//! 4. [`charge`]: what does it cost, and do its tenant's buckets hold that? The request is charged before stage 3, the items after it.
//! 5. [`answer`]: what is the client's answer?
//! 6. [`record`]: metrics, logs and the audit log.
//!
//! A stage imports only those before it, and the modules that all share ([`policy`], [`outcome`], [`own_denials`]): `make check-layers` checks that.
//!
//! [`Pipeline`] runs stages 2 to 4 in Mimir's order, by one [`control`] state. The shell calls admission before a push is received, and then
//! [`Edge::check`], which runs the pipeline and the last two stages.
//!
//! Not here: protocols, listeners, sources of limits, and the life of a process. A shell brings those.

mod admit;
mod answer;
mod charge;
mod check;
mod clock;
mod control;
mod decode;
mod evict;
mod explain;
mod identify;
mod outcome;
mod own_denials;
mod pipeline;
mod policy;
mod push;
mod record;
mod stages;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod verdict;

pub use admit::{Arrival, Budget, BudgetExceeded, Reservation, SHARES};
pub use answer::Answer;
pub use charge::{Hits, HitsVerdict, Refund, RefundCause, Unmetered, UnmeteredOutcome};
pub use check::{Edge, Outcome, denied_on_panic};
pub use clock::Clock;
pub use control::{
    ControlHandle, ControlState, ControlWriter, HaTracker, RelabelUnavailable, Relabelling, TenantSettings, TrackerList,
};
pub use decode::DecodePool;
pub use evict::evict_idle;
pub use explain::{BucketView, Explanation};
pub use identify::tenant_of;
pub use own_denials::{BodySize, Failure, Overload, body_too_large, failed, overloaded};
pub use pipeline::Pipeline;
pub use policy::{BodyPolicy, Policy};
pub use push::{Push, PushBody, TENANT_HEADER, TenantHeader};
pub use record::{AuditTarget, DenialRecord, Denials, Recorder, Subject, TenantUsage, UsageRow, close_seconds};
pub use stages::{Stage, StageTimes};
pub use verdict::{AllowReason, Charged, Undecided, Verdict};
