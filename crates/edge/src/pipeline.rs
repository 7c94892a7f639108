//! The stages of a push in Mimir's order: tenant, request rate, and only then the body.

use std::sync::Arc;

use enforce::{Denial, Enforcer, MonotonicNanos};
use remote_write::BodyLimits;

use crate::charge::{Charge, ChargedRequest, Receipts, deny_oversized};
use crate::clock::Clock;
use crate::control::{ControlHandle, ControlState};
use crate::decode::{Contents, DecodePlan, DecodePool, Lane, body_of, decode};
use crate::identify::{ApplicableLimits, protocol_of, tenant_of};
use crate::push::Push;
use crate::verdict::{AllowReason, Undecided, Verdict};

/// What the operator sets for all tenants, besides limits and modes.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How bodies are decoded.
    pub bodies: BodyPolicy,
    /// Whether [`Pipeline::decide`] charges items. If not, its caller charges those of the verdict by [`Pipeline::charge_hits`].
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

/// Decides on pushes; shared by all calls.
#[derive(Debug)]
pub struct Pipeline {
    control: ControlHandle,
    pub(crate) policy: Policy,
    pub(crate) enforcer: Enforcer,
    pool: Option<DecodePool>,
    pub(crate) receipts: Receipts,
    pub(crate) clock: Clock,
}

/// Why the stages end.
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

/// A push between the charge of its request and the charge of its contents.
struct PendingPush<'p> {
    applicable: ApplicableLimits<'p>,
    request: ChargedRequest<'p>,
    /// The decision of the request rate.
    admitted: Result<(), Denial>,
}

impl Pipeline {
    /// A pipeline that decides by the current state of `control`. Bodies that take long are decoded by `pool`, if there is one.
    #[must_use]
    pub fn new(control: ControlHandle, policy: Policy, pool: Option<DecodePool>, clock: Clock) -> Self {
        let receipts = Receipts::of_process(rand::random());
        Self { control, policy, enforcer: Enforcer::new(), pool, receipts, clock }
    }

    /// The buckets of all tenants.
    #[must_use]
    pub fn enforcer(&self) -> &Enforcer {
        &self.enforcer
    }

    /// The current control state.
    #[must_use]
    pub fn control(&self) -> Arc<ControlState> {
        self.control.load()
    }

    pub(crate) fn now(&self) -> MonotonicNanos {
        self.clock.now()
    }

    /// Evicts idle pairs, and tenants whose buckets are full; returns how many tenants. To be called about once a minute.
    pub fn evict_idle(&self) -> usize {
        self.control.load().evict_idle_pairs(self.clock.unix_millis());
        self.enforcer.evict_idle(self.clock.now())
    }

    /// Decides on a push, and charges it. A body that takes long is decoded by the pool.
    ///
    /// # Errors
    /// No limits are loaded yet.
    pub async fn decide(&self, push: &Push) -> Result<Verdict, Undecided> {
        self.decide_by(&self.control.load(), push, Charge::Commit).await
    }

    /// Decides on a push, and charges it. Its body is decoded by this thread, however long that takes.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub fn decide_here(&self, push: &Push) -> Result<Verdict, Undecided> {
        let control = self.control.load();
        let mut verdict = Verdict::new(control.mode_without_tenant());
        let stop = match self.begin(&control, push, Charge::Commit, &mut verdict) {
            Ok((pending, plan)) => {
                let decoded = self.decode_in_place(push, &plan);
                self.finish(pending, push, decoded, Charge::Commit, &mut verdict)
            }
            Err(stop) => stop,
        };
        verdict.conclude(stop)
    }

    pub(crate) async fn decide_by(
        &self,
        control: &ControlState,
        push: &Push,
        charge: Charge,
    ) -> Result<Verdict, Undecided> {
        let mut verdict = Verdict::new(control.mode_without_tenant());
        let stop = match self.begin(control, push, charge, &mut verdict) {
            Ok((pending, plan)) => {
                let decoded = self.decode(push, charge.lane(pending.applicable.tenant.id()), plan).await;
                self.finish(pending, push, decoded, charge, &mut verdict)
            }
            Err(stop) => stop,
        };
        verdict.conclude(stop)
    }

    /// Identifies the push and charges its request. Nothing is decoded for a tenant over its request rate.
    fn begin<'p>(
        &'p self,
        control: &'p ControlState,
        push: &'p Push,
        charge: Charge,
        verdict: &mut Verdict,
    ) -> Result<(PendingPush<'p>, DecodePlan), Stop> {
        let tenant = tenant_of(&push.tenant)?;
        let of_tenant = control.for_tenant(&tenant);
        verdict.mode = of_tenant.mode;
        let applicable = of_tenant.applicable()?;
        let protocol = protocol_of(push);
        verdict.protocol = Some(protocol);
        verdict.content_type_fault = remote_write::content_type_fault(push.content_type.as_deref());

        deny_oversized(&push.body, &self.policy.bodies, applicable.edge)?;
        let (request, admitted) = self.charge_request(&applicable, charge);
        if charge == Charge::Commit {
            admitted.clone()?;
            verdict.charged.requests = 1;
        }
        let plan = self.plan(&applicable, protocol, charge);
        Ok((PendingPush { applicable, request, admitted }, plan))
    }

    async fn decode(&self, push: &Push, lane: Lane<'_>, plan: DecodePlan) -> Contents {
        match (body_of(push, &self.policy.bodies), &self.pool) {
            (Ok(body), Some(pool)) => pool.decode(lane, body, plan).await,
            _ => self.decode_in_place(push, &plan),
        }
    }

    fn decode_in_place(&self, push: &Push, plan: &DecodePlan) -> Contents {
        let decoded = body_of(push, &self.policy.bodies).map(|body| decode(body, self.policy.bodies.limits, plan));
        decoded.unwrap_or_else(|known| known)
    }

    /// Charges the contents of the push.
    fn finish(
        &self,
        pending: PendingPush<'_>,
        push: &Push,
        decoded: Contents,
        charge: Charge,
        verdict: &mut Verdict,
    ) -> Stop {
        let PendingPush { applicable, mut request, admitted } = pending;
        if let Contents::Decoded(decoded) = &decoded {
            verdict.counts = decoded.counts;
        }
        // In a dry run the push is decoded all the same: its size determines when it would pass.
        if let Err(denial) = admitted {
            return Stop::Denied(denial);
        }
        let stop = self.charge_contents(&applicable, decoded, push.skips_validation, charge, verdict);
        request.keep_unless_unavailable(&stop);
        if request.is_refunded() {
            verdict.charged.requests = 0;
        }
        stop
    }
}
