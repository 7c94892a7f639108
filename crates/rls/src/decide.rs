//! The decision on one push: the steps of the design in Mimir's order, each a call into a pure crate.

mod body;
mod verdict;

use enforce::{Decision, Denial, DenyReason, Enforcer};
use limits::{Snapshot, Tenant, TenantError, TenantView};
use remote_write::{BodyError, ContentType, Exemplars, Protocol, PushCounts};

pub(crate) use verdict::{AllowReason, Undecided, Verdict};

use body::BodyReader;

use crate::args::UnreadableBody;
use crate::clock::Clock;
use crate::config::BodyPolicy;
use crate::limits_in_force::LimitsInForce;
use crate::push::{Push, PushBody, TenantHeader};

/// Decides on pushes; shared by all calls.
pub(crate) struct Decider {
    limits: LimitsInForce,
    enforcer: Enforcer,
    bodies: BodyPolicy,
    reader: BodyReader,
    clock: Clock,
}

impl Decider {
    pub(crate) fn new(limits: LimitsInForce, bodies: BodyPolicy) -> Self {
        Self {
            limits,
            enforcer: Enforcer::new(),
            bodies,
            reader: BodyReader::new(bodies.decode),
            clock: Clock::start(),
        }
    }

    pub(crate) fn enforcer(&self) -> &Enforcer {
        &self.enforcer
    }

    /// Forgets tenants whose buckets are full; returns how many.
    pub(crate) fn evict_idle(&self) -> usize {
        self.enforcer.evict_idle(self.clock.now())
    }

    /// The verdict on a push.
    ///
    /// # Errors
    /// While there are no limits to decide by, and when the server goes down in the middle of it.
    pub(crate) async fn decide(&self, push: &Push) -> Result<Verdict, Undecided> {
        let snapshot = self.limits.load().ok_or(Undecided::NoLimits)?;
        let mut verdict = Verdict::new(snapshot.defaults().mode);
        match self.steps(push, &snapshot, &mut verdict).await {
            Ok(reason) => verdict.allowed = reason,
            Err(Stop::Denied(denial)) => verdict.decision = Decision::Deny(denial),
            Err(Stop::Undecided(why)) => return Err(why),
        }
        Ok(verdict)
    }

    /// The order is Mimir's: whose push, how often, and only then what is in it. Nothing is read for a tenant over its request rate.
    async fn steps(&self, push: &Push, snapshot: &Snapshot, verdict: &mut Verdict) -> Result<AllowReason, Stop> {
        let tenant = tenant_of(&push.tenant)?;
        let limits = snapshot.for_tenant(&tenant);
        verdict.mode = limits.tenant.mode;
        let protocol = protocol_of(push);
        verdict.protocol = Some(protocol);

        self.refuse_oversized(&push.body)?;
        allowed(self.enforcer.admit_request(&tenant, limits.tenant.limits.request_limit(), self.clock.now()))?;

        let PushBody::Whole(body) = &push.body else { return Ok(AllowReason::BodyWithheld) };
        let exemplars = if limits.tenant.limits.stores_exemplars() { Exemplars::Read } else { Exemplars::Skip };
        match self.reader.read(protocol, body, exemplars).await.ok_or(Undecided::GoingDown)? {
            Ok(counts) => verdict.counts = counts,
            Err(error) => return Ok(self.unreadable(&error, verdict)?),
        }
        Ok(self.charge(&tenant, &limits, &verdict.counts)?)
    }

    fn refuse_oversized(&self, body: &PushBody) -> Result<(), Denial> {
        let limit = self.bodies.max_request_bytes;
        let size = match body {
            PushBody::Whole(body) if body.len() > limit => format!("has {} bytes", body.len()),
            PushBody::Partial => "is larger than the proxy buffers".to_owned(),
            PushBody::Whole(_) | PushBody::Withheld => return Ok(()),
        };
        Err(body_too_large(&size, limit))
    }

    fn unreadable(&self, error: &BodyError, verdict: &mut Verdict) -> Result<AllowReason, Denial> {
        verdict.unreadable = Some(error.kind());
        match self.bodies.unreadable {
            UnreadableBody::Refuse => Err(Denial::new(DenyReason::UnreadableBody, error.to_string())),
            UnreadableBody::Forward => Ok(AllowReason::UnreadableForwarded),
        }
    }

    fn charge(&self, tenant: &Tenant<'_>, limits: &TenantView<'_>, counts: &PushCounts) -> Result<AllowReason, Denial> {
        if counts.items() == 0 {
            return Ok(AllowReason::NothingToCharge);
        }
        if limits.tenant.limits.charge_needs_content_rules() {
            return Ok(AllowReason::LeftToMimir);
        }
        let limit = limits.ingestion.limits.ingestion_limit();
        allowed(self.enforcer.charge_items(tenant, limit, counts.items(), self.clock.now()))?;
        Ok(AllowReason::WithinLimits)
    }
}

/// The refusal of a body of which `size` says how large it is; `limit` is the largest that is read, in bytes.
pub(crate) fn body_too_large(size: &str, limit: usize) -> Denial {
    let message = format!(
        "the push has been rejected because its body {size}; the edge reads up to {limit} bytes as sent (err-edge-max-request-bytes). \
         To adjust the limit, configure --max-request-bytes and the proxy's max_request_bytes, or contact your service administrator."
    );
    Denial::new(DenyReason::BodyTooLarge, message)
}

/// Why the steps ended early.
enum Stop {
    Denied(Denial),
    Undecided(Undecided),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Undecided> for Stop {
    fn from(why: Undecided) -> Self {
        Self::Undecided(why)
    }
}

fn allowed(decision: Decision) -> Result<(), Denial> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Deny(denial) => Err(denial),
    }
}

fn tenant_of(header: &TenantHeader) -> Result<Tenant<'_>, Denial> {
    let value = match header {
        TenantHeader::Absent => None,
        TenantHeader::Once(value) => Some(value.as_ref()),
        TenantHeader::Repeated => {
            let message =
                "the X-Scope-OrgID header was sent more than once; send it once (err-edge-tenant-header-repeated)";
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

/// Mimir answers 400 to a content type that it does not know and ingests the body as remote write 1.0 all the same, so it is charged as that.
fn protocol_of(push: &Push) -> Protocol {
    match remote_write::content_type(push.content_type.as_deref()) {
        ContentType::Known(protocol) => protocol,
        ContentType::Unknown => Protocol::V1,
    }
}
