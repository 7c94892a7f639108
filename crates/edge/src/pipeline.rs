//! The way of a push through the stages, in Mimir's order: whose push, how often, and only then what is in it.

use std::sync::Arc;

use enforce::{Denial, Enforcer, MonotonicNanos};

use crate::charge::{Charge, ChargedRequest, Receipts, deny_oversized};
use crate::clock::Clock;
use crate::control::{ControlState, ControlHandle};
use crate::decode::{Contents, DecodePlan, DecodePool, Decoded, Lane};
use crate::identify::{ApplicableLimits, protocol_of, tenant_of};
use crate::policy::Policy;
use crate::push::Push;
use crate::verdict::{AllowReason, Undecided, Verdict};

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

/// A push between the request charge and the charge of what it holds.
struct Begun<'p> {
    applicable: ApplicableLimits<'p>,
    request: ChargedRequest<'p>,
    /// What the request rate says.
    admitted: Result<(), Denial>,
}

impl Pipeline {
    /// Decides by what `control` holds at the time of each push. Bodies that take long are decoded by `pool`; without one, each is decoded by its
    /// caller.
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

    /// What pushes are decided by at this moment.
    #[must_use]
    pub fn control(&self) -> Arc<ControlState> {
        self.control.load()
    }

    pub(crate) fn now(&self) -> MonotonicNanos {
        self.clock.now()
    }

    /// Forgets tenants whose buckets are full, and idle pairs; returns how many tenants. To be called about once a minute.
    pub fn evict_idle(&self) -> usize {
        self.control.load().evict_idle_pairs(self.clock.unix_millis());
        self.enforcer.evict_idle(self.clock.now())
    }

    /// The verdict on a push, which is charged. A body that takes long is decoded by the pool.
    ///
    /// # Errors
    /// While there are no limits to decide by.
    pub async fn decide(&self, push: &Push) -> Result<Verdict, Undecided> {
        self.decide_by(&self.control.load(), push, Charge::Commit).await
    }

    /// The verdict on a push, which is charged. Its body is decoded here, however long that takes.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub fn decide_here(&self, push: &Push) -> Result<Verdict, Undecided> {
        let control = self.control.load();
        let mut verdict = Verdict::new(control.mode_without_tenant());
        let stop = match self.begin(&control, push, Charge::Commit, &mut verdict) {
            Ok((begun, plan)) => {
                let decoded = self.decode_in_place(Contents::of(push, &self.policy.bodies), &plan);
                self.finish(begun, push, decoded, Charge::Commit, &mut verdict)
            }
            Err(stop) => stop,
        };
        verdict.conclude(stop)
    }

    pub(crate) async fn decide_by(&self, control: &ControlState, push: &Push, charge: Charge) -> Result<Verdict, Undecided> {
        let mut verdict = Verdict::new(control.mode_without_tenant());
        let stop = match self.begin(control, push, charge, &mut verdict) {
            Ok((begun, plan)) => {
                let decoded = self.decode(push, charge.lane(begun.applicable.tenant.id()), plan).await;
                self.finish(begun, push, decoded, charge, &mut verdict)
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
    ) -> Result<(Begun<'p>, DecodePlan), Stop> {
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
        Ok((Begun { applicable, request, admitted }, plan))
    }

    async fn decode(&self, push: &Push, lane: Lane<'_>, plan: DecodePlan) -> Decoded {
        match (&self.pool, Contents::of(push, &self.policy.bodies)) {
            (Some(pool), Contents::Body(body)) => pool.decode(lane, body, plan).await.into(),
            (_, contents) => self.decode_in_place(contents, &plan),
        }
    }

    fn decode_in_place(&self, contents: Contents<'_>, plan: &DecodePlan) -> Decoded {
        contents.decode(|body| crate::decode::decode(body, self.policy.bodies.limits, plan))
    }

    /// Charges what the push holds.
    fn finish(&self, begun: Begun<'_>, push: &Push, decoded: Decoded, charge: Charge, verdict: &mut Verdict) -> Stop {
        let Begun { applicable, mut request, admitted } = begun;
        if let Decoded::Push(decoded) = &decoded {
            verdict.counts = decoded.counts;
        }
        // A push that is only asked about is decoded all the same: its size decides when it would pass.
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
