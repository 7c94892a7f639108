//! What an operator chooses of the decision once, for all tenants.

use remote_write::BodyLimits;

/// How pushes are decided, beside limits and modes.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How bodies are decoded.
    pub bodies: BodyPolicy,
    /// Whether [`crate::Pipeline::decide`] charges what a push holds. If not, its caller does by [`crate::Pipeline::charge_hits`], with the items
    /// that the verdict names.
    pub charge_items: bool,
    /// Whether Mimir runs its HA tracker. If not, `accept_ha_samples` has no effect.
    pub ha_tracker: bool,
}

/// How bodies are decoded.
#[derive(Clone, Copy, Debug)]
pub struct BodyPolicy {
    /// Whether they are at all: if not, pushes are charged as requests alone.
    pub decode: bool,
    /// The largest body as sent, in bytes.
    pub max_request_bytes: usize,
    /// What a body may come to.
    pub limits: BodyLimits,
    /// What becomes of a body that is not readable remote write: false denies it with Mimir's text, true forwards it uncharged.
    pub forward_unreadable: bool,
}
