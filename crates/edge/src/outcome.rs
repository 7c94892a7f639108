//! What a stage of the pipeline ends with, and what a push took.

use enforce::Denial;
use limits::Mode;

/// What a push took from its tenant's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// From the request bucket: 0 or 1, or the hits of a rate limit call.
    pub requests: u64,
    /// From the ingestion bucket.
    pub items: u64,
}

limits::named_enum! {
    /// Why a push goes on to Mimir.
    AllowReason {
        /// It was charged, and its buckets had enough.
        WithinLimits = "within_limits",
        /// It holds nothing that Mimir charges.
        NothingToCharge = "nothing_to_charge",
        /// Its replica is not the elected one of its Prometheus pair, or the pair is over `ha_max_clusters`: Mimir drops it.
        HaNotElected = "ha_not_elected",
        /// It cannot be metered, and its tenant's bucket holds less than it may cost, or is not charged: Mimir answers it.
        /// [`Verdict::unmetered`](crate::Verdict::unmetered) says why.
        NotMetered = "not_metered",
        /// Its samples are charged by the rate limit call that follows (`--charge-samples-in rate-limit`).
        ChargedByRateLimit = "charged_by_rate_limit",
        /// The operator has Envoy send no bodies, or mimir-rls decode none.
        BodyNotDecoded = "body_not_decoded",
        /// The operator forwards unreadable bodies (`--unreadable-body forward`).
        UnreadableForwarded = "unreadable_forwarded",
        /// The tenant's mode is off.
        ModeOff = "mode_off",
        /// No limits are loaded yet, and the tenant's mode is not enforce.
        NoLimits = "no_limits",
    }
}

impl AllowReason {
    /// Whether a decision can have this reason in a mode.
    #[must_use]
    pub fn occurs_in(self, mode: Mode) -> bool {
        match self {
            // Not decided by Check, and not counted.
            Self::ChargedByRateLimit => false,
            Self::ModeOff => mode == Mode::Off,
            Self::NoLimits => mode == Mode::Shadow,
            _ => mode != Mode::Off,
        }
    }
}

/// Why there is no verdict. The caller gets an error, and its failure mode decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// No limits are loaded yet: the server is not ready, so that Envoy does not call it.
    NoLimits,
}

impl Undecided {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoLimits => "no limits were loaded yet",
        }
    }
}

/// Why the stages end before the contents of a push are charged.
#[derive(Debug)]
pub(crate) enum Stop {
    Allowed(AllowReason),
    Denied(Denial),
    Undecided(Undecided),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}
