//! How many lines may be written about denials: a rate for each tenant, and one for each class of tenants together.
//!
//! Unknown tenants share one rate, so that invented names take no lines from known tenants.
//!
//! Tenants are identified by a hash in a fixed range, so that memory is bounded whatever names clients invent, and no name is copied. Tenants with
//! the same hash share an allowance; with a thousand denied tenants, one in a hundred does.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::record::known::{PerClass, TenantClass};

/// The range of the hash, for known tenants and for unknown ones: at most a few megabytes, and only while so many tenants are denied.
const PLACES: u64 = 1 << 17;

/// Lines per second, and at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

impl Rate {
    fn quota(self) -> Quota {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

/// Which rate is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Tenant,
    /// That of all known tenants of its class.
    Global,
    /// That of all unknown tenants.
    UnknownTenants,
}

pub(super) struct Allowance<C: Clock = DefaultClock> {
    tenants: RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<C::Instant>>,
    together: PerClass<RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>>,
    /// Seeded at random, or a client could find a name with the hash of another tenant.
    hasher: RandomState,
}

impl Allowance {
    pub(super) fn new(per_tenant: Rate, together: PerClass<Rate>) -> Self {
        Self::with_clock(per_tenant, together, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Allowance<C> {
    fn with_clock(per_tenant: Rate, together: PerClass<Rate>, clock: &C) -> Self {
        Self {
            tenants: RateLimiter::dashmap_with_clock(per_tenant.quota(), clock.clone()),
            together: together.map(|rate| RateLimiter::direct_with_clock(rate.quota(), clock.clone())),
            hasher: RandomState::new(),
        }
    }

    /// Takes one line; all denials without a tenant count as one tenant's. The tenant's rate is checked first, so that a tenant over it
    /// takes nothing from the others.
    pub(super) fn take(&self, tenant: Option<&str>, class: TenantClass) -> Result<(), Exceeded> {
        // Unknown tenants have a range of their own, so that invented names share no allowance with known tenants.
        let first = if class == TenantClass::Unknown { PLACES } else { 0 };
        let place = first + self.hasher.hash_one(tenant) % PLACES;
        self.tenants.check_key(&place).map_err(|_| Exceeded::Tenant)?;
        self.together.of(class).check().map_err(|_| match class {
            TenantClass::Overridden | TenantClass::Allowed => Exceeded::Global,
            TenantClass::Unknown => Exceeded::UnknownTenants,
        })
    }

    /// Evicts tenants whose whole burst is available again.
    pub(super) fn evict_idle(&self) {
        self.tenants.retain_recent();
        self.tenants.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    const ONE: Rate = Rate { per_second: 10, burst: 100 };

    fn allowance(total: Rate) -> (Allowance<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let together = PerClass { overridden: total, allowed: total, unknown: Rate { per_second: 1, burst: 20 } };
        (Allowance::with_clock(ONE, together, &clock), clock)
    }

    /// How many of `asked` lines `tenant` gets.
    fn granted(allowance: &Allowance<FakeRelativeClock>, tenant: Option<&str>, asked: usize) -> usize {
        (0..asked).filter(|_| allowance.take(tenant, TenantClass::Allowed).is_ok()).count()
    }

    /// No tenant takes from another's allowance.
    #[test]
    fn a_tenant_gets_its_burst_then_its_rate() {
        let (allowance, clock) = allowance(Rate { per_second: 1_000, burst: 1_000 });
        assert_eq!(granted(&allowance, Some("a"), 5_000), 100);
        assert_eq!(allowance.take(Some("a"), TenantClass::Allowed), Err(Exceeded::Tenant));
        assert_eq!(granted(&allowance, Some("b"), 5_000), 100);
        assert_eq!(granted(&allowance, None, 5_000), 100);
        clock.advance(Duration::from_secs(2));
        assert_eq!(granted(&allowance, Some("a"), 5_000), 20);
    }

    #[test]
    fn all_together_have_a_rate_too() {
        let (allowance, clock) = allowance(Rate { per_second: 50, burst: 150 });
        assert_eq!(granted(&allowance, Some("a"), 100), 100);
        assert_eq!(granted(&allowance, Some("b"), 60), 50);
        assert_eq!(allowance.take(Some("c"), TenantClass::Allowed), Err(Exceeded::Global));
        clock.advance(Duration::from_secs(1));
        assert_eq!(granted(&allowance, Some("c"), 90), 50);
    }

    #[test]
    fn invented_names_fill_bounded_places_and_expire() {
        let (allowance, clock) = allowance(Rate { per_second: 1, burst: 1 });
        for name in 0..PLACES * 2 {
            let _ = allowance.take(Some(&name.to_string()), TenantClass::Allowed);
        }
        assert!(allowance.tenants.len() as u64 <= PLACES);
        clock.advance(Duration::from_secs(11));
        assert_eq!(granted(&allowance, Some("a"), 1), 1);
        allowance.evict_idle();
        assert_eq!(allowance.tenants.len(), 1);
        assert_eq!(granted(&allowance, Some("a"), 200), 0, "all together have one a second");
    }

    #[test]
    fn invented_names_take_no_lines_from_known_tenants() {
        let (allowance, _) = allowance(Rate { per_second: 50, burst: 150 });
        let of_invented = |name: u32| allowance.take(Some(&name.to_string()), TenantClass::Unknown);
        assert_eq!((0..100_000).filter(|name| of_invented(*name).is_ok()).count(), 20);
        assert_eq!(of_invented(100_000), Err(Exceeded::UnknownTenants));
        assert_eq!(granted(&allowance, Some("a"), 100), 100);
        assert_eq!(allowance.take(Some("named"), TenantClass::Overridden), Ok(()));
    }
}
