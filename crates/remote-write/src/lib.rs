//! Counts what Mimir charges for a Prometheus remote-write push (1.0 and 2.0), on the wire format, without building messages.
//!
//! [`read_push`] takes the body of a push as sent (snappy block format around protobuf), checks whether Mimir could decode
//! it, and counts the samples, histograms, exemplars and metadata that are valid by a tenant's [`Validation`]. It copies no
//! label: it walks the decompressed bytes once, with buffers that the caller keeps in a [`Scratch`].
//!
//! [`relabel`] applies a tenant's relabelling rules to the labels of a series, as Mimir does before it validates them.
//!
//! It does no I/O and reads no clock: the time of a push is an argument.
//!
//! Invariants:
//! - A body is rejected exactly when full protobuf decoding of Mimir's messages rejects it, or one of Mimir's own rules
//!   does: fields of the other protocol, and references to no symbol.
//! - A length claimed by the body allocates nothing before it is compared with the caller's cap and with the largest size
//!   that snappy can decompress so few bytes to.
//! - Reading a push again with the same [`Scratch`] allocates nothing.
//! - Work and memory are bounded by the decompressed bytes, whatever the references: see [`working_bytes`].
//! - A push is charged what Mimir charges or, if it is [`Unmetered`], no less than Mimir may charge.
//! - A series is walked once, and a second time only if the times of its samples do not ascend.
//! - No input panics.

mod bytes;
mod content_type;
mod counts;
mod error;
mod exemplar;
mod families;
mod ha;
mod histogram;
mod labels;
mod messages;
mod points;
mod push_counter;
mod read;
pub mod relabel;
mod relabelled;
mod removals;
mod scratch;
mod snappy;
mod sorted_labels;
mod symbols;
mod unmetered;
mod v1;
mod v2;
mod validation;
mod visitor;
mod wire;
mod work;

#[cfg(feature = "encode")]
pub mod encode;

pub use content_type::{ContentType, content_type, content_type_fault};
pub use counts::{Contents, PushCounts};
pub use error::{BodyError, BodyErrorKind, ProtobufError};
pub use ha::{Dedupe, HaRules, MAX_REPLICAS, Replica};
pub use read::{BodyLimits, Rules, TenantRelabeler, read_push};
pub use relabelled::MAX_RULE_RUNS;
pub use scratch::{Scratch, working_bytes};
pub use snappy::claimed_bytes;
pub use unmetered::Unmetered;
pub use validation::{CLOCK_MARGIN_MS, Validation};

/// The version of remote write that a push is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Remote write 1.0, message `prometheus.WriteRequest`.
    V1,
    /// Remote write 2.0, message `io.prometheus.write.v2.Request`.
    V2,
}
