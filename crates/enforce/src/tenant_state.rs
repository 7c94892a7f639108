//! The buckets of one tenant.
//!
//! Not here: the map of tenants and its locks. The invariant: a bucket exists only once something limited was charged
//! to it, so a tenant without limits costs no memory.

use std::collections::HashMap;

use limits::{RateLimit, Tenant};

use crate::bucket::{Bucket, is_unlimited};
use crate::moment::Moment;

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
    Refused { burst: i64 },
}

/// Where an ingestion charge went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestionCharge {
    pub(crate) charge: Charge,
    /// The spelling has no bucket of its own because the tenant has [`MAX_SPELLINGS`] others.
    pub(crate) overflowed: bool,
}

/// All buckets of one tenant. Boxed one by one: most tenants have no request limit and no spellings, and a hash table
/// keeps about as many empty places as full ones.
#[derive(Debug, Default)]
pub(crate) struct TenantState {
    request: Option<Box<Bucket>>,
    ingestion: Option<Box<Bucket>>,
    spellings: Option<Box<Spellings>>,
}

impl TenantState {
    pub(crate) fn charge_requests(&mut self, limit: RateLimit, requests: i64, now: Moment) -> Charge {
        charge_slot(&mut self.request, limit, requests, now)
    }

    /// Charges the bucket of the tenant's spelling, or the bare tenant's if there are too many spellings.
    pub(crate) fn charge_ingestion(
        &mut self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        items: i64,
        now: Moment,
    ) -> IngestionCharge {
        if tenant.has_metadata()
            && let Some(charge) = self.charge_spelling(tenant.limits_key(), limit, items, now)
        {
            return IngestionCharge { charge, overflowed: false };
        }
        let charge = charge_slot(&mut self.ingestion, limit, items, now);
        IngestionCharge { charge, overflowed: tenant.has_metadata() }
    }

    /// A copy of the request bucket as a charge now would meet it.
    pub(crate) fn request_bucket(&self, limit: RateLimit, now: Moment) -> Bucket {
        copy_of(self.request.as_deref(), limit, now)
    }

    /// A copy of the ingestion bucket as a charge now would meet it: the spelling's, or the bare tenant's if there are
    /// too many spellings.
    pub(crate) fn ingestion_bucket(&self, tenant: &Tenant<'_>, limit: RateLimit, now: Moment) -> Bucket {
        let bare = self.ingestion.as_deref();
        if !tenant.has_metadata() {
            return copy_of(bare, limit, now);
        }
        let buckets = self.spellings.as_ref().map(|spellings| &spellings.buckets);
        let own = buckets.and_then(|buckets| buckets.get(tenant.limits_key()));
        let full = own.is_none() && buckets.is_some_and(|buckets| buckets.len() >= MAX_SPELLINGS);
        copy_of(if full { bare } else { own }, limit, now)
    }

    /// Drops spellings whose bucket is full; whether every bucket of the tenant is.
    pub(crate) fn settle(&mut self, now: Moment) -> bool {
        if let Some(spellings) = &mut self.spellings {
            spellings.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        self.spellings.take_if(|spellings| spellings.buckets.is_empty());
        let is_idle = |slot: &Option<Box<Bucket>>| slot.as_ref().is_none_or(|bucket| bucket.is_full(now));
        self.spellings.is_none() && is_idle(&self.request) && is_idle(&self.ingestion)
    }

    /// `None` if the spelling has no bucket and may not get one.
    fn charge_spelling(&mut self, key: &str, limit: RateLimit, items: i64, now: Moment) -> Option<Charge> {
        if self.spellings.is_none() && is_unlimited(limit) {
            return Some(Charge::Made);
        }
        self.spellings.get_or_insert_default().charge(key, limit, items, now)
    }
}

/// The ingestion buckets of a tenant's metadata spellings, at most [`MAX_SPELLINGS`].
#[derive(Debug, Default)]
struct Spellings {
    buckets: HashMap<Box<str>, Bucket>,
}

impl Spellings {
    fn charge(&mut self, key: &str, limit: RateLimit, items: i64, now: Moment) -> Option<Charge> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return Some(charge(bucket, limit, items, now));
        }
        if is_unlimited(limit) {
            return Some(Charge::Made);
        }
        if self.buckets.len() >= MAX_SPELLINGS {
            return None;
        }
        let bucket = self.buckets.entry(key.into()).or_insert_with(|| Bucket::new(limit));
        Some(charge(bucket, limit, items, now))
    }
}

fn copy_of(bucket: Option<&Bucket>, limit: RateLimit, now: Moment) -> Bucket {
    let mut copy = bucket.cloned().unwrap_or_else(|| Bucket::new(limit));
    copy.set_limit(limit, now);
    copy
}

fn charge_slot(slot: &mut Option<Box<Bucket>>, limit: RateLimit, items: i64, now: Moment) -> Charge {
    if slot.is_none() && is_unlimited(limit) {
        return Charge::Made;
    }
    charge(slot.get_or_insert_with(|| Box::new(Bucket::new(limit))), limit, items, now)
}

fn charge(bucket: &mut Bucket, limit: RateLimit, items: i64, now: Moment) -> Charge {
    bucket.set_limit(limit, now);
    if bucket.take(items, now) { Charge::Made } else { Charge::Refused { burst: bucket.burst() } }
}
