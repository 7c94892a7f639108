//! The third stage: from a body to what it holds.
//!
//! A [`DecodePlan`] says how the body of one push is decoded, by the rules of its tenant; [`decode`] does it where its caller is, and
//! [`pool::DecodePool`] on threads of its own. Both keep their buffers in the thread, so a push costs no allocation.

mod fair_queue;
mod pool;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use remote_write::relabel::Relabeler;
use remote_write::{
    BodyError, BodyLimits, Dedupe, Protocol, PushCounts, Replica, Rules, Scratch, TenantRelabeler, Validation,
    read_push,
};

pub use pool::DecodePool;
pub(crate) use pool::Lane;

use crate::charge::Charge;
use crate::control::{Candidates, ElectionOutcome, PushElection, RelabelUnavailable};
use crate::identify::ApplicableLimits;
use crate::pipeline::Pipeline;
use crate::policy::BodyPolicy;
use crate::push::{Push, PushBody};

/// A thread keeps buffers of this size, all of them together.
pub(crate) const KEEP_BYTES: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// How a body is decoded. It borrows nothing, since a large body is decoded on another thread.
#[derive(Clone, Debug)]
pub(crate) struct DecodePlan {
    protocol: Protocol,
    validation: Validation,
    /// Unix milliseconds.
    now: i64,
    /// What few tenants have.
    special: Option<Box<Special>>,
    /// Whether decoding panics, as no body is known to make it do.
    #[cfg(test)]
    pub(crate) panics: bool,
}

#[derive(Clone, Debug)]
struct Special {
    tenant: Box<str>,
    election: Option<PushElection>,
    relabeler: Option<Arc<Relabeler>>,
    /// Why the relabelling is one that the edge cannot do.
    relabel_unavailable: Option<RelabelUnavailable>,
}

/// What a body was found to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DecodedPush {
    pub(crate) counts: PushCounts,
    pub(crate) election: ElectionOutcome,
    /// Replicas that are elected by this push, if it is let through.
    pub(crate) candidates: Candidates,
    /// Why the counts are not what Mimir would charge, where the tenant's rules are the reason.
    pub(crate) relabel_unavailable: Option<RelabelUnavailable>,
    /// Whether Mimir may take series that were found invalid, because the push asks for it.
    pub(crate) skips_validation: bool,
}

/// What is known of what a push holds.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// The body was not sent, or bodies are not decoded.
    NotDecoded,
    Push(Box<DecodedPush>),
    Unreadable(BodyError),
    /// A fault of the edge, which was logged.
    Failed,
}

/// Decoding failed by a fault of the edge, which was logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DecodeFailed;

pub(crate) type Outcome = Result<Result<DecodedPush, BodyError>, DecodeFailed>;

impl From<Outcome> for Decoded {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(Ok(decoded)) => Self::Push(Box::new(decoded)),
            Ok(Err(error)) => Self::Unreadable(error),
            Err(DecodeFailed) => Self::Failed,
        }
    }
}

/// What there is to decode of a push.
pub(crate) enum Contents<'p> {
    NotDecoded,
    Counted(PushCounts),
    Body(&'p Bytes),
}

impl<'p> Contents<'p> {
    pub(crate) fn of(push: &'p Push, policy: &BodyPolicy) -> Self {
        match &push.body {
            _ if !policy.decode => Self::NotDecoded,
            PushBody::NotSent { .. } | PushBody::Partial => Self::NotDecoded,
            PushBody::Counted(counts) => Self::Counted(*counts),
            PushBody::Whole(body) => Self::Body(body),
        }
    }

    pub(crate) fn decode(self, decode: impl FnOnce(&Bytes) -> Outcome) -> Decoded {
        match self {
            Self::NotDecoded => Decoded::NotDecoded,
            Self::Counted(counts) => Decoded::Push(Box::new(DecodedPush { counts, ..DecodedPush::default() })),
            Self::Body(body) => decode(body).into(),
        }
    }
}

/// Decodes a body with the buffers of this thread. A panic is a fault of the edge, and not of the thread, which goes on with new buffers.
pub(crate) fn decode(body: &[u8], limits: BodyLimits, plan: &DecodePlan) -> Outcome {
    let decode = || {
        SCRATCH.with_borrow_mut(|scratch| {
            let decoded = plan.decode(body, limits, scratch);
            scratch.shrink(KEEP_BYTES);
            decoded
        })
    };
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| {
        SCRATCH.take();
        DecodeFailed
    })
}

/// How many times as long as plain decoding a rule takes for a byte, where series are short.
const EFFORT_OF_A_RULE: usize = 8;

impl DecodePlan {
    /// By the rules of a tenant without pairs and relabelling.
    pub(crate) fn plain(protocol: Protocol, validation: Validation, now: i64) -> Self {
        Self {
            protocol,
            validation,
            now,
            special: None,
            #[cfg(test)]
            panics: false,
        }
    }

    /// How many times as long as by the rules of a usual tenant a body takes to decode.
    pub(crate) fn effort(&self) -> usize {
        let Some(special) = &self.special else { return 1 };
        let rules = special.relabeler.as_ref().map_or(0, |relabeler| relabeler.len());
        // A push of a pair is walked twice; deduplicated series by series, its labels are copied as those that are relabelled are.
        let pair = special
            .election
            .as_ref()
            .map_or(0, |election| if election.dedupes_each_series() { EFFORT_OF_A_RULE } else { 1 });
        1 + pair + EFFORT_OF_A_RULE.saturating_mul(rules)
    }

    /// Whether each byte takes about as long as another. An expression may take a thousand times as long for some.
    pub(crate) fn is_steady(&self) -> bool {
        self.special.as_ref().is_none_or(|special| special.relabeler.is_none())
    }

    fn decode(&self, body: &[u8], limits: BodyLimits, scratch: &mut Scratch) -> Result<DecodedPush, BodyError> {
        #[cfg(test)]
        assert!(!self.panics, "the test wants it");
        let Some(special) = &self.special else {
            let counts = read_push(self.protocol, body, limits, &self.validation, self.now, scratch)?;
            return Ok(DecodedPush { counts, ..DecodedPush::default() });
        };
        let Special { tenant, election, relabeler, relabel_unavailable } = &**special;
        let (mut outcome, mut candidates) = (ElectionOutcome::default(), Candidates::default());
        let mut dedupe = |replica: Replica<'_>| match election {
            Some(election) => election.dedupe(tenant, replica, &mut outcome, &mut candidates),
            None => Dedupe::NoPair,
        };
        let rules = Rules {
            validation: self.validation,
            relabeler: relabeler.as_deref().map(|relabeler| TenantRelabeler { relabeler, tenant }),
            ha: election.as_ref().map(|election| election.rules(&mut dedupe)),
        };
        let counts = read_push(self.protocol, body, limits, rules, self.now, scratch)?;
        let relabel_unavailable = *relabel_unavailable;
        Ok(DecodedPush { counts, election: outcome, candidates, relabel_unavailable, skips_validation: false })
    }
}

impl Pipeline {
    /// How a push of this tenant is decoded now.
    pub(crate) fn plan(&self, applicable: &ApplicableLimits<'_>, protocol: Protocol, charge: Charge) -> DecodePlan {
        let ApplicableLimits { tenant, limits, control, .. } = applicable;
        let now = self.clock.unix_millis();
        let own = &limits.tenant.limits;
        let dedupes = self.policy.ha_tracker && own.accept_ha_samples;
        let plain = DecodePlan::plain(protocol, Validation::of(limits), now);
        if !dedupes && !own.relabels_series() {
            return plain;
        }
        let relabeler = control.relabelling.of(own);
        let commits = charge == Charge::Commit;
        let special = Special {
            tenant: tenant.id().into(),
            election: dedupes.then(|| control.election_of(own, (now, rand::random()), commits)),
            relabel_unavailable: relabeler.as_ref().err().copied(),
            relabeler: relabeler.ok().flatten(),
        };
        DecodePlan { special: Some(Box::new(special)), ..plain }
    }
}
