//! The buckets of all tenants, and the steps of a decision that charge or refund them.
//!
//! Not here: which limit applies, what a push costs, and what is done with a [`Decision`]. Invariants: a step locks one shard and releases it
//! before it returns, and formats no text under the lock; memory is bounded by [`MAX_PLACES`] and by the number of tenants with overrides.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::{DashMap, Entry};
use limits::{RateLimit, Tenant};

use crate::bucket::Bucket;
use crate::decision::{Decision, Denial, DenyReason};
use crate::level::Level;
use crate::message;
use crate::tenant_state::{Charge, Ingestion, IngestionCharge, TenantState, UnmeteredCharge};
use crate::time::MonotonicNanos;
use crate::unmetered::unmetered_bound;

/// Eviction locks one shard at a time: with a million tenants, some four thousand under one lock.
const SHARDS: usize = 256;
/// The most places: a tenant takes one, and one more for each metadata spelling of it that has a bucket.
///
/// Clients choose the names. A place takes some 250 bytes with a usual name, and 450 with the longest, so
/// that all take 60 to 110 MB. Tenants with overrides have places beyond that.
pub const MAX_PLACES: usize = 250_000;
/// How many buckets tenants without a place share. Invented names spread over all of them, so that a real tenant is hardly ever denied for what
/// others push.
const SHARED: u64 = 1 << 14;

/// The map shrinks once it has room for this many times its tenants.
const SPARSE: usize = 8;

/// Whose buckets a step charges or refunds.
#[derive(Clone, Copy, Debug)]
pub struct BucketOwner<'t> {
    /// The tenant.
    pub tenant: Tenant<'t>,
    /// Whether the limits of this push have an override for it: it then has a place, however many others there are.
    pub has_override: bool,
}

/// The buckets of all tenants, for use by many threads at once.
///
/// A tenant exists here from its first charge until [`Enforcer::evict_idle`] finds it idle.
///
/// Each call brings the limit. A limit that differs from the bucket's is set before the charge and keeps the tokens, as in Mimir's limiter (dskit
/// `limiter/rate_limiter.go`). A tenant that pushed without a limit has the tokens that Mimir's limiter has then: the first request rate of a
/// running tenant finds none.
///
/// Calls may come with times out of order: Go's arithmetic then grants the time between them twice, and so does this.
///
/// Once all [`MAX_PLACES`] are taken, an unknown tenant without an override is charged to buckets that it shares with others, until those are full:
/// a name that comes back does not find new tokens.
#[derive(Debug)]
pub struct Enforcer {
    tenants: DashMap<Box<str>, TenantState>,
    /// Places that are taken.
    places: AtomicUsize,
    max_places: usize,
    /// Shared by tenants without a place, by the hash of their names.
    shared: DashMap<u64, TenantState>,
    tenant_overflows: AtomicU64,
    spelling_overflows: AtomicU64,
}

impl Enforcer {
    /// An enforcer that knows no tenant: every bucket is full.
    #[must_use]
    pub fn new() -> Self {
        Self::with_places(MAX_PLACES)
    }

    fn with_places(max_places: usize) -> Self {
        Enforcer {
            tenants: DashMap::with_shard_amount(SHARDS),
            places: AtomicUsize::new(0),
            max_places,
            shared: DashMap::new(),
            tenant_overflows: AtomicU64::new(0),
            spelling_overflows: AtomicU64::new(0),
        }
    }

    /// Charges one request to the bare tenant's request bucket. Denies with [`DenyReason::RequestRate`].
    pub fn admit_request(&self, owner: &BucketOwner<'_>, limit: RateLimit, now: MonotonicNanos) -> Decision {
        self.admit_requests(owner, limit, 1, now)
    }

    /// Charges `requests` together, or none. 0 cost nothing; more than `i64::MAX` count as that many.
    pub fn admit_requests(
        &self,
        owner: &BucketOwner<'_>,
        limit: RateLimit,
        requests: u64,
        now: MonotonicNanos,
    ) -> Decision {
        if requests == 0 {
            return Decision::Allow;
        }
        let requests = to_items(requests);
        match self.with_state(owner, |state, _| state.charge_requests(limit, requests, now)) {
            Charge::Made => Decision::Allow,
            Charge::Denied { .. } => Decision::Deny(request_denial(limit)),
        }
    }

    /// The tenant's request bucket at `now`. Charges nothing.
    #[must_use]
    pub fn request_level(&self, owner: &BucketOwner<'_>, limit: RateLimit, now: MonotonicNanos) -> Level {
        let bucket = self.look_at(owner, |state, _| state.request_bucket(limit, now));
        Level::new(bucket.unwrap_or_else(|| Bucket::new(limit)), limit, now)
    }

    /// The ingestion bucket of [`Tenant::limits_key`] at `now`. Charges nothing.
    #[must_use]
    pub fn ingestion_level(&self, owner: &BucketOwner<'_>, limit: RateLimit, now: MonotonicNanos) -> Level {
        let bucket = self.look_at(owner, |state, has_room| {
            state.ingestion_bucket(&Ingestion { tenant: owner.tenant, limit, now, has_room })
        });
        Level::new(bucket.unwrap_or_else(|| Bucket::new(limit)), limit, now)
    }

    /// Whether a charge would find buckets of the tenant, its own or shared ones. Without any, the tenant's buckets are full.
    #[must_use]
    pub fn has_buckets(&self, owner: &BucketOwner<'_>) -> bool {
        self.look_at(owner, |_, _| ()).is_some()
    }

    /// Charges all `items` of a push, or none, to the ingestion bucket of [`Tenant::limits_key`].
    ///
    /// Each metadata spelling of a tenant has a bucket of its own up to [`MAX_SPELLINGS`](crate::MAX_SPELLINGS); one
    /// more is charged to the bare tenant's bucket, with the limit given here, and counted. No items cost nothing and
    /// are allowed; more than `i64::MAX` count as that many.
    ///
    /// Denies with [`DenyReason::IngestionBurst`] if `items` is more than the burst, else with
    /// [`DenyReason::IngestionRate`].
    pub fn charge_items(&self, owner: &BucketOwner<'_>, limit: RateLimit, items: u64, now: MonotonicNanos) -> Decision {
        if items == 0 {
            return Decision::Allow;
        }
        let items = to_items(items);
        let charge = self.with_state(owner, |state, has_room| {
            state.charge_ingestion(&Ingestion { tenant: owner.tenant, limit, now, has_room }, items)
        });
        self.decided(charge, limit, items)
    }

    /// The denial that [`Enforcer::charge_items`] gives any number of items from `least` to `most`, as if one of them was charged now. `None`, without an
    /// effect, if some of them would be allowed, or if their denials are not worded alike.
    pub fn deny_items(
        &self,
        owner: &BucketOwner<'_>,
        limit: RateLimit,
        (least, most): (u64, u64),
        now: MonotonicNanos,
    ) -> Option<Denial> {
        if least == 0 {
            return None;
        }
        let (least, most) = (to_items(least), to_items(most));
        let (charge, is_shared) = self.with_uncounted_state(owner, |state, has_room| {
            state.deny_ingestion(&Ingestion { tenant: owner.tenant, limit, now, has_room }, least, most)
        });
        let charge = charge.inspect(|_| self.count_overflow(is_shared))?;
        self.decided(charge, limit, most).into_result().err()
    }

    fn decided(&self, charged: IngestionCharge, limit: RateLimit, items: i64) -> Decision {
        let IngestionCharge { charge, overflowed } = charged;
        if overflowed {
            self.spelling_overflows.fetch_add(1, Ordering::Relaxed);
        }
        match charge {
            Charge::Made => Decision::Allow,
            Charge::Denied { burst } => Decision::Deny(ingestion_denial(limit, burst, items)),
        }
    }

    /// Charges a push that cannot be metered: `items` is the most that Mimir may charge. It is denied only by a bound of its own.
    ///
    /// With `charges_ingestion` the ingestion bucket of [`Tenant::limits_key`] is charged, if it holds as much. Otherwise the items are taken from a
    /// bucket of the bare tenant with [`UNMETERED_FACTOR`](crate::UNMETERED_FACTOR) times its limit, which bounds what Mimir may have to deny itself. A push
    /// larger than that bucket passes where it is full, and leaves a debt. [`unmetered_denial`](crate::unmetered_denial) is the denial of a push over the
    /// bound.
    pub fn charge_unmetered(
        &self,
        owner: &BucketOwner<'_>,
        limit: RateLimit,
        items: u64,
        charges_ingestion: bool,
        now: MonotonicNanos,
    ) -> UnmeteredCharge {
        if items == 0 {
            return UnmeteredCharge::WithinBound;
        }
        let (bound, items) = (unmetered_bound(limit), to_items(items));
        self.with_state(owner, |state, has_room| {
            let of = Ingestion { tenant: owner.tenant, limit, now, has_room };
            state.charge_unmetered(&of, bound, items, charges_ingestion)
        })
    }

    /// Refunds requests that [`Enforcer::admit_requests`] charged and Mimir's limiter did not, up to the bucket's capacity at `now`. An unknown
    /// tenant has full buckets, and stays unknown. More than `i64::MAX` count as that many.
    pub fn refund_requests(&self, owner: &BucketOwner<'_>, limit: RateLimit, requests: u64, now: MonotonicNanos) {
        self.with_known(owner, |state, _| state.refund_requests(limit, to_items(requests), now));
    }

    /// Refunds items that [`Enforcer::charge_items`] charged, to the bucket that it would charge now.
    pub fn refund_items(&self, owner: &BucketOwner<'_>, limit: RateLimit, items: u64, now: MonotonicNanos) {
        self.with_known(owner, |state, has_room| {
            state.refund_ingestion(&Ingestion { tenant: owner.tenant, limit, now, has_room }, to_items(items));
        });
    }

    /// Refunds requests that Mimir's own limiter denied, all or none; whether it did. In the long run a tenth of the limit's rate is refunded, and
    /// at once no more than its burst: the bucket has to come down to Mimir's level. An unknown tenant gets nothing.
    pub fn refund_denied_requests(
        &self,
        owner: &BucketOwner<'_>,
        limit: RateLimit,
        requests: u64,
        now: MonotonicNanos,
    ) -> bool {
        let refund = |state: &mut TenantState, _| state.refund_denied_requests(limit, to_items(requests), now);
        self.with_known(owner, refund).unwrap_or(false)
    }

    /// The same for items; the spellings of a tenant share one limit on refunds.
    pub fn refund_denied_items(
        &self,
        owner: &BucketOwner<'_>,
        limit: RateLimit,
        items: u64,
        now: MonotonicNanos,
    ) -> bool {
        let refund = |state: &mut TenantState, has_room| {
            state.refund_denied_ingestion(&Ingestion { tenant: owner.tenant, limit, now, has_room }, to_items(items))
        };
        self.with_known(owner, refund).unwrap_or(false)
    }

    /// Evicts every tenant whose buckets are all full at `now` and were not charged since the last call; returns how many.
    ///
    /// A new bucket is full too, so while limits stay, no decision at `now` or later changes. Spellings are evicted one by one, so old ones make
    /// room for new ones. Only the number of tokens is lost: where the burst is raised later, a new bucket is full to the new burst, and a kept one
    /// would fill up to it. Mimir evicts idle limiters too, after a day. A bucket that never refills (rate 0 or below, NaN) stays once it was charged.
    /// One shard is locked at a time; other tenants are served meanwhile.
    pub fn evict_idle(&self, now: MonotonicNanos) -> usize {
        let (mut evicted, mut freed) = (0, 0);
        self.tenants.retain(|_, state| {
            let before = state.places();
            let idle = state.evict_full(now);
            evicted += usize::from(idle);
            freed += before - if idle { 0 } else { state.places() };
            !idle
        });
        self.places.fetch_sub(freed, Ordering::Relaxed);
        self.shared.retain(|_, state| !state.evict_full(now));
        if evicted > 0 && self.tenants.len() < self.tenants.capacity() / SPARSE {
            self.tenants.shrink_to_fit();
        }
        evicted
    }

    /// The names of all known tenants, in no order. Visits one shard at a time.
    #[must_use]
    pub fn names(&self) -> Vec<Box<str>> {
        self.tenants.iter().map(|known| known.key().clone()).collect()
    }

    /// How many tenants are known, counted shard by shard.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// How many pushes were charged to the bare tenant because it had [`MAX_SPELLINGS`](crate::MAX_SPELLINGS) other spellings.
    #[must_use]
    pub fn spelling_overflows(&self) -> u64 {
        self.spelling_overflows.load(Ordering::Relaxed)
    }

    /// Whether there is no place for an unknown tenant; [`Enforcer::evict_idle`] may make some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.places.load(Ordering::Relaxed) >= self.max_places
    }

    /// How many charges were made to buckets that tenants share, because all [`MAX_PLACES`] were taken.
    #[must_use]
    pub fn tenant_overflows(&self) -> u64 {
        self.tenant_overflows.load(Ordering::Relaxed)
    }

    /// Runs `step`, which charges, on the tenant's state under its lock; the flag says whether one of its spellings may get a bucket.
    fn with_state<R>(&self, owner: &BucketOwner<'_>, step: impl FnOnce(&mut TenantState, bool) -> R) -> R {
        let (done, is_shared) = self.with_uncounted_state(owner, step);
        self.count_overflow(is_shared);
        done
    }

    fn count_overflow(&self, is_shared: bool) {
        if is_shared {
            self.tenant_overflows.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same for a step that may charge nothing; returns also whether other tenants share the state.
    fn with_uncounted_state<R>(
        &self,
        owner: &BucketOwner<'_>,
        step: impl FnOnce(&mut TenantState, bool) -> R,
    ) -> (R, bool) {
        let has_room = !self.is_full() || owner.has_override;
        // Two look-ups for a new tenant, so that a known one costs no allocation.
        if let Some(mut state) = self.tenants.get_mut(owner.tenant.id()) {
            return (self.count_places(&mut state, 0, |state| step(state, has_room)), false);
        }
        if let Some(shared) = self.shared_by(owner, has_room) {
            return (step(&mut self.shared.entry(shared).or_default(), false), true);
        }
        let done = match self.tenants.entry(owner.tenant.id().into()) {
            Entry::Occupied(mut known) => self.count_places(known.get_mut(), 0, |state| step(state, has_room)),
            Entry::Vacant(new) => {
                self.count_places(&mut new.insert(TenantState::default()), 1, |state| step(state, has_room))
            }
        };
        (done, false)
    }

    /// Runs `step` on the state that a charge would find, under its lock; `None` if there is none.
    fn with_known<R>(&self, owner: &BucketOwner<'_>, step: impl FnOnce(&mut TenantState, bool) -> R) -> Option<R> {
        let has_room = !self.is_full() || owner.has_override;
        if let Some(mut state) = self.tenants.get_mut(owner.tenant.id()) {
            return Some(step(&mut state, has_room));
        }
        let shared = self.shared_by(owner, has_room)?;
        self.shared.get_mut(&shared).map(|mut state| step(&mut state, false))
    }

    /// The same, which changes nothing: under a shared lock, so that an explanation or a page delays no charge.
    fn look_at<R>(&self, owner: &BucketOwner<'_>, look: impl FnOnce(&TenantState, bool) -> R) -> Option<R> {
        let has_room = !self.is_full() || owner.has_override;
        if let Some(state) = self.tenants.get(owner.tenant.id()) {
            return Some(look(&state, has_room));
        }
        let shared = self.shared_by(owner, has_room)?;
        self.shared.get(&shared).map(|state| look(&state, false))
    }

    /// Runs a step and counts the places that it takes, with `new` for the tenant itself.
    fn count_places<R>(&self, state: &mut TenantState, new: usize, step: impl FnOnce(&mut TenantState) -> R) -> R {
        let before = state.places();
        let done = step(state);
        let taken = state.places().saturating_sub(before) + new;
        if taken > 0 {
            self.places.fetch_add(taken, Ordering::Relaxed);
        }
        done
    }

    /// The shared state of a tenant that has none of its own and may not get one.
    fn shared_by(&self, owner: &BucketOwner<'_>, has_room: bool) -> Option<u64> {
        if self.shared.is_empty() && has_room {
            return None;
        }
        let shared = self.tenants.hasher().hash_one(owner.tenant.id()) % SHARED;
        let is_used = self.shared.contains_key(&shared) && !owner.has_override;
        (is_used || !has_room).then_some(shared)
    }
}

impl Default for Enforcer {
    fn default() -> Self {
        Enforcer::new()
    }
}

/// A count as buckets take it: at most `i64::MAX`.
pub(crate) fn to_items(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn request_denial(limit: RateLimit) -> Denial {
    Denial::new(DenyReason::RequestRate, message::request_rate(limit))
}

/// Mimir checks the burst first: no wait would let a larger push pass.
pub(crate) fn ingestion_denial(limit: RateLimit, burst: i64, items: i64) -> Denial {
    if items > burst {
        Denial::new(DenyReason::IngestionBurst, message::ingestion_burst(burst, items))
    } else {
        Denial::new(DenyReason::IngestionRate, message::ingestion_rate(limit, burst))
    }
}

#[cfg(test)]
mod tests;
