//! The third stage: decodes a body and counts its contents.
//!
//! A [`DecodePlan`] says how, by the rules of the tenant. [`decode`] runs on the calling thread, and
//! [`pool::DecodePool`] on threads of its own. Buffers belong to the thread, so a push costs no allocation.

mod fair_queue;
mod pool;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remote_write::relabel::Relabeler;
use remote_write::{
    BodyError, BodyLimits, Dedupe, Protocol, PushCounts, Replica, Rules, Scratch, TenantRelabeler, Validation,
    read_push,
};

pub use pool::DecodePool;
pub(crate) use pool::Lane;

use crate::control::{Candidates, ElectionOutcome, PushElection, RelabelUnavailable};
use crate::identify::ApplicableLimits;
use crate::policy::{BodyPolicy, Charge, Policy};
use crate::push::{Push, PushBody};

/// A thread that decodes in place keeps this many bytes of buffers between two bodies.
const KEEP_BYTES: usize = 4 << 20;

/// What the bucket earns in this time is taken for granted, before a push is decoded whose validation may end early: it is compared again afterwards. A push
/// that takes longer is decoded twice, if the bucket then allows what was found valid.
pub(crate) const DECODED_WITHIN: Duration = Duration::from_millis(50);

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// How a body is decoded. Owned, since a large body is decoded on another thread.
#[derive(Clone, Debug)]
pub(crate) struct DecodePlan {
    protocol: Protocol,
    validation: Validation,
    /// Unix milliseconds.
    now: i64,
    /// More valid items than this are not allowed, so that the rest of the push need not be validated; `None` to count all.
    pub(crate) enough: Option<u64>,
    /// For tenants with pairs or relabelling rules.
    special: Option<Box<Special>>,
    /// Whether decoding panics; no body is known to cause that.
    #[cfg(test)]
    pub(crate) panics: bool,
}

#[derive(Clone, Debug)]
struct Special {
    tenant: Box<str>,
    election: Option<PushElection>,
    relabeler: Option<Arc<Relabeler>>,
    /// Why the tenant's rules cannot be applied.
    relabel_unavailable: Option<RelabelUnavailable>,
}

/// The contents of a decoded body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DecodedPush {
    pub(crate) counts: PushCounts,
    pub(crate) election: ElectionOutcome,
    /// Replicas that this push elects, if it is forwarded.
    pub(crate) candidates: Candidates,
    /// Why the tenant's rules were not applied to the counts.
    pub(crate) relabel_unavailable: Option<RelabelUnavailable>,
    /// Whether Mimir may accept invalid series, because the push asks for it.
    pub(crate) skips_validation: bool,
}

/// The contents of a push, as far as they are known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// The body was not sent, or bodies are not decoded.
    NotDecoded,
    Decoded(Box<DecodedPush>),
    Unreadable(BodyError),
    /// The edge failed to decode it, and logged that.
    Failed,
}

impl Contents {
    /// What was counted; zeros without decoding.
    pub(crate) fn counts(&self) -> PushCounts {
        match self {
            Self::Decoded(decoded) => decoded.counts,
            Self::NotDecoded | Self::Unreadable(_) | Self::Failed => PushCounts::default(),
        }
    }
}

/// What this stage gets.
pub(crate) enum Payload<'p> {
    /// A body to decode.
    Encoded(&'p Bytes),
    /// There is nothing to decode.
    Known(Contents),
}

impl<'p> Payload<'p> {
    pub(crate) fn of(push: &'p Push, policy: &BodyPolicy) -> Self {
        match &push.body {
            PushBody::Whole(body) if policy.decode => Self::Encoded(body),
            PushBody::Counted(counts) if policy.decode => {
                let decoded = DecodedPush { counts: *counts, ..DecodedPush::default() };
                Self::Known(Contents::Decoded(Box::new(decoded)))
            }
            _ => Self::Known(Contents::NotDecoded),
        }
    }

    /// The contents; a body is decoded by this thread.
    pub(crate) fn decode(self, limits: BodyLimits, plan: &DecodePlan) -> Contents {
        match self {
            Self::Encoded(body) => decode(body, limits, plan, KEEP_BYTES),
            Self::Known(contents) => contents,
        }
    }
}

/// Decodes a body with the buffers of this thread, which keeps at most so many bytes of them. After a panic it continues with new buffers.
fn decode(body: &[u8], limits: BodyLimits, plan: &DecodePlan, keep_bytes: usize) -> Contents {
    let decode = || {
        SCRATCH.with_borrow_mut(|scratch| {
            let decoded = plan.decode(body, limits, scratch);
            scratch.shrink(keep_bytes);
            decoded
        })
    };
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => Contents::Decoded(Box::new(decoded)),
        Ok(Err(error)) => Contents::Unreadable(error),
        Err(_) => {
            free_buffers();
            Contents::Failed
        }
    }
}

/// Frees the buffers of this thread.
fn free_buffers() {
    SCRATCH.take();
}

/// How much longer than plain decoding one rule takes for a byte, where series are short.
const RULE_EFFORT: usize = 8;

impl DecodePlan {
    /// How to decode a push of this tenant now, which is in Unix milliseconds. Where more items than `enough` are valid, the rest need not be validated.
    pub(crate) fn of(
        applicable: &ApplicableLimits<'_>,
        protocol: Protocol,
        (charge, enough): (Charge, Option<u64>),
        policy: &Policy,
        now: i64,
    ) -> Self {
        let ApplicableLimits { tenant, limits, control, .. } = applicable;
        let own = &limits.tenant.limits;
        let dedupes = policy.ha_tracker && own.accept_ha_samples;
        let plain = Self { enough, ..Self::plain(protocol, Validation::of(limits), now) };
        if !dedupes && !own.relabels_series() {
            return plain;
        }
        let relabeler = control.relabelling.of(own);
        let commits = charge == Charge::Commit;
        // The election of a pair sees each push once, and rules that are missing leave nothing to count.
        let enough = enough.filter(|_| !dedupes && relabeler.is_ok());
        let special = Special {
            tenant: tenant.id().into(),
            election: dedupes.then(|| control.election_of(own, (now, rand::random()), commits)),
            relabel_unavailable: relabeler.as_ref().err().copied(),
            relabeler: relabeler.ok().flatten(),
        };
        Self { enough, special: Some(Box::new(special)), ..plain }
    }

    /// For a tenant without pairs and relabelling rules.
    pub(crate) fn plain(protocol: Protocol, validation: Validation, now: i64) -> Self {
        Self {
            protocol,
            validation,
            now,
            enough: None,
            special: None,
            #[cfg(test)]
            panics: false,
        }
    }

    /// From now on all of a push is validated.
    pub(crate) fn validate_all(&mut self) {
        self.enough = None;
    }

    /// How much longer a body takes to decode than for a tenant without pairs and rules, as a factor.
    pub(crate) fn effort(&self) -> usize {
        let Some(special) = &self.special else { return 1 };
        let rules = special.relabeler.as_ref().map_or(0, |relabeler| relabeler.len());
        // A push of a pair is walked twice. Deduplication series by series copies labels, as relabelling does.
        let pair_effort = |election: &PushElection| if election.dedupes_each_series() { RULE_EFFORT } else { 1 };
        1 + special.election.as_ref().map_or(0, pair_effort) + RULE_EFFORT.saturating_mul(rules)
    }

    /// Whether all bytes take about the same time. An expression may take a thousand times as long for some.
    pub(crate) fn is_steady(&self) -> bool {
        self.special.as_ref().is_none_or(|special| special.relabeler.is_none())
    }

    fn decode(&self, body: &[u8], limits: BodyLimits, scratch: &mut Scratch) -> Result<DecodedPush, BodyError> {
        #[cfg(test)]
        assert!(!self.panics, "the test wants it");
        let Some(special) = &self.special else {
            let rules = Rules { enough: self.enough, ..Rules::from(&self.validation) };
            let counts = read_push(self.protocol, body, limits, rules, self.now, scratch)?;
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
            enough: self.enough,
        };
        let counts = read_push(self.protocol, body, limits, rules, self.now, scratch)?;
        let relabel_unavailable = *relabel_unavailable;
        Ok(DecodedPush { counts, election: outcome, candidates, relabel_unavailable, ..DecodedPush::default() })
    }
}
