//! The fourth stage: what the push costs, taken from its tenant's buckets. The request is charged before the body is decoded, its items afterwards.

mod early;
mod hits;
mod refunds;
mod unmetered;

use enforce::{BucketOwner, Decision, Denial, DenyReason, Enforcer, MonotonicNanos, UnmeteredCharge, unmetered_denial};
use limits::{EdgeLimits, Mode, RateLimit};
use remote_write::{BodyErrorKind, PushCounts};

pub(crate) use early::EarlyDenial;
pub use hits::{Hits, HitsVerdict};
pub use refunds::{Refund, RefundCause};
pub use unmetered::{Unmetered, UnmeteredOutcome};

use crate::clock::Clock;
use crate::decode::{Contents, DecodedPush};
use crate::identify::ApplicableLimits;
use crate::outcome::{AllowReason, Charged};
use crate::own_denials::{BodySize, Failure, body_too_large, failed, over_max_body_bytes, over_max_series};
use crate::policy::{BodyPolicy, Charge, Policy};
use crate::push::PushBody;
use refunds::Receipts;

/// The buckets of all tenants, and what charges and refunds them.
#[derive(Debug)]
pub(crate) struct Charger {
    pub(crate) enforcer: Enforcer,
    policy: Policy,
    clock: Clock,
    receipts: Receipts,
}

/// A request that was charged. It is refunded where the edge itself answers 503, and where the call ends before there is an answer: the client then
/// retries, and must not be denied for that.
pub(crate) struct ChargedRequest<'p> {
    charger: &'p Charger,
    owner: BucketOwner<'p>,
    limit: RateLimit,
    is_kept: bool,
}

impl ChargedRequest<'_> {
    /// Keeps the charge unless the answer is a 503.
    pub(crate) fn keep_unless_unavailable(&mut self, decision: &Result<AllowReason, Denial>) {
        self.is_kept |= !matches!(decision, Err(denial) if denial.status() == 503);
    }

    /// Whether it will be refunded.
    pub(crate) fn is_refunded(&self) -> bool {
        !self.is_kept
    }
}

impl Drop for ChargedRequest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.charger.enforcer.refund_requests(&self.owner, self.limit, 1, self.charger.now());
        }
    }
}

/// The outcome for the contents of a push.
#[derive(Debug)]
pub(crate) struct ChargedContents {
    pub(crate) decision: Result<AllowReason, Denial>,
    /// What the push took, its request included.
    pub(crate) charged: Charged,
    /// Why it cannot be metered, and the outcome.
    pub(crate) unmetered: Option<(Unmetered, UnmeteredOutcome)>,
    /// What was wrong with an unreadable body.
    pub(crate) unreadable: Option<BodyErrorKind>,
}

impl ChargedContents {
    /// Of a push that was metered, or is not charged.
    pub(crate) fn new(decision: Result<AllowReason, Denial>, charged: Charged) -> Self {
        Self { decision, charged, unmetered: None, unreadable: None }
    }
}

/// Denies a body that is larger, as sent, than the edge decodes or than its tenant may send.
pub(crate) fn deny_oversized(body: &PushBody, policy: &BodyPolicy, edge: EdgeLimits) -> Result<(), Denial> {
    let limit = policy.max_request_bytes;
    match body {
        PushBody::Whole(body) if body.len() > limit => {
            return Err(body_too_large(BodySize::Bytes(body.len()), limit));
        }
        // A body that is not decoded need not be whole.
        PushBody::Partial if policy.decode => {
            return Err(body_too_large(BodySize::MoreThanBuffered, limit));
        }
        _ => {}
    }
    match (body.bytes(), edge.max_body_bytes) {
        (Some(bytes), Some(limit)) if u64::try_from(bytes).unwrap_or(u64::MAX) > limit => {
            Err(over_max_body_bytes(bytes, limit))
        }
        _ => Ok(()),
    }
}

impl Charger {
    pub(crate) fn new(policy: Policy, clock: Clock) -> Self {
        Self { enforcer: Enforcer::new(), policy, clock, receipts: Receipts::of_process(rand::random()) }
    }

    pub(crate) fn now(&self) -> MonotonicNanos {
        self.clock.now()
    }

    /// Charges the request of a push. Returns the charge, and the decision of the request rate.
    pub(crate) fn charge_request<'p>(
        &'p self,
        applicable: &ApplicableLimits<'p>,
        charge: Charge,
    ) -> (ChargedRequest<'p>, Result<(), Denial>) {
        let (owner, limit) = (applicable.owner(), applicable.request_limit());
        let admitted = match charge {
            Charge::Commit => self.enforcer.admit_request(&owner, limit, self.now()),
            Charge::DryRun => self.enforcer.request_level(&owner, limit, self.now()).preview_requests(1),
        }
        .into_result();
        let is_kept = charge == Charge::DryRun || admitted.is_err();
        (ChargedRequest { charger: self, owner, limit, is_kept }, admitted)
    }

    /// Charges the contents of a push, as far as they are known. `taken` is what the push took before.
    pub(crate) fn charge_contents(
        &self,
        applicable: &ApplicableLimits<'_>,
        contents: Contents,
        skips_validation: bool,
        charge: Charge,
        taken: Charged,
    ) -> ChargedContents {
        match contents {
            Contents::NotDecoded => ChargedContents::new(Ok(AllowReason::BodyNotDecoded), taken),
            Contents::Decoded(decoded) => {
                self.charge_decoded(applicable, DecodedPush { skips_validation, ..*decoded }, charge, taken)
            }
            Contents::Unreadable(error) => {
                let decision = match self.policy.bodies.forward_unreadable {
                    false => Err(Denial::new(DenyReason::UnreadableBody, error.to_string())),
                    true => Ok(AllowReason::UnreadableForwarded),
                };
                ChargedContents { unreadable: Some(error.kind()), ..ChargedContents::new(decision, taken) }
            }
            Contents::Failed => ChargedContents::new(Err(failed(Failure::DecodeBody)), taken),
        }
    }

    fn charge_decoded(
        &self,
        applicable: &ApplicableLimits<'_>,
        mut decoded: DecodedPush,
        charge: Charge,
        taken: Charged,
    ) -> ChargedContents {
        let series = decoded.counts.series;
        let charged = match applicable.edge.max_series_per_request.filter(|limit| series > *limit) {
            Some(limit) => ChargedContents::new(Err(over_max_series(series, limit)), taken),
            None => self.charge_counts(applicable, &decoded, charge, taken),
        };
        if charged.decision.is_ok() || applicable.mode != Mode::Enforce {
            decoded.candidates.forwarded();
        }
        charged
    }

    /// Charges what was counted, unless it costs nothing.
    fn charge_counts(
        &self,
        applicable: &ApplicableLimits<'_>,
        decoded: &DecodedPush,
        charge: Charge,
        taken: Charged,
    ) -> ChargedContents {
        if let Some(why) = Unmetered::of(decoded, &applicable.tenant) {
            return self.charge_unmetered(applicable, why, &decoded.counts, charge, taken);
        }
        let items = decoded.counts.items();
        if items == 0 {
            let dropped = decoded.election.dropped;
            let allowed = if dropped { AllowReason::HaNotElected } else { AllowReason::NothingToCharge };
            return ChargedContents::new(Ok(allowed), taken);
        }
        // A push that makes Mimir elect its replica is always decided here: the election depends on whether it is forwarded.
        let is_left_to_rate_limit = !self.policy.charge_items && decoded.candidates.is_empty();
        if charge == Charge::Commit && is_left_to_rate_limit {
            return ChargedContents::new(Ok(AllowReason::ChargedByRateLimit), taken);
        }
        match self.charge_items(applicable, items, charge) {
            Decision::Allow => ChargedContents::new(Ok(AllowReason::WithinLimits), Charged { items, ..taken }),
            Decision::Deny(denial) => ChargedContents::new(Err(denial), taken),
        }
    }

    /// Charges a push that cannot be metered. It is always charged here, since the rate limit call would deny it.
    fn charge_unmetered(
        &self,
        applicable: &ApplicableLimits<'_>,
        why: Unmetered,
        counts: &PushCounts,
        charge: Charge,
        taken: Charged,
    ) -> ChargedContents {
        let (items, doubtful) = why.max_items(counts);
        let taken = if why.is_refundable() { taken } else { Charged::default() };
        if items == 0 {
            return ChargedContents::new(Ok(AllowReason::NothingToCharge), taken);
        }
        let (owner, limit) = (&applicable.owner(), applicable.ingestion_limit());
        let outcome = |outcome, decision, charged| ChargedContents {
            unmetered: Some((why, outcome)),
            ..ChargedContents::new(decision, charged)
        };
        let items = items.saturating_sub(doubtful);
        if charge == Charge::Commit
            && self.enforcer.charge_unmetered(owner, limit, doubtful, false, self.now()) == UnmeteredCharge::OverBound
        {
            return outcome(UnmeteredOutcome::Denied, Err(unmetered_denial(limit)), taken);
        }
        let charges_ingestion = why.charges_ingestion();
        let unmetered = match charge {
            Charge::Commit => self.enforcer.charge_unmetered(owner, limit, items, charges_ingestion, self.now()),
            Charge::DryRun if charges_ingestion && self.charge_items(applicable, items, charge) == Decision::Allow => {
                UnmeteredCharge::Taken
            }
            Charge::DryRun => UnmeteredCharge::WithinBound,
        };
        // A push over the edge's limit that Mimir denies too has cost a request there, so its request is not refunded.
        let none = Charged::default();
        match unmetered {
            UnmeteredCharge::Taken => {
                outcome(UnmeteredOutcome::Charged, Ok(AllowReason::WithinLimits), Charged { items, ..taken })
            }
            UnmeteredCharge::WithinBound => outcome(UnmeteredOutcome::NotMetered, Ok(AllowReason::NotMetered), none),
            UnmeteredCharge::OverBound => outcome(UnmeteredOutcome::Denied, Err(unmetered_denial(limit)), none),
        }
    }

    fn charge_items(&self, applicable: &ApplicableLimits<'_>, items: u64, charge: Charge) -> Decision {
        let (owner, limit) = (&applicable.owner(), applicable.ingestion_limit());
        match charge {
            Charge::Commit => self.enforcer.charge_items(owner, limit, items, self.now()),
            Charge::DryRun => self.enforcer.ingestion_level(owner, limit, self.now()).preview_items(items),
        }
    }
}
