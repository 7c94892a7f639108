//! The stages of a push in Mimir's order: tenant, request rate, and only then the body.

use std::sync::Arc;

use enforce::{Denial, Enforcer, MonotonicNanos};
use limits::Tenant;

use crate::charge::{ChargedContents, ChargedRequest, Charger, EarlyDenial, Hits, HitsVerdict, Refund, deny_oversized};
use crate::clock::Clock;
use crate::control::{ControlHandle, ControlState};
use crate::decode::{Contents, DecodePlan, DecodePool, Lane, Payload};
use crate::identify::{ApplicableLimits, Identity, tenant_of};
use crate::outcome::{Charged, Stop, Undecided};
use crate::policy::{Charge, Policy};
use crate::push::Push;
use crate::stages::{Stage, StageTimes};
use crate::verdict::Verdict;

/// Decides on pushes; shared by all calls.
#[derive(Debug)]
pub struct Pipeline {
    control: ControlHandle,
    policy: Policy,
    pub(crate) pool: Option<DecodePool>,
    charger: Charger,
    clock: Clock,
}

/// A push that a stage before the last one decides.
struct Stopped {
    identity: Identity,
    stop: Stop,
}

/// A push between the charge of its request and the charge of its contents.
struct PendingPush<'p> {
    pipeline: &'p Pipeline,
    push: &'p Push,
    charge: Charge,
    identity: Identity,
    applicable: ApplicableLimits<'p>,
    request: ChargedRequest<'p>,
    /// The decision of the request rate.
    admitted: Result<(), Denial>,
    plan: DecodePlan,
}

impl Identity {
    fn stop(self, stop: impl Into<Stop>) -> Stopped {
        Stopped { identity: self, stop: stop.into() }
    }
}

impl Stopped {
    fn into_verdict(self, push: &Push) -> Result<Verdict, Undecided> {
        let decision = match self.stop {
            Stop::Allowed(allowed) => Ok(allowed),
            Stop::Denied(denial) => Err(denial),
            Stop::Undecided(why) => return Err(why),
        };
        Ok(Verdict::of(self.identity, push, decision))
    }
}

impl Pipeline {
    /// A pipeline that decides by the current state of `control`. Bodies that take long are decoded by `pool`, if there is one.
    #[must_use]
    pub fn new(control: ControlHandle, policy: Policy, pool: Option<DecodePool>, clock: Clock) -> Self {
        let charger = Charger::new(policy, clock.clone());
        Self { control, policy, pool, charger, clock }
    }

    /// The buckets of all tenants.
    #[must_use]
    pub fn enforcer(&self) -> &Enforcer {
        &self.charger.enforcer
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
        self.charger.enforcer.evict_idle(self.clock.now())
    }

    /// Decides on a push, and charges it. A body that takes long is decoded by the pool.
    ///
    /// # Errors
    /// No limits are loaded yet.
    pub async fn decide(&self, push: &Push) -> Result<Verdict, Undecided> {
        self.decide_timed(push, &mut ()).await
    }

    /// The same, with the end of each stage.
    pub(crate) async fn decide_timed(&self, push: &Push, times: &mut impl StageTimes) -> Result<Verdict, Undecided> {
        self.decide_by(&self.control.load(), push, Charge::Commit, times).await
    }

    /// Decides on a push, and charges it. Its body is decoded by this thread, however long that takes.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub fn decide_here(&self, push: &Push) -> Result<Verdict, Undecided> {
        let control = self.control.load();
        let mut pending = match self.begin(&control, push, Charge::Commit) {
            Ok(pending) => pending,
            Err(stopped) => return stopped.into_verdict(push),
        };
        loop {
            let contents = pending.payload().decode(self.policy.bodies.limits, &pending.plan);
            if let Some(verdict) = pending.decided(contents) {
                return Ok(verdict);
            }
        }
    }

    pub(crate) async fn decide_by(
        &self,
        control: &ControlState,
        push: &Push,
        charge: Charge,
        times: &mut impl StageTimes,
    ) -> Result<Verdict, Undecided> {
        let begun = self.begin(control, push, charge);
        times.ended(Stage::Identify);
        let mut pending = match begun {
            Ok(pending) => pending,
            Err(stopped) => return stopped.into_verdict(push),
        };
        loop {
            let contents = self.decode(&pending).await;
            times.ended(Stage::Decode);
            if let Some(verdict) = pending.decided(contents) {
                times.ended(Stage::Charge);
                return Ok(verdict);
            }
        }
    }

    /// Charges hits to a tenant, all or none, by this state of [`Pipeline::control`]: one call loads it once for all its hits.
    ///
    /// # Errors
    /// While there are no limits to decide by.
    pub fn charge_hits(
        &self,
        control: &ControlState,
        tenant: &Tenant<'_>,
        hits: Hits,
    ) -> Result<HitsVerdict, Undecided> {
        self.charger.charge_hits(control, tenant, hits)
    }

    /// The receipt of a push of this tenant; `None` if nothing was charged.
    #[must_use]
    pub fn receipt(&self, tenant: &Tenant<'_>, charged: Charged) -> Option<String> {
        self.charger.receipt(tenant, charged)
    }

    /// Refunds what a receipt names, by the current limits. A tenant that is in mode off now, or has no limits, gets nothing.
    #[must_use]
    pub fn refund<'r>(&self, receipt: &'r [u8], cause: &[u8]) -> Refund<'r> {
        self.charger.refund(&self.control(), receipt, cause)
    }

    /// Identifies the push and charges its request. Nothing is decoded for a tenant over its request rate.
    fn begin<'p>(
        &'p self,
        control: &'p ControlState,
        push: &'p Push,
        charge: Charge,
    ) -> Result<PendingPush<'p>, Stopped> {
        let unknown = Identity::unknown(control);
        let tenant = tenant_of(&push.tenant).map_err(|denial| unknown.stop(denial))?;
        let of_tenant = control.for_tenant(&tenant);
        let known = unknown.with_settings(&of_tenant);
        let applicable = of_tenant.applicable().map_err(|stop| known.stop(stop))?;
        let (identity, protocol) = known.with_protocol_of(push);

        let oversized = deny_oversized(&push.body, &self.policy.bodies, applicable.edge);
        oversized.map_err(|denial| identity.stop(denial))?;
        let (request, admitted) = self.charger.charge_request(&applicable, charge);
        if charge == Charge::Commit {
            admitted.clone().map_err(|denial| identity.stop(denial))?;
        }
        let enough = self.charger.enough(&applicable, push, charge);
        let now = self.clock.unix_millis();
        let plan = DecodePlan::of(&applicable, protocol, (charge, enough), &self.policy, now);
        Ok(PendingPush { pipeline: self, push, charge, identity, applicable, request, admitted, plan })
    }

    async fn decode(&self, pending: &PendingPush<'_>) -> Contents {
        match (pending.payload(), &self.pool) {
            (Payload::Encoded(body), Some(pool)) => pool.decode(pending.lane(), body, &pending.plan).await,
            (payload, _) => payload.decode(self.policy.bodies.limits, &pending.plan),
        }
    }
}

impl PendingPush<'_> {
    fn payload(&self) -> Payload<'_> {
        Payload::of(self.push, &self.pipeline.policy.bodies)
    }

    fn lane(&self) -> Lane<'_> {
        Lane::of(self.charge, self.applicable.tenant.id())
    }

    /// Charges the contents of the push; `None` where it has to be decoded again, and all of it validated.
    fn decided(&mut self, contents: Contents) -> Option<Verdict> {
        let Self { pipeline, push, charge, identity, applicable, request, admitted, plan } = self;
        let early = match pipeline.charger.deny_early(applicable, plan.enough, &contents) {
            EarlyDenial::Denied(denial) => Some(denial),
            EarlyDenial::None => None,
            EarlyDenial::Uncertain => {
                plan.validate_all();
                return None;
            }
        };
        let counts = contents.counts();
        // In a dry run the push is decoded all the same: its size determines when it would pass.
        if let Err(denial) = admitted {
            return Some(Verdict { counts, ..Verdict::of(*identity, push, Err(denial.clone())) });
        }
        let taken = Charged { requests: u64::from(*charge == Charge::Commit), items: 0 };
        let charged = match early {
            Some(denial) => ChargedContents::new(Err(denial), taken),
            None => pipeline.charger.charge_contents(applicable, contents, push.skips_validation, *charge, taken),
        };
        let ChargedContents { decision, mut charged, unmetered, unreadable } = charged;
        request.keep_unless_unavailable(&decision);
        if request.is_refunded() {
            charged.requests = 0;
        }
        Some(Verdict { counts, charged, unmetered, unreadable, ..Verdict::of(*identity, push, decision) })
    }
}

#[cfg(test)]
mod tests;
