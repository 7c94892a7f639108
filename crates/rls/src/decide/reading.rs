//! How the body of one push is read: by which rules of its tenant, and what came of them.

use std::sync::Arc;

use limits::{Tenant, TenantLimits, TenantView};
use remote_write::relabel::Rewrite;
use remote_write::{
    BodyError, BodyLimits, Dedupe, Protocol, PushCounts, Replica, Rules, Scratch, TenantRewrite, Validation, read_push,
};

use super::{Decider, Tokens};
use crate::args::HaTracker;
use crate::elections::{DueReplicas, HaElection, HaOutcome};
use crate::rewrites::Uncountable;
use crate::rules::TenantRules;

/// The rules that a body is read by. It borrows nothing, since a large body is read on another thread.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    protocol: Protocol,
    validation: Validation,
    /// Unix milliseconds.
    now: i64,
    /// What few tenants have.
    special: Option<Box<Special>>,
    /// Whether reading panics, as no body is known to make it do.
    #[cfg(test)]
    pub(super) panics: bool,
}

#[derive(Clone, Debug)]
struct Special {
    tenant: Box<str>,
    election: Option<HaElection>,
    rewrite: Option<Arc<Rewrite>>,
    /// Why the rewriting is one that the edge cannot do.
    uncountable: Option<Uncountable>,
}

/// What a body was found to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub counts: PushCounts,
    pub ha: HaOutcome,
    /// Replicas that are elected by this push, if it is let through.
    pub due: DueReplicas,
    /// Why the counts are not what Mimir would charge, where the tenant's rules are the reason.
    pub uncountable: Option<Uncountable>,
    /// Whether Mimir may take series that were found invalid, because the push asks for it.
    pub skips_validation: bool,
}

/// How many times as long as plain reading a rule takes for a byte, where series are short.
const EFFORT_OF_A_RULE: usize = 8;

impl Reading {
    /// By the rules of a tenant without pairs and relabelling.
    pub(super) fn plain(protocol: Protocol, validation: Validation, now: i64) -> Self {
        Self {
            protocol,
            validation,
            now,
            special: None,
            #[cfg(test)]
            panics: false,
        }
    }

    /// How many times as long as by the rules of a usual tenant a body takes to read.
    pub(super) fn effort(&self) -> usize {
        let Some(special) = &self.special else { return 1 };
        let rules = special.rewrite.as_ref().map_or(0, |rewrite| rewrite.len());
        // A push of a pair is walked twice; judged series by series, its labels are copied as those that are relabelled are.
        let pair = special
            .election
            .as_ref()
            .map_or(0, |election| if election.judges_each_series() { EFFORT_OF_A_RULE } else { 1 });
        1 + pair + EFFORT_OF_A_RULE.saturating_mul(rules)
    }

    /// Whether each byte takes about as long as another. An expression may take a thousand times as long for some.
    pub(super) fn is_steady(&self) -> bool {
        self.special.as_ref().is_none_or(|special| special.rewrite.is_none())
    }

    pub(super) fn read(&self, body: &[u8], limits: BodyLimits, scratch: &mut Scratch) -> Result<Read, BodyError> {
        #[cfg(test)]
        assert!(!self.panics, "the test wants it");
        let Some(special) = &self.special else {
            let counts = read_push(self.protocol, body, limits, &self.validation, self.now, scratch)?;
            return Ok(Read { counts, ..Read::default() });
        };
        let Special { tenant, election, rewrite, uncountable } = &**special;
        let (mut ha, mut due) = (HaOutcome::default(), DueReplicas::default());
        let mut judge = |replica: Replica<'_>| match election {
            Some(election) => election.judge(tenant, replica, &mut ha, &mut due),
            None => Dedupe::NoPair,
        };
        let rules = Rules {
            validation: self.validation,
            rewrite: rewrite.as_deref().map(|rewrite| TenantRewrite { rewrite, tenant }),
            ha: election.as_ref().map(|election| election.rules(&mut judge)),
        };
        let counts = read_push(self.protocol, body, limits, rules, self.now, scratch)?;
        Ok(Read { counts, ha, due, uncountable: *uncountable, skips_validation: false })
    }
}

impl Decider {
    /// How a push of this tenant is read now.
    pub(super) fn reading(
        &self,
        tenant: &Tenant<'_>,
        rules: &TenantRules<'_>,
        limits: &TenantView<'_>,
        defaults: &TenantLimits,
        protocol: Protocol,
        tokens: Tokens,
    ) -> Reading {
        let now = self.clock.unix_millis();
        let own = &limits.tenant.limits;
        let dedupes = self.ha_tracker == HaTracker::On && own.accept_ha_samples;
        let plain = Reading::plain(protocol, Validation::of(limits), now);
        if !dedupes && !own.rewrites_series() {
            return plain;
        }
        let rewrite = rules.rewrites.of(own);
        let special = Special {
            tenant: tenant.id().into(),
            election: dedupes
                .then(|| self.elections.of_push(own, defaults, (now, rand::random()), tokens == Tokens::Spend)),
            uncountable: rewrite.as_ref().err().copied(),
            rewrite: rewrite.ok().flatten(),
        };
        Reading { special: Some(Box::new(special)), ..plain }
    }
}
