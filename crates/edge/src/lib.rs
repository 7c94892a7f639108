//! The decision on a push, as a library: a [`Push`] in, a [`Verdict`] out, and what is recorded of it.
//!
//! A push travels through these stages, each a module:
//!
//! 1. [`admit`]: is there room in memory for it?
//! 2. [`identify`]: whose push is it, in which mode, and by which limits is it decided?
//! 3. [`decode`]: what does its body hold?
//! 4. [`charge`]: what does it cost, and do its tenant's buckets hold that?
//! 5. [`answer`]: what does its client get?
//! 6. [`record`]: what do metrics, logs and the audit log say of it?
//!
//! [`Pipeline`] runs stages 2 to 4 in Mimir's order, by the [`control`] state of one moment. Admission comes before a push is whole, so its shell
//! calls it, as it calls [`Verdict::answer`] and [`Recorder`].
//!
//! Not here: protocols, listeners, where limits come from, and the life of a process. A shell brings those.

mod admit;
mod answer;
mod charge;
mod clock;
mod control;
mod decode;
mod explain;
mod identify;
mod pipeline;
mod policy;
mod push;
mod record;
mod verdict;

pub use admit::{Budget, BudgetExceeded, Reservation, SHARES};
pub use answer::{Answer, BodySize, body_too_large, failed, overloaded};
pub use charge::{Hits, HitsVerdict, Refund, RefundCause, Unmetered, UnmeteredOutcome};
pub use clock::Clock;
pub use control::{
    ControlState, ControlHandle, ControlWriter, HaTracker, RelabelUnavailable, Relabelling, TenantSettings, TrackerList,
};
pub use decode::DecodePool;
pub use explain::{BucketView, Explanation};
pub use identify::tenant_of;
pub use pipeline::Pipeline;
pub use policy::{BodyPolicy, Policy};
pub use push::{Push, PushBody, SKIP_VALIDATION, TenantHeader, retry_attempt};
pub use record::{AuditTarget, DenialRecord, Denials, Recorder, Subject};
pub use verdict::{AllowReason, Charged, Undecided, Verdict};
