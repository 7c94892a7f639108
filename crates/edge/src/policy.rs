//! What the operator, or the caller of the pipeline, sets for a decision, besides limits and modes.

use remote_write::BodyLimits;

/// What the operator sets for all tenants, besides limits and modes.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How bodies are decoded.
    pub bodies: BodyPolicy,
    /// Whether [`Pipeline::decide`](crate::Pipeline::decide) charges items. If not, its caller charges those of the verdict by
    /// [`Pipeline::charge_hits`](crate::Pipeline::charge_hits).
    pub charge_items: bool,
    /// Whether Mimir runs its HA tracker. If not, `accept_ha_samples` has no effect.
    pub ha_tracker: bool,
}

/// How bodies are decoded.
#[derive(Clone, Copy, Debug)]
pub struct BodyPolicy {
    /// Whether they are decoded at all: if not, pushes are charged as requests alone.
    pub decode: bool,
    /// The largest body as sent, in bytes.
    pub max_request_bytes: usize,
    /// The limits on a decoded body.
    pub limits: BodyLimits,
    /// Whether an unreadable body is forwarded uncharged, or denied with Mimir's text.
    pub forward_unreadable: bool,
}

/// Whether a decision takes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    Commit,
    /// Decides the same, and takes none.
    DryRun,
}
