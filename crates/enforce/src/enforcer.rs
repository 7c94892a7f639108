//! The steps of the decision that spend tokens, over all tenants.
//!
//! Not here: which limit holds, what a push costs, and what is done with a [`Decision`]. The invariants: a step takes
//! one shard's lock and gives it back before it returns, and a text is only made once the lock is gone; what all tenants
//! take is bounded by [`MAX_PLACES`], and by the number of tenants that the overrides name.

use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dashmap::{DashMap, Entry};
use limits::{Burst, Rate, RateLimit, Snapshot, Tenant};

use crate::bucket::Bucket;
use crate::decision::{Decision, Denial, DenyReason};
use crate::level::Level;
use crate::message;
use crate::monotonic_nanos::MonotonicNanos;
use crate::tenant_state::{Charge, IngestionCharge, TenantState, UnmeteredCharge};

mod refunds;

/// Enough that eviction, which holds one shard at a time, passes over some thousand tenants under one lock when there
/// are a million.
const SHARDS: usize = 256;
/// The most places: a tenant takes one, and one more for each metadata spelling of it that has a bucket.
///
/// Clients choose the names. A place takes some 250 bytes with a name as people give them, and 450 with the longest, so
/// that all take 60 to 110 MB. Tenants that the overrides name have places beyond that.
pub const MAX_PLACES: usize = 250_000;
/// How many buckets tenants without a place share. A flood of invented names meets few others in each, so that a tenant
/// that is no invention is hardly ever refused for what others push.
const SHARED: u64 = 1 << 14;

/// Memory is given back once the map has room for this many times its tenants.
const SPARSE: usize = 8;

/// The buckets of all tenants, for use by many threads at once.
///
/// A tenant exists here from its first charge until [`Enforcer::evict_idle`] finds it idle.
///
/// The limit comes with each call: one that differs from the bucket's is taken over before the charge, keeping the
/// tokens, as Mimir's limiter does (dskit `limiter/rate_limiter.go`). A tenant that pushed without a limit has the tokens
/// that Mimir's limiter has then: the first request rate of a running tenant finds none.
///
/// Calls may come with moments out of order: Go's arithmetic then grants the time between them twice, and so does this.
///
/// Where all [`MAX_PLACES`] are taken, a tenant that is not known and that no override names is charged to buckets that
/// it shares with others. It goes on with those until they are full: a name that comes back does not find new tokens.
#[derive(Debug)]
pub struct Enforcer {
    tenants: DashMap<Box<str>, TenantState>,
    /// Places that are taken.
    places: AtomicUsize,
    max_places: usize,
    /// What tenants without a place share, by what their names come to.
    shared: DashMap<u64, TenantState>,
    overridden: RwLock<Option<Arc<Snapshot>>>,
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
            overridden: RwLock::default(),
            tenant_overflows: AtomicU64::new(0),
            spelling_overflows: AtomicU64::new(0),
        }
    }

    /// Tenants with an override in `limits` have a place from now on, however many others there are.
    pub fn reserve_places_for(&self, limits: Arc<Snapshot>) {
        *self.overridden.write().unwrap_or_else(PoisonError::into_inner) = Some(limits);
    }

    /// Charges one request to the bare tenant's request bucket. Denies with [`DenyReason::RequestRate`].
    pub fn admit_request(&self, tenant: &Tenant<'_>, limit: RateLimit, now: MonotonicNanos) -> Decision {
        self.admit_requests(tenant, limit, 1, now)
    }

    /// Charges so many requests together, or none. No requests cost nothing; more than `i64::MAX` count as that many.
    pub fn admit_requests(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        requests: u64,
        now: MonotonicNanos,
    ) -> Decision {
        if requests == 0 {
            return Decision::Allow;
        }
        let requests = to_items(requests);
        match self.with_state(tenant, |state, _| state.charge_requests(limit, requests, now)) {
            Charge::Made => Decision::Allow,
            Charge::Denied { .. } => Decision::Deny(request_denial(limit)),
        }
    }

    /// What the tenant's request bucket is at `now`, and would say to a charge. Charges nothing.
    #[must_use]
    pub fn request_level(&self, tenant: &Tenant<'_>, limit: RateLimit, now: MonotonicNanos) -> Level {
        let bucket = self.look_at(tenant, |state, _| state.request_bucket(limit, now));
        let bucket = bucket.unwrap_or_else(|| Bucket::new(limit));
        Level::new(bucket, limit, now)
    }

    /// What the ingestion bucket of [`Tenant::limits_key`] is at `now`, and would say to a charge. Charges nothing.
    #[must_use]
    pub fn ingestion_level(&self, tenant: &Tenant<'_>, limit: RateLimit, now: MonotonicNanos) -> Level {
        let bucket = self.look_at(tenant, |state, has_room| state.ingestion_bucket(tenant, limit, now, has_room));
        let bucket = bucket.unwrap_or_else(|| Bucket::new(limit));
        Level::new(bucket, limit, now)
    }

    /// Charges all `items` of a push, or none, to the ingestion bucket of [`Tenant::limits_key`].
    ///
    /// Each metadata spelling of a tenant has a bucket of its own up to [`MAX_SPELLINGS`](crate::MAX_SPELLINGS); one
    /// more is charged to the bare tenant's bucket, with the limit given here, and counted. No items cost nothing and
    /// are allowed; more than `i64::MAX` count as that many.
    ///
    /// Denies with [`DenyReason::IngestionBurst`] if `items` is more than the burst, else with
    /// [`DenyReason::IngestionRate`].
    pub fn charge_items(&self, tenant: &Tenant<'_>, limit: RateLimit, items: u64, now: MonotonicNanos) -> Decision {
        if items == 0 {
            return Decision::Allow;
        }
        let items = to_items(items);
        let IngestionCharge { charge, overflowed } =
            self.with_state(tenant, |state, has_room| state.charge_ingestion(tenant, limit, items, now, has_room));
        if overflowed {
            self.spelling_overflows.fetch_add(1, Ordering::Relaxed);
        }
        match charge {
            Charge::Made => Decision::Allow,
            Charge::Denied { burst } => Decision::Deny(ingestion_denial(limit, burst, items)),
        }
    }

    /// Charges a push of which nobody knows what Mimir charges: `items` is the most that it may be. Such a push is refused only
    /// for a bound of its own.
    ///
    /// With `charges_ingestion` the ingestion bucket of [`Tenant::limits_key`] is charged, if it holds as much. If it does not, and without
    /// that, the items are taken from one bucket of the bare tenant with [`UNMETERED_FACTOR`] times its limit: what Mimir may have to
    /// refuse itself is so bounded. A push larger than that bucket passes where it is full, and leaves a debt. Over it,
    /// [`unmetered_denial`] is the refusal.
    pub fn charge_unmetered(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        items: u64,
        charges_ingestion: bool,
        now: MonotonicNanos,
    ) -> UnmeteredCharge {
        if items == 0 {
            return UnmeteredCharge::WithinBound;
        }
        let limits = (limit, unmetered_bound(limit));
        let charge = (to_items(items), charges_ingestion);
        self.with_state(tenant, |state, has_room| state.charge_unmetered(tenant, limits, charge, now, has_room))
    }

    /// Forgets every tenant whose buckets are all full at `now` and that nothing was charged to since the last call; how
    /// many those were.
    ///
    /// A full bucket is what a tenant would start with again, so while limits stay, no decision at `now` or later
    /// changes. Spellings are forgotten one by one, so old ones give their places to new ones. What is lost is the
    /// number of tokens: a burst raised later meets a bucket full to the new burst, where a kept one would hold the old
    /// burst and fill from there. Mimir too forgets idle limiters, after a day. A bucket that never refills (rate 0 or
    /// below, NaN) stays once it was charged.
    ///
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

    /// The first `count` known tenants, in order of their bytes, that come after `after`.
    ///
    /// Every tenant is looked at, one shard at a time: some milliseconds for 100,000 of them.
    #[must_use]
    pub fn tenants_after(&self, after: Option<&str>, count: usize) -> Vec<Box<str>> {
        let mut first: BinaryHeap<Box<str>> = BinaryHeap::new();
        for known in &self.tenants {
            let id = known.key();
            if after.is_some_and(|after| **id <= *after) {
                continue;
            }
            if first.len() < count {
                first.push(id.clone());
            } else if let Some(mut last) = first.peek_mut()
                && *id < *last
            {
                *last = id.clone();
            }
        }
        first.into_sorted_vec()
    }

    /// How many tenants are known, counted shard by shard.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// How many pushes were charged to the bare tenant because it already had
    /// [`MAX_SPELLINGS`](crate::MAX_SPELLINGS) other spellings.
    #[must_use]
    pub fn spelling_overflows(&self) -> u64 {
        self.spelling_overflows.load(Ordering::Relaxed)
    }

    /// Whether tenants that are not known find no place: [`Enforcer::evict_idle`] may make some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.places.load(Ordering::Relaxed) >= self.max_places
    }

    /// How many charges were made to buckets that tenants share, because all [`MAX_PLACES`] were taken.
    #[must_use]
    pub fn tenant_overflows(&self) -> u64 {
        self.tenant_overflows.load(Ordering::Relaxed)
    }

    /// Runs `step` on the tenant's state under its lock, with whether a spelling of it may have a bucket.
    fn with_state<R>(&self, tenant: &Tenant<'_>, step: impl FnOnce(&mut TenantState, bool) -> R) -> R {
        let has_room = !self.is_full() || self.has_override(tenant);
        // Two look-ups for a new tenant, so that a known one costs no allocation.
        if let Some(mut state) = self.tenants.get_mut(tenant.id()) {
            return self.count_places(&mut state, 0, |state| step(state, has_room));
        }
        if let Some(shared) = self.shared_by(tenant, has_room) {
            self.tenant_overflows.fetch_add(1, Ordering::Relaxed);
            return step(&mut self.shared.entry(shared).or_default(), false);
        }
        match self.tenants.entry(tenant.id().into()) {
            Entry::Occupied(mut known) => self.count_places(known.get_mut(), 0, |state| step(state, has_room)),
            Entry::Vacant(new) => {
                self.count_places(&mut new.insert(TenantState::default()), 1, |state| step(state, has_room))
            }
        }
    }

    /// Runs `step` on the state that a charge would meet, under its lock; `None` if there is none.
    fn with_known<R>(&self, tenant: &Tenant<'_>, step: impl FnOnce(&mut TenantState, bool) -> R) -> Option<R> {
        let has_room = !self.is_full() || self.has_override(tenant);
        if let Some(mut state) = self.tenants.get_mut(tenant.id()) {
            return Some(step(&mut state, has_room));
        }
        let shared = self.shared_by(tenant, has_room)?;
        self.shared.get_mut(&shared).map(|mut state| step(&mut state, false))
    }

    /// Runs a step, and counts the places that it takes, with so many for the tenant itself.
    fn counted<R>(&self, state: &mut TenantState, new: usize, step: impl FnOnce(&mut TenantState) -> R) -> R {
        let before = state.places();
        let done = step(state);
        let taken = state.places().saturating_sub(before) + new;
        if taken > 0 {
            self.places.fetch_add(taken, Ordering::Relaxed);
        }
        done
    }

    /// The state that a charge would meet, and whether a spelling may have a bucket of its own in it.
    fn look_at<R>(&self, tenant: &Tenant<'_>, look: impl FnOnce(&TenantState, bool) -> R) -> Option<R> {
        let has_room = !self.is_full() || self.has_override(tenant);
        if let Some(state) = self.tenants.get(tenant.id()) {
            return Some(look(&state, has_room));
        }
        let shared = self.shared_by(tenant, has_room)?;
        self.shared.get(&shared).map(|state| look(&state, false))
    }

    /// Where a tenant without a state shares one, if it may not have its own.
    fn shared_by(&self, tenant: &Tenant<'_>, has_room: bool) -> Option<u64> {
        if self.shared.is_empty() && has_room {
            return None;
        }
        let shared = self.tenants.hasher().hash_one(tenant.id()) % SHARED;
        let goes_on = self.shared.contains_key(&shared) && !self.has_override(tenant);
        (goes_on || !has_room).then_some(shared)
    }

    fn has_override(&self, tenant: &Tenant<'_>) -> bool {
        let named = self.overridden.read().unwrap_or_else(PoisonError::into_inner);
        named.as_ref().is_some_and(|named| named.entry(tenant.id()).is_some())
    }
}

impl Default for Enforcer {
    fn default() -> Self {
        Enforcer::new()
    }
}

/// How many times its ingestion limit a tenant may pass to Mimir of what cannot be metered.
///
/// Relabelling that keeps one series of ten is not rare; one that keeps fewer is.
pub const UNMETERED_FACTOR: u32 = 10;

/// And so many items a second, and at once, however low the limit is: so few cost Mimir nothing worth naming, and its answer is the right one.
const LEAST_UNMETERED: (f64, i64) = (100.0, 10_000);

/// The limit of what passes unmetered beyond the ingestion limit.
fn unmetered_bound(limit: RateLimit) -> RateLimit {
    let (least_rate, least_burst) = LEAST_UNMETERED;
    let rate = match limit.rate {
        // Of NaN the other number is the larger one.
        Rate::PerSecond(rate) => Rate::PerSecond((rate * f64::from(UNMETERED_FACTOR)).max(least_rate)),
        Rate::Unlimited => Rate::Unlimited,
    };
    let burst = match limit.burst {
        Burst::Items(items) => Burst::Items(items.saturating_mul(i64::from(UNMETERED_FACTOR)).max(least_burst)),
        Burst::Unlimited => Burst::Unlimited,
    };
    RateLimit::of_one(rate, burst)
}

/// A count as buckets take it.
pub(crate) fn to_items(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The refusal of a push that cannot be metered and is over the bound that goes with this ingestion limit.
#[must_use]
pub fn unmetered_denial(limit: RateLimit) -> Denial {
    Denial::new(DenyReason::EdgeUnmetered, message::unmetered(unmetered_bound(limit)))
}

pub(crate) fn request_denial(limit: RateLimit) -> Denial {
    Denial::new(DenyReason::RequestRate, message::request_rate(limit))
}

/// Mimir looks at the burst first: a push larger than it could never be taken.
pub(crate) fn ingestion_denial(limit: RateLimit, burst: i64, items: i64) -> Denial {
    if items > burst {
        Denial::new(DenyReason::IngestionBurst, message::ingestion_burst(burst, items))
    } else {
        Denial::new(DenyReason::IngestionRate, message::ingestion_rate(limit, burst))
    }
}

#[cfg(test)]
mod tests;
