//! The decision on one push: the steps of the design in Mimir's order, each a call into a pure crate.

mod explain;
mod hits;
mod readers;
mod reading;
mod refunds;
mod refusals;
mod unmetered;
mod verdict;

use enforce::{Decision, Denial, DenyReason, Enforcer, Moment, UnmeteredCharge, unmetered_denial};
use limits::{Mode, RateLimit, Tenant, TenantView};
use remote_write::{BodyError, ContentType, Protocol};

pub(crate) use explain::{BucketView, Explanation};
pub(crate) use hits::{Hits, HitsVerdict};
pub(crate) use readers::Readers;
pub(crate) use refunds::{Receipts, Refund, RefundCause};
pub(crate) use refusals::{BodySize, body_too_large, failed, overloaded, tenant_of};
pub(crate) use unmetered::{Unmetered, UnmeteredOutcome};
pub(crate) use verdict::{AllowReason, Charged, Undecided, Verdict, denial_occurs_in};

use readers::{Lane, ReadFailed};
use reading::{Read, Reading};
use refusals::{over_max_body_bytes, over_max_series};

use crate::args::{ChargeSamplesIn, HaTracker, ReadBodies, UnreadableBody};
use crate::clock::Clock;
use crate::config::{BodyPolicy, DecisionPolicy};
use crate::elections::HaElections;
use crate::push::{Push, PushBody};
use crate::rules::{Rules, RulesInForce, TenantRules};

/// Decides on pushes; shared by all calls.
pub(crate) struct Decider {
    rules: RulesInForce,
    enforcer: Enforcer,
    bodies: BodyPolicy,
    charge_samples_in: ChargeSamplesIn,
    ha_tracker: HaTracker,
    elections: HaElections,
    readers: Readers,
    receipts: Receipts,
    clock: Clock,
}

/// Whether a decision spends tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    Spend,
    /// Decides as if it spent them.
    Keep,
}

impl Decider {
    pub(crate) fn new(
        rules: RulesInForce,
        policy: DecisionPolicy,
        elections: HaElections,
        readers: Readers,
        clock: Clock,
    ) -> Self {
        let DecisionPolicy { bodies, charge_samples_in, ha_tracker } = policy;
        Self {
            rules,
            enforcer: Enforcer::new(),
            bodies,
            charge_samples_in,
            ha_tracker,
            elections,
            readers,
            receipts: Receipts::of_process(rand::random()),
            clock,
        }
    }

    pub(crate) fn enforcer(&self) -> &Enforcer {
        &self.enforcer
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules.load()
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn elections(&self) -> &HaElections {
        &self.elections
    }

    /// Forgets tenants whose buckets are full, and idle pairs; returns how many tenants.
    pub(crate) fn keep_house(&self) -> usize {
        self.elections.keep_house(self.clock.unix_millis());
        self.enforcer.evict_idle(self.clock.now())
    }

    /// The verdict on a push, which is charged.
    ///
    /// # Errors
    /// While there are no limits to decide by.
    pub(crate) async fn decide(&self, push: &Push) -> Result<Verdict, Undecided> {
        self.decide_by(&self.rules.load(), push, Tokens::Spend).await
    }

    async fn decide_by(&self, rules: &Rules, push: &Push, tokens: Tokens) -> Result<Verdict, Undecided> {
        let mut verdict = Verdict::new(rules.mode_without_tenant());
        match self.steps(push, rules, tokens, &mut verdict).await {
            Ok(reason) => verdict.allowed = reason,
            Err(Stop::Denied(denial)) => verdict.decision = Decision::Deny(denial),
            Err(Stop::Undecided(why)) => return Err(why),
        }
        Ok(verdict)
    }

    /// The order is Mimir's: whose push, how often, and only then what is in it. Nothing is read for a tenant over its request rate.
    async fn steps(
        &self,
        push: &Push,
        rules: &Rules,
        tokens: Tokens,
        verdict: &mut Verdict,
    ) -> Result<AllowReason, Stop> {
        let tenant = tenant_of(&push.tenant)?;
        let (defaults, rules) = (rules.default_limits(), rules.for_tenant(&tenant));
        verdict.mode = rules.mode;
        let limits = match basis(&rules)? {
            Basis::Limits(limits) => limits,
            Basis::Nothing(reason) => return Ok(reason),
        };
        let protocol = protocol_of(push);
        verdict.protocol = Some(protocol);
        verdict.content_type_fault = remote_write::content_type_fault(push.content_type.as_deref());

        self.refuse_oversized(&push.body, &rules)?;
        let request = limits.tenant.limits.request_limit(rules.distributors);
        let admitted = allowed(self.admit_request(&tenant, request, tokens));
        let mut spent = SpentRequest { decider: self, tenant, limit: request, is_kept: true };
        if tokens == Tokens::Spend {
            admitted.clone()?;
            verdict.charged.requests = 1;
            spent.is_kept = false;
        }
        let reading = self.reading(&tenant, &rules, limits, defaults, protocol, tokens);
        let read = self.contents(push, &tenant, reading, tokens).await;
        if let Ok(Contents::Read(Ok(read))) = &read {
            verdict.counts = read.counts;
        }
        // A push that is only asked about is read all the same: its size decides when it would pass.
        admitted?;
        let decided = match read {
            Err(stop) => Err(stop),
            Ok(Contents::Withheld) => Ok(AllowReason::BodyWithheld),
            Ok(Contents::Read(Err(error))) => self.unreadable(&error, verdict).map_err(Stop::from),
            Ok(Contents::Read(Ok(read))) => {
                let read = Read { skips_validation: push.skips_validation, ..read };
                let limit = limits.ingestion.limits.ingestion_limit(rules.distributors);
                self.settle(&tenant, (limit, &rules), read, (tokens, verdict)).map_err(Stop::from)
            }
        };
        spent.is_kept |= !matches!(&decided, Err(Stop::Denied(denial)) if denial.status() == 503);
        if !spent.is_kept {
            verdict.charged.requests = 0;
        }
        decided
    }

    /// What a push that was read comes to.
    fn settle(
        &self,
        tenant: &Tenant<'_>,
        (limit, rules): (RateLimit, &TenantRules<'_>),
        mut read: Read,
        (tokens, verdict): (Tokens, &mut Verdict),
    ) -> Result<AllowReason, Denial> {
        let series = read.counts.series;
        let charged = match rules.edge.max_series_per_request.filter(|limit| series > *limit) {
            Some(limit) => Err(over_max_series(series, limit)),
            None => self.charge(tenant, limit, &read, (tokens, verdict)),
        };
        if charged.is_ok() || rules.mode != Mode::Enforce {
            read.due.reach_mimir();
        }
        charged
    }

    async fn contents(
        &self,
        push: &Push,
        tenant: &Tenant<'_>,
        reading: Reading,
        tokens: Tokens,
    ) -> Result<Contents, Stop> {
        let body = match &push.body {
            _ if self.bodies.read == ReadBodies::Off => return Ok(Contents::Withheld),
            PushBody::Withheld { .. } | PushBody::Partial => return Ok(Contents::Withheld),
            PushBody::Counted(counts) => return Ok(Contents::Read(Ok(Read { counts: *counts, ..Read::default() }))),
            PushBody::Whole(body) => body,
        };
        let lane = match tokens {
            Tokens::Spend => Lane::Tenant(tenant.id()),
            Tokens::Keep => Lane::Preview,
        };
        match self.readers.read(lane, body, reading).await {
            Ok(read) => Ok(Contents::Read(read)),
            Err(ReadFailed) => Err(failed("it failed to read the body").into()),
        }
    }

    fn refuse_oversized(&self, body: &PushBody, rules: &TenantRules<'_>) -> Result<(), Denial> {
        let limit = self.bodies.max_request_bytes;
        match body {
            PushBody::Whole(body) if body.len() > limit => {
                return Err(body_too_large(BodySize::Bytes(body.len()), limit));
            }
            // What nobody reads need not be whole.
            PushBody::Partial if self.bodies.read == ReadBodies::On => {
                return Err(body_too_large(BodySize::MoreThanBuffered, limit));
            }
            _ => {}
        }
        match (body.bytes(), rules.edge.max_body_bytes) {
            (Some(bytes), Some(limit)) if u64::try_from(bytes).unwrap_or(u64::MAX) > limit => {
                Err(over_max_body_bytes(bytes, limit))
            }
            _ => Ok(()),
        }
    }

    fn unreadable(&self, error: &BodyError, verdict: &mut Verdict) -> Result<AllowReason, Denial> {
        verdict.unreadable = Some(error.kind());
        match self.bodies.unreadable {
            UnreadableBody::Refuse => Err(Denial::new(DenyReason::UnreadableBody, error.to_string())),
            UnreadableBody::Forward => Ok(AllowReason::UnreadableForwarded),
        }
    }

    /// Charges what a push holds, or tells why it costs nothing.
    fn charge(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        read: &Read,
        (tokens, verdict): (Tokens, &mut Verdict),
    ) -> Result<AllowReason, Denial> {
        let Read { counts, ha, .. } = read;
        if let Some(why) = Unmetered::of(read, tenant) {
            return self.charge_unmetered(tenant, limit, (why, why.most_items(counts)), (tokens, verdict));
        }
        let items = counts.items();
        if items == 0 {
            return Ok(if ha.dropped { AllowReason::HaNotElected } else { AllowReason::NothingToCharge });
        }
        // A push that makes Mimir elect its replica is decided here in any case: whether it reaches Mimir has to be known.
        let is_left = self.charge_samples_in == ChargeSamplesIn::RateLimit && read.due.is_empty();
        if tokens == Tokens::Spend && is_left {
            return Ok(AllowReason::ChargedByRateLimit);
        }
        allowed(self.charge_items(tenant, limit, items, tokens))?;
        verdict.charged.items = items;
        Ok(AllowReason::WithinLimits)
    }

    /// Charges a push of which nobody knows what Mimir charges: the one place for all of these. It is charged here in any case, since the rate
    /// limit call would refuse it.
    fn charge_unmetered(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        (why, (items, doubtful)): (Unmetered, (u64, u64)),
        (tokens, verdict): (Tokens, &mut Verdict),
    ) -> Result<AllowReason, Denial> {
        if !why.may_come_back() {
            verdict.charged = Charged::default();
        }
        if items == 0 {
            return Ok(AllowReason::NothingToCharge);
        }
        let items = items.saturating_sub(doubtful);
        if tokens == Tokens::Spend
            && self.enforcer.charge_unmetered(tenant, limit, doubtful, false, self.now()) == UnmeteredCharge::OverBound
        {
            verdict.unmetered = Some((why, UnmeteredOutcome::Refused));
            return Err(unmetered_denial(limit));
        }
        let takes_ingestion = why.takes_ingestion();
        let charge = match tokens {
            Tokens::Spend => self.enforcer.charge_unmetered(tenant, limit, items, takes_ingestion, self.now()),
            Tokens::Keep if takes_ingestion && self.charge_items(tenant, limit, items, tokens) == Decision::Allow => {
                UnmeteredCharge::Taken
            }
            Tokens::Keep => UnmeteredCharge::WithinBound,
        };
        let (outcome, allowed) = match charge {
            UnmeteredCharge::Taken => {
                verdict.charged.items = items;
                (UnmeteredOutcome::Charged, Ok(AllowReason::WithinLimits))
            }
            UnmeteredCharge::WithinBound => (UnmeteredOutcome::LeftToMimir, Ok(AllowReason::LeftToMimir)),
            UnmeteredCharge::OverBound => (UnmeteredOutcome::Refused, Err(unmetered_denial(limit))),
        };
        verdict.unmetered = Some((why, outcome));
        // Of what is over the edge's limit Mimir has taken the request by the time it refuses the rest.
        if charge != UnmeteredCharge::Taken {
            verdict.charged = Charged::default();
        }
        allowed
    }

    fn admit_request(&self, tenant: &Tenant<'_>, limit: RateLimit, tokens: Tokens) -> Decision {
        match tokens {
            Tokens::Spend => self.enforcer.admit_request(tenant, limit, self.now()),
            Tokens::Keep => self.enforcer.request_level(tenant, limit, self.now()).preview_requests(1),
        }
    }

    fn charge_items(&self, tenant: &Tenant<'_>, limit: RateLimit, items: u64, tokens: Tokens) -> Decision {
        match tokens {
            Tokens::Spend => self.enforcer.charge_items(tenant, limit, items, self.now()),
            Tokens::Keep => self.enforcer.ingestion_level(tenant, limit, self.now()).preview_items(items),
        }
    }
}

/// A request that was charged. It comes back where the edge itself answers 503, and where the call ends before there is an answer: the client
/// sends the push again, and is not to be refused for its requests then.
struct SpentRequest<'d, 't> {
    decider: &'d Decider,
    tenant: Tenant<'t>,
    limit: RateLimit,
    is_kept: bool,
}

impl Drop for SpentRequest<'_, '_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.decider.enforcer.refund_requests(&self.tenant, self.limit, 1, self.decider.now());
        }
    }
}

/// What is known of what a push holds.
enum Contents {
    Withheld,
    Read(Result<Read, BodyError>),
}

/// What a tenant's pushes are decided by.
enum Basis<'r> {
    Limits(&'r TenantView<'r>),
    /// Nothing is looked at, and this is why.
    Nothing(AllowReason),
}

fn basis<'r>(rules: &'r TenantRules<'r>) -> Result<Basis<'r>, Undecided> {
    match (rules.mode, &rules.limits) {
        (Mode::Off, _) => Ok(Basis::Nothing(AllowReason::ModeOff)),
        (_, Some(limits)) => Ok(Basis::Limits(limits)),
        (Mode::Shadow, None) => Ok(Basis::Nothing(AllowReason::NoLimits)),
        (Mode::Enforce, None) => Err(Undecided::NoLimits),
    }
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

/// Mimir answers 400 to a content type that it does not know and ingests the body as remote write 1.0 all the same, so it is charged as that.
fn protocol_of(push: &Push) -> Protocol {
    match remote_write::content_type(push.content_type.as_deref()) {
        ContentType::Known(protocol) => protocol,
        ContentType::Unknown => Protocol::V1,
    }
}
