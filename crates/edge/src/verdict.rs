//! The result of the pipeline, for the answer and for the records.

use enforce::{Denial, DenyReason};
use limits::{Mode, Tenant};
use remote_write::{BodyErrorKind, Protocol, PushCounts};

use crate::charge::{Unmetered, UnmeteredOutcome};
use crate::control::ControlState;
use crate::identify::Identity;
use crate::push::Push;

pub use crate::outcome::{AllowReason, Charged, Undecided};

/// Everything that is known once a push is decided.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Why it is allowed, or the denial.
    pub decision: Result<AllowReason, Denial>,
    /// Whether a denial is sent or only counted.
    pub mode: Mode,
    /// Whether the tenant has an override in the limits that decided.
    pub has_override: bool,
    /// Known once the tenant is, as in Mimir.
    pub protocol: Option<Protocol>,
    /// Mimir's error for an unknown content type; its answer is then a 400, whatever the decision.
    pub content_type_fault: Option<String>,
    /// What the push holds; zeros until it is decoded.
    pub counts: PushCounts,
    /// Why the push cannot be metered, and the outcome.
    pub unmetered: Option<(Unmetered, UnmeteredOutcome)>,
    /// What was wrong with an unreadable body.
    pub unreadable: Option<BodyErrorKind>,
    /// What was taken from the buckets.
    pub charged: Charged,
}

impl Verdict {
    /// Denies a push of which at most the tenant is known, by the current settings of that tenant.
    #[must_use]
    pub fn not_received(control: &ControlState, tenant: Option<&Tenant<'_>>, denial: Denial) -> Self {
        let unknown = Identity::unknown(control);
        let of_tenant = tenant.map(|tenant| control.for_tenant(tenant));
        let identity = of_tenant.map_or(unknown, |of_tenant| unknown.with_settings(&of_tenant));
        Self::new(identity, Err(denial))
    }

    fn new(Identity { mode, has_override, protocol }: Identity, decision: Result<AllowReason, Denial>) -> Self {
        Self {
            decision,
            mode,
            has_override,
            protocol,
            content_type_fault: None,
            counts: PushCounts::default(),
            unmetered: None,
            unreadable: None,
            charged: Charged::default(),
        }
    }

    /// On a push of which this is known.
    pub(crate) fn of(identity: Identity, push: &Push, decision: Result<AllowReason, Denial>) -> Self {
        let protocol = identity.protocol;
        let content_type_fault = protocol.and_then(|_| remote_write::content_type_fault(push.content_type.as_deref()));
        Self { content_type_fault, ..Self::new(identity, decision) }
    }

    /// The denial, if it is one.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        self.decision.as_ref().err()
    }

    /// The reason, as the value of a label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.decision {
            Ok(allowed) => allowed.as_str(),
            Err(denial) => denial.reason().as_str(),
        }
    }

    /// What Envoy's ratelimit filter is to charge, if it charges this push.
    #[must_use]
    pub fn items_left_to_charge(&self) -> Option<u64> {
        (self.decision == Ok(AllowReason::ChargedByRateLimit)).then(|| self.counts.items())
    }
}

/// Whether a push can be denied for this reason in a mode: in mode off, only before the tenant is known.
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
