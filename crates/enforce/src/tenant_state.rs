//! The buckets of one tenant.
//!
//! Not here: the map of tenants and its locks. The invariant: what was charged without a limit is remembered as Mimir's
//! limiters remember it, so that a limit that comes later finds the same tokens.

use std::collections::HashMap;

use limits::{Burst, Rate, RateLimit, Tenant};

use crate::bucket::{Bucket, is_unlimited, items_of};
use crate::time::MonotonicNanos;

/// The most metadata spellings (`a:k=v`) of one tenant that have ingestion buckets of their own.
///
/// A client chooses the spelling, so without a bound one tenant could take all memory and, with a fresh bucket each
/// time, never be limited.
pub const MAX_SPELLINGS: usize = 1_000;

/// The outcome of one charge to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The charge was made, or there is no limit.
    Made,
    /// Nothing was charged; the bucket holds at most `burst`.
    Denied { burst: i64 },
}

/// The outcome of an ingestion charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestionCharge {
    pub(crate) charge: Charge,
    /// The spelling has no bucket of its own because the tenant has [`MAX_SPELLINGS`] others.
    pub(crate) overflowed: bool,
}

/// The outcome of a charge for a push that cannot be metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmeteredCharge {
    /// Taken from the ingestion bucket.
    Taken,
    /// Not taken from the ingestion bucket, but within the tenant's bound for such pushes: Mimir answers the push.
    WithinBound,
    /// Nothing was taken: the push is over that bound.
    OverBound,
}

/// Which ingestion bucket is charged, by which limit, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingestion<'t> {
    pub(crate) tenant: Tenant<'t>,
    pub(crate) limit: RateLimit,
    pub(crate) now: MonotonicNanos,
    /// Whether a spelling without a bucket may get one.
    pub(crate) has_room: bool,
}

/// All buckets of one tenant. Boxed one by one: most tenants have no request limit and no spellings, and a hash table
/// keeps about as many empty places as full ones.
#[derive(Debug, Default)]
pub(crate) struct TenantState {
    request: Slot,
    ingestion: Slot,
    spellings: Option<Box<Spellings>>,
    /// Pushes that passed without being metered, beyond what the ingestion bucket held.
    unmetered: Option<Box<Bucket>>,
    /// How much of what Mimir denied may still be refunded; `None` before the first such refund.
    refunds: Option<Box<RefundBuckets>>,
    /// Whether anything was charged, or denied, since the last [`TenantState::evict_full`].
    used: bool,
}

/// A bucket, or what stands for one.
#[derive(Debug, Default)]
enum Slot {
    /// Nothing was charged yet.
    #[default]
    Untouched,
    /// Only charges without a limit were made. Mimir has a limiter for them all the same, and a limit set later finds so many tokens in it: the
    /// burst of that time, which for requests is 0.
    Unlimited {
        tokens: i64,
    },
    Limited(Box<Bucket>),
}

/// Buckets for refunds of what Mimir denied.
#[derive(Debug, Default)]
struct RefundBuckets {
    requests: Slot,
    items: Slot,
}

/// The ingestion buckets of a tenant's metadata spellings, at most [`MAX_SPELLINGS`].
#[derive(Debug, Default)]
struct Spellings {
    buckets: HashMap<Box<str>, Bucket>,
}

impl TenantState {
    pub(crate) fn charge_requests(&mut self, limit: RateLimit, requests: i64, now: MonotonicNanos) -> Charge {
        self.used = true;
        self.request.charge(limit, requests, now)
    }

    /// How many places it takes.
    pub(crate) fn places(&self) -> usize {
        1 + self.spellings.as_ref().map_or(0, |spellings| spellings.buckets.len())
    }

    /// Charges the bucket of the tenant's spelling, or the bare tenant's if there are too many spellings, or no room for
    /// one more.
    pub(crate) fn charge_ingestion(&mut self, of: &Ingestion<'_>, items: i64) -> IngestionCharge {
        self.used = true;
        let has_metadata = of.tenant.has_metadata();
        match if has_metadata { self.charge_spelling(of, items) } else { None } {
            Some(charge) => IngestionCharge { charge, overflowed: false },
            None => {
                IngestionCharge { charge: self.ingestion.charge(of.limit, items, of.now), overflowed: has_metadata }
            }
        }
    }

    /// Denies a charge of any number of items from `least` to `most`, if all of them get the same denial; its effect on the bucket is that of any of them.
    pub(crate) fn deny_ingestion(&mut self, of: &Ingestion<'_>, least: i64, most: i64) -> Option<IngestionCharge> {
        let mut bucket = self.ingestion_bucket(of);
        // A denial for the burst names the number.
        let is_worded_alike = most <= bucket.burst() || least == most;
        let is_denied = is_worded_alike && !bucket.take(least, of.now);
        is_denied.then(|| self.charge_ingestion(of, most))
    }

    /// `None` if the spelling has no bucket and may not get one.
    fn charge_spelling(&mut self, of: &Ingestion<'_>, items: i64) -> Option<Charge> {
        let Ingestion { tenant, limit, now, has_room } = *of;
        let key = tenant.limits_key();
        if let Some(bucket) = self.spellings.as_mut().and_then(|spellings| spellings.buckets.get_mut(key)) {
            return Some(charge(bucket, limit, items, now));
        }
        if is_unlimited(limit) {
            return Some(Charge::Made);
        }
        if !has_room || self.places() > MAX_SPELLINGS {
            return None;
        }
        let buckets = &mut self.spellings.get_or_insert_default().buckets;
        Some(charge(buckets.entry(key.into()).or_insert_with(|| Bucket::new(limit)), limit, items, now))
    }

    /// Takes `items` from the tenant's ingestion bucket if `charges_ingestion`, and where that does not hold them from a bucket with `bound`.
    ///
    /// A push larger than the bound's burst passes where the bound is untouched, or it would never pass, and leaves a debt.
    pub(crate) fn charge_unmetered(
        &mut self,
        of: &Ingestion<'_>,
        bound: RateLimit,
        items: i64,
        charges_ingestion: bool,
    ) -> UnmeteredCharge {
        self.used = true;
        if charges_ingestion && self.charge_ingestion(of, items).charge == Charge::Made {
            return UnmeteredCharge::Taken;
        }
        if is_unlimited(bound) {
            return UnmeteredCharge::WithinBound;
        }
        let bucket = self.unmetered.get_or_insert_with(|| Box::new(Bucket::new(bound)));
        bucket.set_limit(bound, of.now);
        if bucket.take_with_debt(items, of.now) { UnmeteredCharge::WithinBound } else { UnmeteredCharge::OverBound }
    }

    /// Refunds requests. What was charged without a limit was taken from no bucket.
    pub(crate) fn refund_requests(&mut self, limit: RateLimit, requests: i64, now: MonotonicNanos) {
        self.request.refund(limit, requests, now);
    }

    /// Refunds items to the bucket that [`TenantState::charge_ingestion`] would charge. A spelling without a bucket is full.
    pub(crate) fn refund_ingestion(&mut self, of: &Ingestion<'_>, items: i64) {
        if self.uses_bare_bucket(of) {
            return self.ingestion.refund(of.limit, items, of.now);
        }
        let buckets = self.spellings.as_mut().map(|spellings| &mut spellings.buckets);
        if let Some(bucket) = buckets.and_then(|buckets| buckets.get_mut(of.tenant.limits_key())) {
            refund(bucket, of.limit, items, of.now);
        }
    }

    /// Refunds requests that Mimir denied, within the limit on such refunds: all or none; whether it did.
    pub(crate) fn refund_denied_requests(&mut self, limit: RateLimit, requests: i64, now: MonotonicNanos) -> bool {
        let allowance = &mut self.refunds.get_or_insert_default().requests;
        let is_allowed = allowance.charge(refund_limit(limit), requests, now) == Charge::Made;
        if is_allowed {
            self.refund_requests(limit, requests, now);
        }
        is_allowed
    }

    /// Refunds items that Mimir denied, within one limit for all spellings: all or none; whether it did.
    pub(crate) fn refund_denied_ingestion(&mut self, of: &Ingestion<'_>, items: i64) -> bool {
        let allowance = &mut self.refunds.get_or_insert_default().items;
        let is_allowed = allowance.charge(refund_limit(of.limit), items, of.now) == Charge::Made;
        if is_allowed {
            self.refund_ingestion(of, items);
        }
        is_allowed
    }

    /// A copy of the request bucket as a charge now would find it.
    pub(crate) fn request_bucket(&self, limit: RateLimit, now: MonotonicNanos) -> Bucket {
        self.request.bucket(limit, now)
    }

    /// A copy of the bucket that [`TenantState::charge_ingestion`] would charge.
    pub(crate) fn ingestion_bucket(&self, of: &Ingestion<'_>) -> Bucket {
        if self.uses_bare_bucket(of) {
            return self.ingestion.bucket(of.limit, of.now);
        }
        let spellings = self.spellings.as_ref();
        copy_of(spellings.and_then(|spellings| spellings.buckets.get(of.tenant.limits_key())), of.limit, of.now)
    }

    /// Whether the bare tenant's ingestion bucket counts: for a tenant without metadata, and for a spelling that has no bucket and may not get one.
    fn uses_bare_bucket(&self, of: &Ingestion<'_>) -> bool {
        let buckets = self.spellings.as_ref().map(|spellings| &spellings.buckets);
        let has_own = buckets.is_some_and(|buckets| buckets.contains_key(of.tenant.limits_key()));
        let may_get_one = of.has_room && self.places() <= MAX_SPELLINGS;
        !of.tenant.has_metadata() || !(has_own || may_get_one)
    }

    /// Drops spellings whose bucket is full. Returns whether all buckets of the tenant are full, and were not used since the last call.
    pub(crate) fn evict_full(&mut self, now: MonotonicNanos) -> bool {
        if let Some(spellings) = &mut self.spellings {
            spellings.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        self.spellings.take_if(|spellings| spellings.buckets.is_empty());
        let used = std::mem::take(&mut self.used);
        self.unmetered.take_if(|bucket| bucket.is_full(now));
        !used
            && self.spellings.is_none()
            && self.unmetered.is_none()
            && self.request.is_full(now)
            && self.ingestion.is_full(now)
    }
}

impl Slot {
    fn charge(&mut self, limit: RateLimit, items: i64, now: MonotonicNanos) -> Charge {
        if let Slot::Limited(bucket) = self {
            return charge(bucket, limit, items, now);
        }
        if is_unlimited(limit) {
            *self = Slot::Unlimited { tokens: items_of(limit.capacity) };
            return Charge::Made;
        }
        let mut bucket = self.bucket(limit, now);
        let charge = charge(&mut bucket, limit, items, now);
        *self = Slot::Limited(Box::new(bucket));
        charge
    }

    fn refund(&mut self, limit: RateLimit, items: i64, now: MonotonicNanos) {
        if let Slot::Limited(bucket) = self {
            refund(bucket, limit, items, now);
        }
    }

    /// A copy of the bucket as a charge now would find it.
    fn bucket(&self, limit: RateLimit, now: MonotonicNanos) -> Bucket {
        match self {
            Slot::Untouched => Bucket::new(limit),
            Slot::Unlimited { tokens } => {
                let before = RateLimit::of_one(Rate::Unlimited, Burst::Items(*tokens));
                copy_of(Some(&Bucket::new(before)), limit, now)
            }
            Slot::Limited(bucket) => copy_of(Some(bucket), limit, now),
        }
    }

    fn is_full(&self, now: MonotonicNanos) -> bool {
        match self {
            Slot::Untouched | Slot::Unlimited { .. } => true,
            Slot::Limited(bucket) => bucket.is_full(now),
        }
    }
}

/// The limit on refunds of what Mimir denied: a share of the tenant's rate, and one burst at once.
///
/// One of several distributors may deny what the others have room for; the tenant has not used that. But if all of it were refunded, an edge whose
/// bucket holds more than Mimir's, as after a restart, would hold more for ever: the tenant earns in both buckets what it uses in both, and every
/// push that Mimir denies would pass the edge again.
fn refund_limit(limit: RateLimit) -> RateLimit {
    const SHARE: f64 = 0.1;
    match limit.rate {
        Rate::PerSecond(per_second) => RateLimit::of_one(Rate::PerSecond(per_second * SHARE), limit.burst),
        Rate::Unlimited => limit,
    }
}

fn copy_of(bucket: Option<&Bucket>, limit: RateLimit, now: MonotonicNanos) -> Bucket {
    let mut copy = bucket.cloned().unwrap_or_else(|| Bucket::new(limit));
    copy.set_limit(limit, now);
    copy
}

fn charge(bucket: &mut Bucket, limit: RateLimit, items: i64, now: MonotonicNanos) -> Charge {
    bucket.set_limit(limit, now);
    if bucket.take(items, now) { Charge::Made } else { Charge::Denied { burst: bucket.burst() } }
}

fn refund(bucket: &mut Bucket, limit: RateLimit, items: i64, now: MonotonicNanos) {
    bucket.set_limit(limit, now);
    bucket.refund(items, now);
}
