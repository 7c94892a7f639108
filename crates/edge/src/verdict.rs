//! What came out of the steps, for the answer and for the records.

use enforce::{Decision, DenyReason};
use limits::Mode;
use remote_write::{BodyErrorKind, Protocol, PushCounts};

use crate::charge::{Unmetered, UnmeteredOutcome};
use crate::pipeline::Stop;

/// Everything that is known once a push is decided.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether it goes on.
    pub decision: Decision,
    /// Why it is allowed; meaningless for a denial.
    pub allowed: AllowReason,
    /// Whether a denial is sent or only counted.
    pub mode: Mode,
    /// Known once the tenant is: Mimir looks at it no earlier.
    pub protocol: Option<Protocol>,
    /// What Mimir says before anything else about a content type that it does not know; then its answer is a 400, whatever comes of the push.
    pub content_type_fault: Option<String>,
    /// What the push holds; zeros until it was read.
    pub counts: PushCounts,
    /// Why what Mimir charges is not known, and what became of that.
    pub unmetered: Option<(Unmetered, UnmeteredOutcome)>,
    /// What was wrong with an unreadable body.
    pub unreadable: Option<BodyErrorKind>,
    /// What was taken from the buckets, whatever came of the push afterwards.
    pub charged: Charged,
}

/// What a push took from its tenant's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// From the request bucket: 0 or 1, or the hits of a rate limit call.
    pub requests: u64,
    /// From the ingestion bucket.
    pub items: u64,
}

impl Verdict {
    /// Allowed, until the stages say otherwise.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            decision: Decision::Allow,
            allowed: AllowReason::WithinLimits,
            mode,
            protocol: None,
            content_type_fault: None,
            counts: PushCounts::default(),
            unmetered: None,
            unreadable: None,
            charged: Charged::default(),
        }
    }

    pub(crate) fn conclude(mut self, stop: Stop) -> Result<Self, Undecided> {
        match stop {
            Stop::Allowed(reason) => self.allowed = reason,
            Stop::Denied(denial) => self.decision = Decision::Deny(denial),
            Stop::Undecided(why) => return Err(why),
        }
        Ok(self)
    }

    /// The label that says why it was decided so.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.decision {
            Decision::Allow => self.allowed.as_str(),
            Decision::Deny(denial) => denial.reason().as_str(),
        }
    }

    /// What the ratelimit filter is to charge, if it is the one that charges this push.
    #[must_use]
    pub fn items_left_to_charge(&self) -> Option<u64> {
        let left = self.decision == Decision::Allow && self.allowed == AllowReason::ChargedByRateLimit;
        left.then(|| self.counts.items())
    }
}

/// Why a push goes on to Mimir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowReason {
    /// It was charged, and its buckets had enough.
    WithinLimits,
    /// It holds nothing that Mimir charges.
    NothingToCharge,
    /// Its replica is not the elected one of its Prometheus pair, or the pair is over `ha_max_clusters`: Mimir drops it.
    HaNotElected,
    /// What Mimir would charge is not known, and is more than the tenant's bucket holds, or nothing that it pays for: Mimir answers it.
    /// [`Verdict::unmetered`] says why.
    NotMetered,
    /// Its samples are charged by the rate limit call that follows (`--charge-samples-in rate-limit`).
    ChargedByRateLimit,
    /// The operator has Envoy send no bodies, or mimir-rls decode none.
    BodyNotDecoded,
    /// The operator forwards unreadable bodies (`--unreadable-body forward`).
    UnreadableForwarded,
    /// The tenant's mode is off: nothing is looked at.
    ModeOff,
    /// There are no limits yet, and the tenant's mode is not enforce.
    NoLimits,
}

impl AllowReason {
    /// Those that count as a decision.
    pub const ALL: [Self; 8] = [
        Self::WithinLimits,
        Self::NothingToCharge,
        Self::HaNotElected,
        Self::NotMetered,
        Self::BodyNotDecoded,
        Self::UnreadableForwarded,
        Self::ModeOff,
        Self::NoLimits,
    ];

    /// The label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WithinLimits => "within_limits",
            Self::NothingToCharge => "nothing_to_charge",
            Self::HaNotElected => "ha_not_elected",
            Self::NotMetered => "not_metered",
            Self::ChargedByRateLimit => "charged_by_rate_limit",
            Self::BodyNotDecoded => "body_not_decoded",
            Self::UnreadableForwarded => "unreadable_forwarded",
            Self::ModeOff => "mode_off",
            Self::NoLimits => "no_limits",
        }
    }

    /// Whether a push can be allowed for this reason in a mode.
    #[must_use]
    pub fn occurs_in(self, mode: Mode) -> bool {
        match self {
            Self::ModeOff => mode == Mode::Off,
            Self::NoLimits => mode == Mode::Shadow,
            _ => mode != Mode::Off,
        }
    }
}

/// Whether a push can be refused for this reason in a mode: with mode off nothing is looked at but what comes before the tenant is known.
pub(crate) fn denial_occurs_in(reason: DenyReason, mode: Mode) -> bool {
    match reason {
        DenyReason::TenantMissing
        | DenyReason::TenantInvalid
        | DenyReason::TooManyTenants
        | DenyReason::TenantHeaderRepeated
        | DenyReason::EdgeOverloaded
        | DenyReason::EdgeError
        | DenyReason::BodyTooLarge => true,
        DenyReason::EdgeMaxBodyBytes
        | DenyReason::RequestRate
        | DenyReason::UnreadableBody
        | DenyReason::EdgeMaxSeriesPerRequest
        | DenyReason::EdgeUnmetered
        | DenyReason::IngestionRate
        | DenyReason::IngestionBurst => mode != Mode::Off,
    }
}

/// Why there is no verdict. The caller gets an error: this process does not work yet, and what that means is the caller's failure mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// No limits were loaded yet; the server is not healthy, and is not asked.
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
