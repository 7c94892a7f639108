//! The buckets of one tenant.
//!
//! Not here: the map of tenants and its locks. The invariant: what was charged without a limit is remembered as Mimir's
//! limiters remember it, so that a limit that comes later finds the same tokens.

use std::collections::HashMap;

use limits::{Burst, Rate, RateLimit, Tenant};

use crate::bucket::{Bucket, is_unlimited, items_of};
use crate::monotonic_nanos::MonotonicNanos;

/// The most metadata spellings (`a:k=v`) of one tenant that have ingestion buckets of their own.
///
/// A client chooses the spelling, so without a bound one tenant could take all memory and, with a fresh bucket each
/// time, never be limited.
pub const MAX_SPELLINGS: usize = 1_000;

/// What a bucket said to one charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The charge was made, or needed none.
    Made,
    /// Nothing was charged; the bucket holds at most `burst`.
    Denied { burst: i64 },
}

/// Where an ingestion charge went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestionCharge {
    pub(crate) charge: Charge,
    /// The spelling has no bucket of its own because the tenant has [`MAX_SPELLINGS`] others.
    pub(crate) overflowed: bool,
}

/// What became of a charge that nobody knows exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmeteredCharge {
    /// The ingestion bucket held it, and gave it.
    Taken,
    /// It did not, or was not asked: the push is within the tenant's bound for such, and Mimir answers it.
    WithinBound,
    /// Nothing was taken: the push is over that bound.
    OverBound,
}

/// All buckets of one tenant. Boxed one by one: most tenants have no request limit and no spellings, and a hash table
/// keeps about as many empty places as full ones.
#[derive(Debug, Default)]
pub(crate) struct TenantState {
    request: Slot,
    ingestion: Slot,
    spellings: Option<Box<Spellings>>,
    /// What passed without being metered, beyond what the ingestion bucket held.
    unmetered: Option<Box<Bucket>>,
    /// How much of what Mimir refused may come back; none until something did.
    refunds: Option<Box<RefundBuckets>>,
    /// Whether anything was charged, or refused, since the last [`TenantState::evict_full`].
    used: bool,
}

/// Where a bucket is.
#[derive(Debug, Default)]
enum Slot {
    /// Nothing was charged yet.
    #[default]
    Untouched,
    /// Only charges without a limit were made. Mimir has a limiter for them all the same, and a limit that comes finds
    /// in it so many tokens: the burst of that time, which for requests is 0.
    Unlimited {
        tokens: i64,
    },
    Limited(Box<Bucket>),
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
    pub(crate) fn charge_ingestion(
        &mut self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        items: i64,
        now: MonotonicNanos,
        has_room: bool,
    ) -> IngestionCharge {
        self.used = true;
        if tenant.has_metadata()
            && let Some(charge) = self.charge_spelling(tenant.limits_key(), limit, items, now, has_room)
        {
            return IngestionCharge { charge, overflowed: false };
        }
        let charge = self.ingestion.charge(limit, items, now);
        IngestionCharge { charge, overflowed: tenant.has_metadata() }
    }

    /// Takes `items` from the tenant's ingestion bucket, or where that does not hold them from a bucket of its own with `bound`. Without
    /// `charges_ingestion` from that one alone.
    ///
    /// A push larger than the bound's burst passes where the bound is untouched, or it would never pass, and is owed.
    pub(crate) fn charge_unmetered(
        &mut self,
        tenant: &Tenant<'_>,
        (limit, bound): (RateLimit, RateLimit),
        (items, charges_ingestion): (i64, bool),
        now: MonotonicNanos,
        has_room: bool,
    ) -> UnmeteredCharge {
        self.used = true;
        if charges_ingestion && self.charge_ingestion(tenant, limit, items, now, has_room).charge == Charge::Made {
            return UnmeteredCharge::Taken;
        }
        if is_unlimited(bound) {
            return UnmeteredCharge::WithinBound;
        }
        let bucket = self.unmetered.get_or_insert_with(|| Box::new(Bucket::new(bound)));
        bucket.set_limit(bound, now);
        if bucket.take_with_debt(items, now) { UnmeteredCharge::WithinBound } else { UnmeteredCharge::OverBound }
    }

    /// Gives requests back. What was charged without a limit was taken from no bucket.
    pub(crate) fn refund_requests(&mut self, limit: RateLimit, requests: i64, now: MonotonicNanos) {
        self.request.refund(limit, requests, now);
    }

    /// Gives items back to the bucket that [`TenantState::charge_ingestion`] would charge. A spelling without a bucket is full.
    pub(crate) fn refund_ingestion(
        &mut self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        items: i64,
        now: MonotonicNanos,
        has_room: bool,
    ) {
        if self.uses_bare_bucket(tenant, has_room) {
            return self.ingestion.refund(limit, items, now);
        }
        let buckets = self.spellings.as_deref_mut().map(|spellings| &mut spellings.buckets);
        if let Some(bucket) = buckets.and_then(|buckets| buckets.get_mut(tenant.limits_key())) {
            refund(bucket, limit, items, now);
        }
    }

    /// Whether so many requests that Mimir refused may come back; takes them from what may.
    pub(crate) fn allows_request_refund(&mut self, limit: RateLimit, requests: i64, now: MonotonicNanos) -> bool {
        self.refunds.get_or_insert_default().requests.charge(refund_limit(limit), requests, now) == Charge::Made
    }

    /// The same of items, of all spellings together.
    pub(crate) fn allows_item_refund(&mut self, limit: RateLimit, items: i64, now: MonotonicNanos) -> bool {
        self.refunds.get_or_insert_default().items.charge(refund_limit(limit), items, now) == Charge::Made
    }

    /// A copy of the request bucket as a charge now would meet it.
    pub(crate) fn request_bucket(&self, limit: RateLimit, now: MonotonicNanos) -> Bucket {
        self.request.bucket(limit, now)
    }

    /// A copy of the ingestion bucket as a charge now would meet it: the spelling's, or the bare tenant's if there are
    /// too many spellings, or no room for one more.
    pub(crate) fn ingestion_bucket(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        now: MonotonicNanos,
        has_room: bool,
    ) -> Bucket {
        if self.uses_bare_bucket(tenant, has_room) {
            return self.ingestion.bucket(limit, now);
        }
        let spellings = self.spellings.as_ref();
        copy_of(spellings.and_then(|spellings| spellings.buckets.get(tenant.limits_key())), limit, now)
    }

    /// Whether it is the bare tenant's ingestion bucket that counts: for a tenant without metadata, and for a spelling that has no
    /// bucket and may not get one.
    fn uses_bare_bucket(&self, tenant: &Tenant<'_>, has_room: bool) -> bool {
        let buckets = self.spellings.as_ref().map(|spellings| &spellings.buckets);
        let has_own = buckets.is_some_and(|buckets| buckets.contains_key(tenant.limits_key()));
        let may_have = has_room && buckets.is_none_or(|buckets| buckets.len() < MAX_SPELLINGS);
        !tenant.has_metadata() || !(has_own || may_have)
    }

    /// Drops spellings whose bucket is full; whether every bucket of the tenant is, and was not used since the last time.
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

    /// `None` if the spelling has no bucket and may not get one.
    fn charge_spelling(
        &mut self,
        key: &str,
        limit: RateLimit,
        items: i64,
        now: MonotonicNanos,
        has_room: bool,
    ) -> Option<Charge> {
        if self.spellings.is_none() && is_unlimited(limit) {
            return Some(Charge::Made);
        }
        if self.spellings.is_none() && !has_room {
            return None;
        }
        self.spellings.get_or_insert_default().charge(key, limit, items, now, has_room)
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

    /// A copy of the bucket as a charge now would meet it.
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

/// How much of what Mimir refused may come back.
#[derive(Debug, Default)]
struct RefundBuckets {
    requests: Slot,
    items: Slot,
}

/// What comes back of Mimir's refusals: a share of the rate, and one burst at once.
///
/// Of several distributors an unlucky one refuses what the others have room for: that the tenant has not had. But if all of it came back, an edge whose
/// bucket holds more than Mimir's, as after a restart, would hold more for ever: the tenant earns in both what it uses in both, and every push
/// that Mimir refuses would pass the edge again.
fn refund_limit(limit: RateLimit) -> RateLimit {
    const SHARE: f64 = 0.1;
    match limit.rate {
        Rate::PerSecond(per_second) => RateLimit::of_one(Rate::PerSecond(per_second * SHARE), limit.burst),
        Rate::Unlimited => limit,
    }
}

/// The ingestion buckets of a tenant's metadata spellings, at most [`MAX_SPELLINGS`].
#[derive(Debug, Default)]
struct Spellings {
    buckets: HashMap<Box<str>, Bucket>,
}

impl Spellings {
    fn charge(
        &mut self,
        key: &str,
        limit: RateLimit,
        items: i64,
        now: MonotonicNanos,
        has_room: bool,
    ) -> Option<Charge> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return Some(charge(bucket, limit, items, now));
        }
        if is_unlimited(limit) {
            return Some(Charge::Made);
        }
        if self.buckets.len() >= MAX_SPELLINGS || !has_room {
            return None;
        }
        let bucket = self.buckets.entry(key.into()).or_insert_with(|| Bucket::new(limit));
        Some(charge(bucket, limit, items, now))
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
    bucket.give_back(items, now);
}
