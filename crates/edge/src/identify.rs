//! The second stage: the tenant of a push, its mode, and the limits that apply.

use enforce::{BucketOwner, Denial, DenyReason};
use limits::{EdgeLimits, Mode, RateLimit, Tenant, TenantError, TenantView};
use remote_write::{ContentType, Protocol};

use crate::control::{ControlState, TenantSettings};
use crate::outcome::{AllowReason, Stop, Undecided};
use crate::push::{Push, TenantHeader};

/// Reads the tenant's header by Mimir's rules.
///
/// # Errors
/// Mimir's denial of a header without a valid tenant, or the edge's of a header sent with different values.
pub fn tenant_of(header: &TenantHeader) -> Result<Tenant<'_>, Denial> {
    let value = match header {
        TenantHeader::Absent => None,
        TenantHeader::Once(value) => Some(value.as_ref()),
        TenantHeader::Repeated => {
            let message = "the X-Scope-OrgID header was sent more than once, with different values; send it once \
                           (err-edge-tenant-header-repeated)";
            return Err(Denial::new(DenyReason::TenantHeaderRepeated, message.to_owned()));
        }
    };
    Tenant::parse(value).map_err(|error| Denial::new(tenant_reason(&error), error.to_string()))
}

fn tenant_reason(error: &TenantError) -> DenyReason {
    match error {
        TenantError::Missing => DenyReason::TenantMissing,
        TenantError::TooMany { .. } => DenyReason::TooManyTenants,
        TenantError::UnsupportedCharacter { .. } | TenantError::TooLong | TenantError::DotOrDotDot => {
            DenyReason::TenantInvalid
        }
    }
}

/// What is known of a push, whatever its decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) mode: Mode,
    /// Whether its tenant has an override.
    pub(crate) has_override: bool,
    /// Known once the tenant is, as in Mimir.
    pub(crate) protocol: Option<Protocol>,
}

impl Identity {
    /// Of a push whose tenant is not known.
    pub(crate) fn unknown(control: &ControlState) -> Self {
        Self { mode: control.mode_without_tenant(), has_override: false, protocol: None }
    }

    /// With the settings of its tenant.
    pub(crate) fn with_settings(self, of_tenant: &TenantSettings<'_>) -> Self {
        Self { mode: of_tenant.mode, has_override: of_tenant.has_override(), ..self }
    }

    /// With its protocol.
    pub(crate) fn with_protocol_of(self, push: &Push) -> (Self, Protocol) {
        let protocol = protocol_of(push);
        (Self { protocol: Some(protocol), ..self }, protocol)
    }
}

/// An unknown content type counts as remote write 1.0: Mimir answers 400 to it, and ingests the body as that.
fn protocol_of(push: &Push) -> Protocol {
    match remote_write::content_type(push.content_type.as_deref()) {
        ContentType::Known(protocol) => protocol,
        ContentType::Unknown => Protocol::V1,
    }
}

/// A tenant with the limits that apply to its pushes.
#[derive(Debug)]
pub(crate) struct ApplicableLimits<'c> {
    pub(crate) tenant: Tenant<'c>,
    pub(crate) mode: Mode,
    pub(crate) edge: EdgeLimits,
    pub(crate) limits: TenantView<'c>,
    pub(crate) control: &'c ControlState,
}

impl<'c> TenantSettings<'c> {
    /// # Errors
    /// The mode is off, or no limits are loaded yet.
    pub(crate) fn applicable(self) -> Result<ApplicableLimits<'c>, Stop> {
        let Self { tenant, mode, edge, limits, control } = self;
        match (mode, limits) {
            (Mode::Off, _) => Err(Stop::Allowed(AllowReason::ModeOff)),
            (_, Some(limits)) => Ok(ApplicableLimits { tenant, mode, edge, limits, control }),
            (Mode::Shadow, None) => Err(Stop::Allowed(AllowReason::NoLimits)),
            (Mode::Enforce, None) => Err(Stop::Undecided(Undecided::NoLimits)),
        }
    }
}

impl<'c> ApplicableLimits<'c> {
    /// Whose buckets are charged. All charges of a push, and all refunds of one, are for one owner.
    pub(crate) fn owner(&self) -> BucketOwner<'c> {
        BucketOwner { tenant: self.tenant, has_override: self.limits.has_override }
    }

    /// The limit of the bare tenant's request bucket.
    pub(crate) fn request_limit(&self) -> RateLimit {
        self.limits.tenant.limits.request_limit(self.control.distributors)
    }

    /// The limit of the ingestion bucket of the tenant's spelling.
    pub(crate) fn ingestion_limit(&self) -> RateLimit {
        self.limits.ingestion.limits.ingestion_limit(self.control.distributors)
    }
}
