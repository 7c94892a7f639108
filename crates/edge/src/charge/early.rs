//! Denies a push before all of it is validated: its tenant's bucket holds less than what was found valid so far.
//!
//! The answer is the one that Mimir gives: validating the rest could only find more valid items. Two things differ from validating all. The counts of the
//! denial are as sent. And a push that turns out not to be metered exactly in the rest is denied, where it would be forwarded for Mimir to deny.

use enforce::Denial;
use limits::{Burst, Mode};
use remote_write::claimed_bytes;

use super::Charger;
use crate::decode::{Contents, DECODED_WITHIN};
use crate::identify::ApplicableLimits;
use crate::policy::Charge;
use crate::push::{Push, PushBody};

/// A push whose items have fewer bytes each may be over the burst without looking so, and then it is decoded twice. A sample of a series of its own has
/// 60 to 200 bytes, and one of many of a series 17.
const BYTES_PER_ITEM: usize = 64;

/// Whether a push is denied before all of it is validated.
pub(crate) enum EarlyDenial {
    Denied(Denial),
    /// All of it was validated, or the denial does not depend on that.
    None,
    /// The validation ended early, and no denial is certain: all of it has to be validated.
    Uncertain,
}

impl Charger {
    /// How many valid items of a push are allowed at most, by the bucket before it is decoded and what that earns meanwhile; `None` where all have to be
    /// counted. In a dry run and in mode shadow the counts are for the operator, a push that may not be metered is not compared with the bucket, and the
    /// denial of one over the burst names their number.
    pub(crate) fn enough(&self, applicable: &ApplicableLimits<'_>, push: &Push, charge: Charge) -> Option<u64> {
        let is_counted = charge == Charge::Commit && applicable.mode == Mode::Enforce && self.policy.charge_items;
        if !is_counted || push.skips_validation || applicable.tenant.has_invalid_suffix() {
            return None;
        }
        let PushBody::Whole(body) = &push.body else { return None };
        let limit = applicable.ingestion_limit();
        let items = claimed_bytes(body).unwrap_or_default() / BYTES_PER_ITEM;
        let Burst::Items(burst) = limit.burst else { return None };
        if usize::try_from(burst).unwrap_or_default() < items {
            return None;
        }
        let level = self.enforcer.ingestion_level(&applicable.owner(), limit, self.now());
        // A debt is no tokens; NaN is no number of them, and the bucket then allows all.
        let tokens = level.tokens_in(DECODED_WITHIN).filter(|tokens| !tokens.is_nan());
        // More items than the burst get a denial that names their number, so that a bucket that holds as much ends nothing early.
        tokens.filter(|tokens| *tokens < burst as f64).map(|tokens| tokens.max(0.0) as u64)
    }

    /// The denial of a push of more valid items than `enough`, whose validation ended early. It is not certain where the bucket has got tokens since, or
    /// where the denial names the number of valid items.
    pub(crate) fn deny_early(
        &self,
        applicable: &ApplicableLimits<'_>,
        enough: Option<u64>,
        contents: &Contents,
    ) -> EarlyDenial {
        let (Contents::Decoded(decoded), Some(enough)) = (contents, enough) else { return EarlyDenial::None };
        let counts = &decoded.counts;
        // One that the edge's own limit denies is charged to no bucket.
        if !counts.is_enough || applicable.edge.max_series_per_request.is_some_and(|most| counts.series > most) {
            return EarlyDenial::None;
        }
        let items = (enough.saturating_add(1), counts.items());
        let denial = self.enforcer.deny_items(&applicable.owner(), applicable.ingestion_limit(), items, self.now());
        denial.map_or(EarlyDenial::Uncertain, EarlyDenial::Denied)
    }
}
